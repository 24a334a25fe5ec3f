"""The snapshot explorer in Chromium: its pictures and numbers against NumPy on the same quantised kernels."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.analysis.quantise import exact, quantise
from reportgen.core.report import Section
from reportgen.core.scripted import Explorer, ExplorerKernel, pack
from reportgen.figures.kernels import kernel_tiles
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, LEVELS, NOT_FINITE_COLOR, rgb, short_number, symmetric
from reportgen.page.save import save
from tests.page.sample import sample

SHAPES = {
    "one channel": (5, 5, 1, 4),
    "convolution": (3, 3, 6, 5),
    "1x1": (1, 1, 12, 7),
    "signal": (3, 4, 7),
    "volume": (2, 3, 3, 2, 4),
    "tall": (40, 12),
    "flat": (6, 90),
    "reduced": (900, 8),
}
STEPS = (0, 10, 20, 40)


def walks() -> dict[str, np.ndarray]:
    """Each kernel at every step, [step, ...]: a random walk, with a hole in one of them."""
    random = np.random.default_rng(3)
    kernels = {name: np.cumsum(random.normal(0, 0.1, (len(STEPS), *shape)), axis=0) for name, shape in SHAPES.items()}
    kernels["tall"][2, 7, 3] = np.nan
    kernels["still"] = np.zeros((len(STEPS), 2, 3))
    return {name: values.astype(np.float32) for name, values in kernels.items()}


ROUNDED = ("convolution", "tall", "reduced", "still")
"""Kernels that the page carries in 16 bits; it has the others as they are."""


def packed(name: str, values: np.ndarray) -> tuple[np.ndarray, float | None]:
    return quantise(values) if name in ROUNDED else (exact(values), None)


def explorer(kernels: dict[str, np.ndarray], known: dict[str, float] | None = None) -> Explorer:
    quantised = {name: packed(name, values) for name, values in kernels.items()}
    return Explorer(
        "explorer",
        "How to read it.",
        STEPS,
        (STEPS[0], STEPS[-1]),
        tuple(
            ExplorerKernel(name, levels.shape[1:], scale, known or {}) for name, (levels, scale) in quantised.items()
        ),
        pack([levels for levels, _ in quantised.values()]),
        tuple("#" + bytes(color).hex() for color in DIVERGING.rgb[:LEVELS]),
        NOT_FINITE_COLOR,
    )


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    section = Section("any-two", "Any two", "Finding.", (explorer(walks()),))
    return save(replace(sample(), sections=(section,)), tmp_path_factory.mktemp("explorer") / "r.html")


def carried(name: str) -> tuple[np.ndarray, float]:
    """The kernel's values as the page carries them, [step, ...], and its scale, 0 for exact ones."""
    levels, scale = packed(name, walks()[name])
    if scale is None:
        return levels.astype(float), 0.0
    values = levels.astype(float) * scale
    values[levels == -32768] = np.nan
    return values, scale


def canvas(page) -> np.ndarray:
    url = page.evaluate("document.querySelector('.explorer-change .scroll canvas').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA")).astype(int)


def choose(page, name: str, before: int, after: int) -> str:
    """Chooses by keyboard alone; returns what the page then says."""
    page.get_by_label("Kernel").select_option(label=name)
    for label, step in (("From", before), ("to", after)):
        slider = page.get_by_role("slider", name=label, exact=True)
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(STEPS.index(step)):
            page.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == f"step {step}"
    return page.locator(".explorer-numbers").text_content()


@pytest.mark.parametrize("name", [*SHAPES, "still"])
def test_heatmap_and_numbers_are_those_of_numpy(visit, page_file: Path, name: str) -> None:
    page = visit(page_file)
    values, scale = carried(name)
    for before, after in ((0, 40), (20, 10)):
        text = choose(page, name, before, after)
        start, end = values[STEPS.index(before)], values[STEPS.index(after)]
        # Rounded to whole steps of the scale: of +0.3 and -0.3 neither is larger by an accident of floats.
        change = np.rint((end - start) / scale) * scale if scale else end - start
        low, high = symmetric(change)
        tiles = kernel_tiles(change)
        made = mosaic(tiles.tiles, low, high, DIVERGING, labels=tiles.labels, gap=tiles.gap)
        expected = np.asarray(Image.open(io.BytesIO(made.raster.data)).convert("RGBA")).astype(int)
        seen = canvas(page)
        assert seen.shape == expected.shape
        assert np.array_equal(seen[..., 3], expected[..., 3]), "gaps are where the other figures have them"
        solid = seen[..., 3] == 255
        # Half-way between two of the palette's levels either is right; they differ by at most 4 of 255.
        assert np.abs(seen[solid] - expected[solid]).max() <= 4
        assert (seen[solid] == expected[solid]).all(axis=1).mean() > 0.9
        shown = page.locator(".explorer-change .scroll canvas").bounding_box()
        factor = max(1, min(620 // made.raster.width, 465 // made.raster.height, 24))
        assert (shown["width"], shown["height"]) == (made.raster.width * factor, made.raster.height * factor)

        known = np.isfinite(change)
        moved, initial = change[known], start[known]
        rose, fell = moved > scale / 2, moved < -scale / 2
        constant = np.ptp(moved) == 0 or np.ptp(initial) == 0
        r = "not defined" if constant else f"{np.corrcoef(initial, moved)[0, 1]:.2f}".replace("-", "−")
        away = (rose & (initial > scale / 2)) | (fell & (initial < -scale / 2))
        towards = (rose & (initial < -scale / 2)) | (fell & (initial > scale / 2))
        broken = f" {int((~known).sum())} not finite." if not known.all() else ""
        assert text == (
            f"{name}, step {before} to step {after}: {rose.sum():,} increased, {fell.sum():,} decreased, "
            f"{(~rose & ~fell).sum():,} unchanged; {away.sum():,} grew away from zero, {towards.sum():,} towards it; "
            f"mean absolute change {short_number(float(np.abs(moved).mean()))}; correlation of value and change {r}."
            f"{broken}" + (f" In the pictures each change is off by at most {short_number(scale)}." if scale else "")
        )
        ends = page.locator(".explorer-change .end").all_text_contents()
        assert ends == ([short_number(low), short_number(high)] if high else ["0", "0"])


def test_red_is_a_decrease_blue_an_increase_and_white_nothing(visit, tmp_path: Path) -> None:
    walk = np.zeros((len(STEPS), 3, 3, 1, 1))
    walk[-1, 0, 0], walk[-1, 2, 2], walk[-1, 0, 2] = -1, 1, np.inf
    section = Section("any-two", "Any two", "", (explorer({"k": walk}),))
    page = visit(save(replace(sample(), sections=(section,)), tmp_path / "r.html"))
    page.locator(".explorer-numbers").wait_for()
    seen = canvas(page)[..., :3]
    assert tuple(seen[0, 0]) == tuple(DIVERGING.rgb[0]) and seen[0, 0, 0] > seen[0, 0, 2]
    assert tuple(seen[2, 2]) == tuple(DIVERGING.rgb[LEVELS - 1]) and seen[2, 2, 2] > seen[2, 2, 0]
    assert tuple(seen[1, 1]) == (255, 255, 255)
    assert tuple(seen[0, 2]) == rgb(NOT_FINITE_COLOR)


def test_the_numbers_of_the_steps_shown_first_are_the_reports_own(visit, tmp_path: Path) -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(0, 1, (len(STEPS), 3, 3, 2, 4)), axis=0)
    told = {"increased": 41, "decreased": 31, "away": 1, "towards": 71, "meanAbs": 0.125, "correlation": -0.5}
    section = Section("any-two", "Any two", "", (explorer({"convolution": walk}, told),))
    page = visit(save(replace(sample(), sections=(section,)), tmp_path / "r.html"))
    page.locator(".explorer-numbers").wait_for()
    said = page.locator(".explorer-numbers").text_content()
    assert "41 increased, 31 decreased, 0 unchanged; 1 grew away from zero, 71 towards it" in said
    assert "mean absolute change 0.125; correlation of value and change −0.50." in said
    assert "41 increased" not in choose(page, "convolution", 10, 40)


def test_tiles_have_their_channels_numbers(visit, page_file: Path) -> None:
    page = visit(page_file)
    for name, numbers in (("convolution", 5), ("one channel", 4), ("tall", 0)):
        choose(page, name, 0, 40)
        assert page.locator(".explorer-tiles text").all_text_contents() == [str(i) for i in range(numbers)]


def test_the_scatter_has_a_dot_per_weight_where_it_belongs(visit, page_file: Path) -> None:
    page = visit(page_file)
    choose(page, "convolution", 10, 40)
    values, _ = carried("convolution")
    start, change = values[1].ravel(), (values[3] - values[1]).ravel()
    path = page.locator(".scatter path.accent-stroke").get_attribute("d")
    seen = np.array([part.split() for part in path.replace("h0", " ").split("M")[1:]], float)
    reach = [np.abs(numbers).max() * 1.06 for numbers in (start, change)]
    expected = np.stack([64 + (start / reach[0] + 1) / 2 * 256, 14 + (1 - change / reach[1]) / 2 * 216], axis=1)
    assert seen.shape == expected.shape and np.abs(seen - expected).max() <= 0.06


def test_many_weights_are_counted_in_bins(visit, page_file: Path) -> None:
    page = visit(page_file)
    choose(page, "reduced", 0, 40)
    values, _ = carried("reduced")
    start, change = values[0].ravel(), (values[3] - values[0]).ravel()
    edges = [np.linspace(-1.06, 1.06, bins + 1) * np.abs(v).max() for v, bins in ((start, 64), (change, 54))]
    counts, _, _ = np.histogram2d(start, change, bins=edges)
    drawn = sum(path.get_attribute("d").count("M") for path in page.locator(".scatter path.accent-fill").all())
    assert drawn == (counts > 0).sum() > 500


def test_swap_turns_every_change_around(visit, page_file: Path) -> None:
    page = visit(page_file)
    choose(page, "convolution", 10, 40)
    before = canvas(page)
    page.get_by_role("button", name="Swap").press("Enter")
    assert page.locator(".explorer-controls output").all_text_contents() == ["step 40", "step 10"]
    mirror = {tuple(a): tuple(b) for a, b in zip(DIVERGING.rgb[:LEVELS], DIVERGING.rgb[LEVELS - 1 :: -1], strict=True)}
    after = canvas(page)
    turned = np.array([mirror[tuple(color)] for color in before[before[..., 3] == 255][:, :3]])
    assert np.abs(after[after[..., 3] == 255][:, :3] - turned).max() <= 4


def test_the_cloud_follows_the_theme(visit, page_file: Path) -> None:
    page = visit(page_file, color_scheme="light")
    choose(page, "convolution", 0, 40)
    look = "getComputedStyle(document.querySelector('.scatter .accent-stroke')).stroke"
    light = page.evaluate(look)
    page.get_by_role("button", name="Dark theme").click()
    assert (light, page.evaluate(look)) == ("rgb(43, 108, 176)", "rgb(125, 179, 234)")


def test_without_a_script_and_on_paper_it_is_not_there(visit, page_file: Path) -> None:
    page = visit(page_file, java_script_enabled=False)
    assert not page.get_by_role("heading", name="Any two").is_visible()
    assert not page.get_by_role("link", name="Any two").first.is_visible()
    page = visit(page_file)
    page.locator(".explorer-numbers").wait_for()
    assert page.get_by_role("heading", name="Any two").is_visible()
    page.emulate_media(media="print")
    assert not page.get_by_role("heading", name="Any two").is_visible()
    assert not page.locator(".explorer-views").is_visible()


def test_the_folder_has_the_explorer_too(visit, tmp_path: Path) -> None:
    section = Section("any-two", "Any two", "", (explorer(walks()),))
    page = visit(save(replace(sample(), sections=(section,)), tmp_path, format="dir"))
    page.locator(".explorer-numbers").wait_for()


@pytest.mark.parametrize("width", [320, 1920])
def test_it_fits_the_screen(visit, page_file: Path, width: int) -> None:
    page = visit(page_file, viewport={"width": width, "height": 800})
    for name in SHAPES:
        choose(page, name, 0, 40)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
