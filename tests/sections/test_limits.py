"""The ladder: what a page leaves out to stay below a size, that it says so, and that what stays is true."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from reportgen import build
from reportgen.core.report import Document, Figure, FigureRow, Mosaic, Section, Table, Text
from reportgen.core.scripted import Examples, Explorer
from reportgen.page.html import html
from reportgen.page.outline import figures, figures_of, walk
from reportgen.sections import Moment, Options, PageContext, maps
from reportgen.sections.limits import LADDER, Limits, coarse, left_out
from reportgen.store import open_run


@pytest.fixture(scope="module")
def run(recorded):
    return open_run(recorded)


@pytest.fixture(scope="module")
def whole(run):
    return build(run, embedding="pca", max_size=None).document


def rows(section) -> list[FigureRow]:
    return [block for block in walk(section.blocks) if isinstance(block, FigureRow)]


def context(run, **limits) -> PageContext:
    options = Options(embedding="pca")
    return PageContext(Moment(run, 12), Moment(run, 0), options).limited(Limits(**limits))


def test_a_page_that_fits_leaves_nothing_out(run, whole) -> None:
    built = build(run, embedding="pca").document
    assert html(built) == html(whole)
    assert not built.omitted and "left-out" not in html(built).split("</style>")[1]


@pytest.mark.parametrize("share", [0.9, 0.75, 0.65])
def test_a_page_is_as_small_as_asked_and_says_what_it_lacks(run, whole, share) -> None:
    size = len(html(whole).encode())
    built = build(run, embedding="pca", max_size=int(size * share)).document
    page = html(built)
    assert len(page.encode()) <= size * share
    note = re.search(r'<p class="left-out">(.*?)</p>', page)
    assert note is not None and "probe images" in note[1]
    # The size that the page names gives the whole report.
    named = re.search(r"--max-size ([\d.]+)(MB|KB)", note[1])
    assert named is not None
    again = build(run, embedding="pca", max_size=int(float(named[1]) * {"KB": 1e3, "MB": 1e6}[named[2]])).document
    assert html(again) == html(whole)


def test_nothing_more_can_be_left_out_than_all_rungs_do(run) -> None:
    built = build(run, embedding="pca", max_size=1000).document
    assert "nothing more can be left out" in built.omitted
    assert not [block for section in built.sections for block in section.blocks if isinstance(block, Explorer)]
    assert not {"embedding-epochs", "mistakes-images", "samples-images"} & {figure.name for figure in figures(built)}
    assert not [block for section in built.sections for block in walk(section.blocks) if isinstance(block, Examples)]
    assert "all the misclassified and the sample pictures; the animation" in built.omitted


def test_each_rung_is_at_most_as_large_as_the_one_before(run) -> None:
    order = [
        (
            limits.images or 999,
            limits.layers or 999,
            limits.channels or 999,
            limits.levels or 999,
            limits.packed,
            limits.thumbnails or 0,
            limits.numbers,
            index,
        )
        for index, limits in enumerate(LADDER)
    ]
    for before, after in pairwise(order):
        assert all(a >= b for a, b in zip(before[:7], after[:7], strict=True)) and before[:7] != after[:7]


def test_fewer_images_are_the_first_ones(run) -> None:
    every, few = (maps.build(context(run, images=n)) for n in (None, 2))
    named = [
        [f.name for row in rows(section) for f in row.figures if isinstance(f.picture, Mosaic)]
        for section in (every, few)
    ]
    assert {name.rpartition("-")[2] for name in named[0]} == {str(i) for i in range(10)}
    assert named[1] == [name for name in named[0] if name.endswith(("-0", "-1"))]
    layers = [row.title for row in rows(every) if "further" not in row.title]
    assert [row.title for row in rows(few)] == layers
    assert left_out(Limits(images=2), 10, 4) == ["feature maps of 8 of 10 probe images"]


def test_channels_are_kept_by_rank_under_their_own_numbers(run) -> None:
    section = maps.build(context(run, channels=2))
    final = run.observations[list(run.observations)[-1]]
    grids = [
        (row.title.removesuffix(" for 9 further inputs"), int(grid.name.rpartition("-")[2]), grid)
        for row in rows(section)
        for grid in row.figures
        if isinstance(grid.picture, Mosaic)
    ]
    assert len(grids) == 3 * 10
    for layer, image, grid in grids:
        values = final.maps[layer][image]
        largest = np.sort(np.argsort(-values.max(axis=(0, 1)), kind="stable")[:2])
        assert [int(label) for label in grid.picture.labels] == largest.tolist()
        strongest = int(values.max(axis=(0, 1)).argmax())
        assert [grid.picture.labels[i] for i in grid.picture.outlined] == [str(strongest)]
        assert "Shown are the 2 with the largest values." in grid.caption


def test_kernels_keep_the_channels_that_changed_most(run) -> None:
    from reportgen.sections import parameters

    section = parameters.build(context(run, channels=2))
    before, after = (run.snapshots[step].params["conv1/kernel"].astype(float) for step in (0, 12))
    moved = np.abs(after - before).mean(axis=(0, 1, 2))
    wanted = sorted(np.argsort(-moved)[:2].tolist())
    row = next(row for row in rows(section) if row.title == "conv1/kernel")
    assert [[int(label) for label in figure.picture.labels] for figure in row.figures] == [wanted, wanted]
    whole = next(row for row in rows(parameters.build(context(run))) if row.title == "conv1/kernel")
    assert row.figures[0].colorbar == whole.figures[0].colorbar, "the range stays that of the whole kernel"


def test_coarse_values_keep_zero_and_the_ends() -> None:
    values = np.array([-1.0, -0.6, 0.0, 0.01, 0.49, 1.0, np.nan])
    rounded = coarse(values, -1.0, 1.0, 5)
    assert np.array_equal(rounded, [-1, -0.5, 0, 0, 0.5, 1, np.nan], equal_nan=True)
    assert coarse(values, -1.0, 1.0, None) is values
    assert coarse(values, 0.0, 0.0, 5) is values


def test_every_figure_is_still_named_once(run) -> None:
    built = build(run, embedding="pca", max_size=150_000).document
    names = [figure.name for figure in figures(built) if isinstance(figure, Figure)]
    assert len(names) == len(set(names)) > 5


def test_layers_are_kept_that_changed_most_or_died(run) -> None:
    """A page with room for few layers has figures of the same ones in every section, and tables of all."""
    from reportgen.sections import activity, parameters

    few, every = context(run, layers=3), context(run)
    kept = [layer.path for layer in every.layers if few.draws(layer.path)]
    assert len(kept) == 3 and {every.layers[0].path, every.layers[-1].path} < set(kept)
    moved = {diff.name.rpartition("/")[0]: diff.relative for diff in every.diffs if diff.relative is not None}
    (third,) = set(kept) - {every.layers[0].path, every.layers[-1].path}
    assert all(moved[third] >= moved[path] for path in moved if path not in kept)
    for section in (maps.build(few), activity.build(few), parameters.build(few)):
        shown = {figure.of[1] for figure in figures_of(section) if figure.of}
        assert shown and shown <= set(kept)
    table = next(block for block in parameters.build(few).blocks if isinstance(block, Table))
    assert len(table.rows) == len(every.diffs)
    assert left_out(Limits(layers=3), 10, 4, layers=9)[0].startswith("figures of all but 3 of 9 layers")
    assert left_out(Limits(layers=48), 10, 4, layers=9) == []


def test_the_rung_is_found_by_halving_and_nothing_is_built_twice(run, monkeypatch) -> None:
    from reportgen.sections import assemble
    from reportgen.sections.spec import SectionSpec

    begun: list[Limits] = []

    def build_one(page: PageContext) -> Section:
        begun.append(page.limits)
        return Section("one", "One", "", (Text("x" * (1000 * (page.limits.channels or 999))),))

    page = context(run)
    monkeypatch.setattr(assemble, "LARGE", 1e9)
    pages = assemble.Pages(page, [SectionSpec(build_one, shrinks=("channels",))], "t")
    for most, left in ((500_000, 64), (63_999, 32), (5_000, 4)):
        begun.clear()
        made = pages.within(most, lambda d: sum(len(s.blocks[0].text) for s in d.sections))
        assert len(made.sections[0].blocks[0].text) == 1000 * left
        channels = [limits.channels for limits in begun]
        assert len(channels) == len(set(channels)) <= 4


def test_of_a_large_network_not_all_is_drawn_to_see_that_it_is_too_large(run, monkeypatch) -> None:
    from reportgen.sections import assemble
    from reportgen.sections.spec import SectionSpec

    begun: list[Limits] = []

    def build_maps(page: PageContext) -> Section | None:
        begun.append(page.limits)
        return maps.build(page)

    def size(document: Document) -> int:
        return len(html(document).encode())

    spec = SectionSpec(build_maps, shrinks=("images", "layers", "channels", "levels"))
    page = context(run)
    whole = assemble.Pages(page, [spec]).whole
    nothing = size(replace(whole, sections=()))
    most = nothing + int((size(whole) - nothing) * 0.4)
    begun.clear()
    monkeypatch.setattr(assemble, "LARGE", 0)
    monkeypatch.setattr(assemble, "ROOM", 1)
    made = assemble.Pages(page, [spec]).within(most, size)
    assert begun[0].layers and LADDER[0] not in begun and size(made) <= most
    assert "All of it: --max-size none" in made.omitted


def test_photographs_are_encoded_as_such_and_values_are_not() -> None:
    from reportgen.sections.pixels import image_mosaic

    large = np.random.default_rng(0).random((2, 80, 80, 3)).astype(np.float32)
    layout = {"labels": ["a", "b"], "columns": 1, "gap": 2}
    photographs, small = (image_mosaic(images, [0, 1], (0.0, 1.0), **layout) for images in (large, large[:, :40, :40]))
    grey = image_mosaic(large[..., :1], [0, 1], (0.0, 1.0), **layout)
    assert photographs.raster.mime == "image/webp" and photographs.labels == ("a", "b")
    assert small.raster.mime == grey.raster.mime == "image/png"
    large[0, 0, 0] = np.nan
    assert image_mosaic(large, [0, 1], (0.0, 1.0), **layout).raster.mime == "image/png"
