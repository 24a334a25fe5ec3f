"""What the page carries of the snapshots: exact where it is small, and never at odds with the tables."""

import zlib

import numpy as np

from reportgen.page.markdown import markdown
from reportgen.sections import explorer
from reportgen.sections.assemble import Pages
from reportgen.sections.context import PageContext
from reportgen.sections.limits import Limits
from reportgen.sections.options import Moment, Options
from reportgen.sections.spec import SectionSpec
from reportgen.store import open_run


def carried(recorded):
    run = open_run(recorded)
    context = PageContext(Moment(run, 12), Moment(run, 0), Options(embedding="pca"))
    section = explorer.build(context)
    return context, section, section.blocks[0]


def test_small_kernels_are_carried_exactly(recorded):
    context, _, block = carried(recorded)
    assert all(kernel.scale is None for kernel in block.kernels)
    octets = np.frombuffer(zlib.decompress(block.data), np.uint8)
    start = 0
    for kernel in block.kernels:
        size, steps = int(np.prod(kernel.shape)), len(block.steps)
        part = octets[start : start + 4 * size * steps].reshape(steps, 4, size)
        start += part.size
        words = np.moveaxis(part, 1, 2).copy().view("<u4")[..., 0].cumsum(axis=0, dtype=np.uint32)
        recorded_values = np.stack([context.run.snapshots[s].params[kernel.name].ravel() for s in block.steps])
        np.testing.assert_array_equal(words.view(np.float32), recorded_values)
    assert start == len(octets)


def test_what_the_reader_sees_is_what_is_said(recorded, monkeypatch):
    _, section, block = carried(recorded)
    assert section.finding.startswith("Any two of 13 snapshots can be compared here, in conv1/kernel, ")
    assert block.caption.endswith("a dot per weight.")
    monkeypatch.setattr(explorer, "MOST_STEPS", 4)
    monkeypatch.setattr(explorer, "DOTS_UP_TO", 100)
    _, section, block = carried(recorded)
    assert section.finding.startswith("Any two of 4 snapshots (of 13) can be compared here")
    assert block.caption.endswith("a dot per weight; of more than 100 weights, a cell is the darker the more it holds.")


def test_large_kernels_have_the_tables_numbers_for_the_steps_shown_first(recorded, monkeypatch):
    monkeypatch.setattr(explorer, "EXACT", 100)
    context, section, block = carried(recorded)
    rounded = {kernel.name: kernel for kernel in block.kernels if kernel.scale is not None}
    assert set(rounded) == {"hidden/kernel", "output/kernel"}
    for diff in context.diffs:
        if diff.name in rounded:
            known = rounded[diff.name].known
            assert (known["increased"], known["decreased"], known["meanAbs"]) == (
                *(diff.increased, diff.decreased),
                diff.mean_abs,
            )
    assert "hidden/kernel ±" in section.blocks[1].text and "conv1/kernel ±" not in section.blocks[1].text


def test_it_takes_at_most_300_kilobytes_of_the_page(recorded):
    assert Limits().packed * 4 / 3 <= 300_000
    assert len(carried(recorded)[2].data) <= Limits().packed


def test_markdown_does_not_announce_it(recorded, tmp_path):
    context, section, _ = carried(recorded)
    document = Pages(context, (SectionSpec(explorer.build),)).whole
    assert section in document.sections
    assert section.title not in markdown(document, tmp_path).read_text()
