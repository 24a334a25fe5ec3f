"""What sections share."""

from concurrent.futures import CancelledError
from dataclasses import replace
from threading import Event
from time import sleep

import numpy as np
import pytest

from reportgen import build
from reportgen.page.outline import figures_of
from reportgen.sections import context as context_module
from reportgen.sections import parameters
from reportgen.sections.context import PageContext
from reportgen.sections.options import Moment, Options
from reportgen.store import open_run


def test_an_embedding_begun_beside_the_sections_is_the_one_computed_when_asked_for(recorded):
    run = open_run(recorded)
    begun = PageContext(Moment(run, 12), Moment(run, 0), Options())
    with begun.embedding_begun():
        found = begun.embedding
    np.testing.assert_array_equal(
        found.frames, PageContext(Moment(run, 12), Moment(run, 0), Options()).embedding.frames
    )
    assert found.method == "umap" and len(found.frames) == 3


def test_a_page_computes_its_embedding_once(recorded, monkeypatch):
    embedded, embed = [], context_module.embed

    def counted(vectors, *rest, **options):
        embedded.append(len(vectors))
        return embed(vectors, *rest, **options)

    monkeypatch.setattr(context_module, "embed", counted)
    build(recorded)
    assert [frames for frames in embedded if frames > 1] == [3]  # the other one is the preparation's


def test_a_kernel_is_read_once_for_its_heatmaps_and_its_scatter(recorded):
    run = open_run(recorded)
    context, alone = (PageContext(Moment(run, 12), Moment(run, 0), Options()) for _ in range(2))
    parameters.build(context)
    context.found["diffs"] = tuple(replace(diff, read=None) for diff in context.diffs)
    drawn, expected = (
        [figure.picture.svg for figure in figures_of(parameters.build_scatter(each))] for each in (context, alone)
    )
    assert drawn == expected and drawn


def test_an_embedding_is_given_up_with_its_report(recorded, monkeypatch):
    started, ended = Event(), Event()

    def slow(vectors, labels, method="umap", progress=None):
        started.set()
        try:
            for frame in range(3000 if progress else 0):
                progress(frame, 3000)
                sleep(0.01)
        except CancelledError:
            ended.set()
            raise

    monkeypatch.setattr(context_module, "embed", slow)
    context = PageContext(Moment(open_run(recorded), 12), None, Options())
    with pytest.raises(KeyboardInterrupt), context.embedding_begun():
        assert started.wait(60) and not ended.is_set()
        raise KeyboardInterrupt
    assert ended.wait(20)


def test_sections_stand_in_reading_order_whatever_was_drawn_first(recorded):
    anchors = [section.anchor for section in build(recorded, embedding="pca").document.sections]
    expected = ["embedding", "curves", "overlay", "mistakes", "trust", "examples", "graph", "parameters", "explorer"]
    rest = ["change", "activity", "images", "strongest", "maps", "health", "network", "overview", "samples"]
    assert anchors == [*expected, *rest]
