"""Every script in examples/ that needs no data of its own runs as it stands, in an empty folder."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PAGES = {
    "linen_classifier": "linen.html",
    "nnx_classifier": "nnx.html",
    "language_model": "language.html",
    "regression": "regression.html",
    "autoencoder": "autoencoder.html",
    "segmentation": "segmentation.html",
    "contrastive": "contrastive.html",
    "reinforcement_learning": "policy.html",
    "gan": "gan.html",
    "vision_transformer": "vit.html",
    "foreign_checkpoint": "foreign.html",
}


LOOPS = [name for name in PAGES if name not in ("foreign_checkpoint", "vision_transformer")]


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_has_at_most_30_lines(name):
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 30


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_an_example_runs_as_it_stands(tmp_path, monkeypatch, capsys, name, page):
    monkeypatch.chdir(tmp_path)
    # In this process: importing everything anew takes longer than most of them.
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert 'overview"' in text
    if name == "foreign_checkpoint":
        theirs, ours = (part.rpartition(" ")[2] for part in capsys.readouterr().out.strip().split(", "))
        assert theirs == ours
        assert float(ours) > 0.8
