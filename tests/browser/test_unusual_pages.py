"""Pages of other kinds than the ordinary one: on every width, on paper, by the keyboard, and for axe."""

import re
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

import reportgen
from reportgen import build
from reportgen.page.save import save
from reportgen.sections.several import several
from tests.browser.test_report import WCAG
from tests.comparison import test_tasks as tasks
from tests.sections.made import document
from tests.sections.test_every_page import as_large_as_mnist
from tests.sections.test_unusual_runs import recorded_run


class Many(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x)).reshape(len(x), -1)
        return nn.Dense(100)(nn.relu(nn.Dense(12, name="hidden")(x)))


def many(path: Path) -> Path:
    """A run of a hundred classes with long names."""
    images, labels = np.random.default_rng(0).random((400, 8, 8, 1), np.float32), np.arange(400) % 100
    model, names = Many(), [f"photograph of a rather long-winded species {i:02d}" for i in range(100)]
    variables = model.init(jax.random.key(0), images[:1])
    data = {"probe": (images[:2], labels[:2]), "evaluation": (images, labels), "classes": names}
    with reportgen.Recorder(path, model, variables, **data, keep=reportgen.Keep(top=True)) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
    return path


MADE = {
    "classes": lambda folder: build(many(folder / "run"), embedding="pca").document,
    "untrained": lambda folder: build(recorded_run(folder / "run", 0), embedding="pca").document,
    "diverged": lambda folder: build(recorded_run(folder / "run", 3, share=1e30), embedding="pca").document,
    "long": lambda folder: build(recorded_run(folder / "run", 100), embedding="pca").document,
    "large": lambda folder: build(as_large_as_mnist(folder / "run"), embedding="pca").document,
    "collapsed": lambda folder: build(recorded_run(folder / "run", 2, collapse=True), embedding="pca").document,
    "tokens": lambda folder: document(tasks.tokens(0.5, 1)),
    "dense": lambda folder: document(tasks.dense(0.5, 1)),
    "networks": lambda folder: several({name: document(tasks.regression(0.5, 1)) for name in ("a", "b")}, "two", None),
}


@pytest.fixture(scope="module", params=sorted(MADE))
def file(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    return save(MADE[request.param](folder), folder / "r.html")


@pytest.mark.parametrize(("width", "scheme", "forced"), [(320, "dark", "none"), (700, "light", "active")])
def test_it_fits_is_reached_by_the_keyboard_and_axe_finds_nothing(visit, file, width, scheme, forced) -> None:
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page = visit(file, viewport={"width": width, "height": 900}, color_scheme=scheme, forced_colors=forced)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    cut = """[...document.querySelectorAll('.scroll')].filter((box) => box.checkVisibility() &&
        box.scrollWidth > box.clientWidth + 1 && !box.matches('.over')).length"""
    assert not page.evaluate(cut), "what is wider than its place says so"
    reached = (
        "[...document.querySelectorAll('svg.tiles, .plot canvas')].every((one) => one.closest('[tabindex=\"0\"]'))"
    )
    assert page.evaluate(reached)
    page.evaluate(axe.AXE_SCRIPT + ";0")
    found = page.evaluate("(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", WCAG)
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]][:3]) for v in found["violations"]] == []


def test_on_paper_it_is_an_edition_of_at_most_twelve_pages(visit, file) -> None:
    page = visit(file)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 12
