"""A real report of a real training in Chromium: clean, locked, accessible, by keyboard, on paper; hostile names."""

import re
import shutil
import subprocess
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from reportgen import build, open_run
from reportgen.core.network import Network
from reportgen.core.run import Run
from tests.browser.test_page import overflow
from tests.page.sample import HOSTILE

#: All hostile names, five in each: a report takes seconds.
TEXTS = [" ".join(HOSTILE[index : index + 5]) for index in range(0, len(HOSTILE), 5)]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPEN_ALL = "document.querySelectorAll('details').forEach((fold) => { fold.open = true; })"


def hostile_run(run: Run, text: str) -> Run:
    """The run with the text as every name that a user, a dataset or a model can give."""

    def named(path: str) -> str:
        return f"{path} {text}"

    layers = tuple(
        replace(
            layer,
            path=named(layer.path),
            op=named(layer.op),
            params={named(name): shape for name, shape in layer.params.items()},
            inputs=tuple(map(named, layer.inputs)),
            alias_of=layer.alias_of and named(layer.alias_of),
        )
        for layer in run.network.layers.values()
    )
    observations = {
        step: replace(
            each,
            maps={named(path): each.maps[path] for path in each.maps},
            outcome=replace(
                each.outcome,
                label_sums={named(path): each.outcome.label_sums[path] for path in each.outcome.label_sums},
            ),
        )
        for step, each in run.observations.items()
    }
    snapshots = {
        step: replace(each, variables={"params": {named(name): each.params[name] for name in each.params}})
        for step, each in run.snapshots.items()
    }
    return replace(
        run,
        network=Network(text, {layer.path: layer for layer in layers}, {text: text}),
        observations=observations,
        snapshots=snapshots,
        classes=tuple(f"{index} {text}" for index in range(len(run.classes))),
        config={**run.config, "model": text, "dataset": text, text: text},
        provenance={**run.provenance, text: {text: text}},
        embed_layer=run.embed_layer and named(run.embed_layer),
        problems=(text,),
        status=text,
    )


@pytest.fixture(scope="session")
def hostile_files(recorded, tmp_path_factory) -> list[Path]:
    """Reports of the same run with hostile names everywhere, their titles too; five of the names in each."""
    folder, run = tmp_path_factory.mktemp("hostile"), open_run(recorded)
    return [
        build(hostile_run(run, text), embedding="pca", title=text).save(folder / f"{index}.html")
        for index, text in enumerate(TEXTS)
    ]


def wake(page) -> None:
    """Opens every fold and waits for the explorer, which unpacks itself when it comes near."""
    page.evaluate(OPEN_ALL)
    page.locator(".figure.explorer").scroll_into_view_if_needed()
    page.locator(".explorer-numbers").wait_for()


def until(page, expression: str) -> None:
    """Waits for it to be true: playwright's own way of that evaluates text, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within four seconds: {expression}")


@pytest.mark.parametrize("width", [320, 360, 768, 1100, 1920])
def test_it_opens_clean_at_every_width(visit, real: Path, width: int) -> None:
    page = visit(real, viewport={"width": width, "height": 900})
    wake(page)
    assert overflow(page) <= 0
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0 || image.loading === 'lazy')")
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000


def test_only_what_is_near_is_laid_out_before_the_page_has_loaded(visit, real: Path) -> None:
    page = visit(real)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.evaluate("document.documentElement.classList.remove('loaded')")
    shown = "document.getElementById('network').querySelector('table').checkVisibility({ contentVisibilityAuto: true })"
    until(page, f"!{shown}")
    assert page.evaluate("document.documentElement.scrollHeight") != height
    page.evaluate("document.documentElement.classList.add('loaded')")
    until(page, shown)
    assert page.evaluate("document.documentElement.scrollHeight") == height


def test_a_place_in_the_page_is_kept_when_it_is_opened_there_or_again(visit, real: Path) -> None:
    page = visit(f"{real.as_uri()}#overview")
    top = "document.getElementById('overview').getBoundingClientRect().top"
    assert 0 <= page.evaluate(top) < 60
    left = page.evaluate("scrollY")
    page.evaluate("history.replaceState(null, '', location.pathname)")
    page.reload()
    until(page, f"Math.abs(scrollY - {left}) < 2")
    assert 0 <= page.evaluate(top) < 60


@pytest.mark.parametrize("width", [360, 1400])
def test_each_figure_is_larger_when_enlarged_both_across_and_down(visit, real: Path, width: int) -> None:
    page = visit(real, viewport={"width": width, "height": 900})
    page.evaluate(OPEN_ALL)
    dialog = page.locator("dialog.enlarged")
    kinds = set()
    for figure in page.locator(".figure:not(.animation, .explorer)").all():
        name, kind = figure.get_attribute("id"), figure.get_attribute("class").split()[1]
        before = figure.locator(".picture > svg, .picture > img").first.bounding_box()
        figure.locator(".enlarge").press("Enter")
        after = dialog.locator(".picture > svg, .picture > img").first.bounding_box()
        assert after["width"] > before["width"] and after["height"] > before["height"], name
        assert after["width"] / after["height"] == pytest.approx(before["width"] / before["height"], rel=0.02), name
        page.keyboard.press("Escape")
        assert figure.locator(".picture > svg, .picture > img").first.bounding_box()["width"] == before["width"], name
        kinds.add(kind)
    assert kinds == {"drawing", "mosaic", "raster"}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 360)])
def test_axe_finds_nothing(visit, real: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page = visit(real, color_scheme=scheme, viewport={"width": width, "height": 900})
    wake(page)
    page.get_by_role("slider", name="Frame").press("Home")
    page.evaluate(axe.AXE_SCRIPT + ";0")
    found = page.evaluate("(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", WCAG)
    assert found["passes"], "it ran"
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]][:3]) for v in found["violations"]] == []


def test_without_scripts_all_of_it_reads(visit, real: Path, built) -> None:
    page = visit(real, java_script_enabled=False)
    for section in built.document.sections:
        if section.anchor == "explorer":  # it can't work here, and is not shown
            continue
        assert page.get_by_role("heading", name=section.title, exact=True).is_visible()
        assert page.get_by_text(section.finding, exact=True).first.is_visible()
    assert not page.get_by_text("Any two snapshots", exact=True).first.is_visible()
    assert page.locator(".still").is_visible()
    folds = page.locator("details.fold > summary")
    clicked = 0
    for fold in folds.all():
        if fold.is_visible():
            fold.click()
            clicked += 1
    assert page.locator("details.fold[open]").count() == clicked > 5


def test_the_keyboard_alone_runs_player_and_explorer(visit, real: Path) -> None:
    page = visit(real)
    page.locator(".figure.explorer").scroll_into_view_if_needed()
    page.locator(".explorer-numbers").wait_for()
    page.evaluate("scrollTo(0, 0)")
    wanted = {"Play", "Frame", "Kernel", "From", "to", "Swap"}
    reached: dict[str, str] = {}
    for _ in range(400):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => { const at = document.activeElement;
            return at.ariaLabel ?? at.labels?.[0]?.firstChild.textContent.trim() ?? at.textContent.trim(); }"""
        )
        if name not in wanted - reached.keys():
            continue
        before = page.evaluate("document.body.innerText")
        if name == "Kernel":
            page.keyboard.press("ArrowDown")
        elif name in ("Play", "Swap"):
            page.keyboard.press("Enter")
        else:
            page.keyboard.press("ArrowLeft" if name == "to" else "ArrowRight")
        if name == "Play":
            page.keyboard.press("Enter")
        reached[name] = name
        assert page.evaluate("document.body.innerText") != before, f"{name} does something"
        if reached.keys() == wanted:
            break
    assert set(reached) == wanted


def test_every_link_leads_somewhere_and_ids_are_unique(visit, real: Path) -> None:
    page = visit(real)
    wake(page)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert not [name for name, count in Counter(ids).items() if count > 1]
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))")
    assert links and all(link.startswith(("#", "data:image/gif")) for link in links)
    # Examples are shown by a script (test_story), whose links stand for what the page carries.
    wanted = {unquote(link[1:]) for link in links if link.startswith("#")}
    assert {anchor for anchor in wanted if not re.fullmatch(r"example-t?\d+", anchor)} <= set(ids)
    named = page.evaluate(
        """[...document.querySelectorAll('[aria-labelledby], [for], use, [fill^=url]')].map((e) =>
        e.getAttribute('aria-labelledby') ?? e.getAttribute('for') ?? e.getAttribute('href')?.slice(1)
        ?? e.getAttribute('fill').slice(5, -1))"""
    )
    assert named and set(named) <= set(ids)


ON_SCREEN_ALONE = {"change", "explorer", "examples", "images", "network", "overlay", "overview", "samples"}
"""Sections that the print edition leaves out."""


def test_printed_it_is_an_edition_of_at_most_eight_pages(visit, real: Path, built) -> None:
    page = visit(real, color_scheme="dark")
    for paper in ("A4", "Letter"):
        assert 3 < len(re.findall(rb"/Type\s*/Page\b", page.pdf(format=paper))) <= 8
    page.emulate_media(media="print")
    shown = {name for name in ON_SCREEN_ALONE if page.locator(f"#{name}").is_visible()}
    assert not shown and page.locator("main > section:visible").count() > 6
    assert page.get_by_text("On paper it is an edition in brief").is_visible()
    for section in page.locator("main > section:visible").all():
        kinds = (".figure", ".row", ".table")
        assert all(section.locator(f"> {kind}:visible").count() <= 3 for kind in kinds)
    figures = page.locator(".figure:visible")
    apart = figures.evaluate_all("(all) => all.filter((each) => getComputedStyle(each).breakInside !== 'avoid').length")
    assert figures.count() > 10 and not apart, "figures are whole"


def test_each_printed_page_names_the_report_and_its_day(visit, real: Path, built, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext (poppler-utils) is not installed")
    page = visit(real)
    titles = [section.title for section in built.document.sections]
    kept = [section.title for section in built.document.sections if section.anchor not in ON_SCREEN_ALONE]
    for paper, size in (("A4", "595"), ("Letter", "612")):
        file = tmp_path / f"{paper}.pdf"
        file.write_bytes(page.pdf(format=paper))
        text = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, check=True).stdout.decode()
        pages = text.split("\f")[:-1]
        info = subprocess.run(["pdfinfo", file], capture_output=True, text=True, check=True).stdout
        assert re.search(r"Page size: +" + size, info)
        for number, content in enumerate(pages, 1):
            lines = [line.strip() for line in content.splitlines() if line.strip()]
            assert lines[0].startswith(built.document.title) and lines[0].endswith(built.run.provenance["date"])
            assert f"{number} / {len(pages)}" in lines[-1] and len(lines) > 2, "each page says which it is"
            assert lines[-2] not in titles, "no heading at the foot of a page"
        flowing = " ".join(text.split())
        places = [flowing.find(" ".join(title.split())) for title in kept]
        assert places == sorted(places) and places[0] >= 0, "the sections, in order"
        assert "Dark theme" not in text and "Rows that contain" not in text and "Any two snapshots" not in flowing


def test_points_and_maps_stand_on_paper_as_on_the_screen(visit, real: Path) -> None:
    """Chromium draws on paper with another library: lines of no length may be gone there."""
    page = visit(real)
    rows = "() => [...document.querySelectorAll('.tiles')].map((svg) => svg.querySelectorAll(':scope > svg').length)"
    on_screen = page.evaluate(rows)
    page.emulate_media(media="print")
    page.wait_for_timeout(300)
    assert page.evaluate(rows) == on_screen, "tiles stay in their own rows"
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", page.pdf(format="A4"), re.DOTALL)
    drawn = b"".join(zlib.decompressobj().decompress(each) for each in streams if each[:1] == b"x")
    dots = sum(path.get_attribute("d").count("h0") for path in page.locator("[d*=h0]:visible").all())
    assert dots > 1000 and len(re.findall(rb"\bl\b", drawn)) > dots, "a line for each point"


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_hostile_names_in_every_field_do_nothing(visit, hostile_files: list[Path], index: int) -> None:
    page = visit(hostile_files[index])
    wake(page)
    assert page.evaluate("document.querySelector('h1').textContent")[:3] == TEXTS[index][:3]
    assert "49" not in page.evaluate("document.querySelector('h1').textContent")
    assert not page.evaluate("[...document.querySelectorAll('main script, main style, main [onerror], main b')].length")
    page.locator(".explorer-controls select").select_option(index=1)
    for width in (320, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) <= 0, width


def test_layers_are_filtered_by_name(visit, real: Path) -> None:
    page = visit(real)
    page.evaluate(OPEN_ALL)
    section = page.locator("#strongest")
    box = section.get_by_label("Layers that contain")
    every = section.locator(".row:visible").count()
    box.fill("PROBE 3")
    titles = section.locator(".row:visible .row-title").all_text_contents()
    assert titles == ["conv1/relu, probe 3 (3)"] and every == 10
    # The row and the fold of its ten strongest channels, of ten such pairs and the list of all.
    assert section.locator(":scope > .filter [role=status]").text_content() == "2 of 21 shown"
    box.fill("")
    assert section.locator(".row:visible").count() == every
