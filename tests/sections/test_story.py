"""What is told of single examples: of each task, with and without places, within the limits; against the run itself."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from reportgen.analysis.embedding import place
from reportgen.core.outcome import Reconstruction
from reportgen.core.report import Figure, Table
from reportgen.core.scripted import Examples
from reportgen.figures.scatter import limits
from reportgen.sections import story
from reportgen.sections.context import PageContext
from reportgen.sections.crowd import MOST
from reportgen.sections.limits import Limits
from reportgen.sections.options import Moment, Options
from reportgen.store import open_run


def context(run, **options) -> PageContext:
    return PageContext(Moment(run, 12), Moment(run, 0), Options(embedding="pca", **options))


def unpacked(data: bytes, columns, size: int) -> dict[str, np.ndarray]:
    """The columns by name, [row, example]: lowest bytes first, each row the difference from the one before."""
    found, octets = {}, np.frombuffer(zlib.decompress(data), np.uint8)
    for name, rows, length in columns:
        part, octets = np.split(octets, [rows * length * size])
        planes = np.moveaxis(part.reshape(rows, length, size), 1, -1)
        words = np.ascontiguousarray(planes).view({2: "<u2", 4: "<u4"}[length])[..., 0]
        words = np.cumsum(words, axis=0, dtype=words.dtype)
        found[name] = words.view({2: "<i2", 4: "<f4"}[length])
    assert not len(octets)
    return found


def block(section, kind):
    return next((part for part in section.blocks if isinstance(part, kind)), None)


@pytest.fixture(scope="module")
def run(recorded):
    return open_run(recorded)


@pytest.fixture(scope="module")
def columns(run):
    carried = block(story.build(context(run)), Examples)
    return carried, unpacked(carried.data, carried.columns, 400)


def test_the_page_carries_what_the_run_says(run, columns):
    carried, found = columns
    training, evaluation = carried.groups
    assert (training.name, training.anchor, training.numbers) == ("training image", "example-t", tuple(range(300)))
    assert (evaluation.name, evaluation.anchor, evaluation.numbers) == (
        "evaluation image",
        "example-",
        tuple(range(100)),
    )
    labels = np.concatenate([run.batch(name).labels for name in ("embedding", "evaluation")])
    np.testing.assert_array_equal(found["truth"][0], labels)
    for frame, step in enumerate((0, 6, 12)):
        ranked = run.observations[step].top_classes
        classes = np.concatenate([ranked[name].classes for name in ("embedding", "evaluation")])
        shares = np.concatenate([ranked[name].probabilities for name in ("embedding", "evaluation")])
        np.testing.assert_array_equal(found["predicted"][frame], classes[:, 0])
        assert np.abs(found["sure"][frame] - 100 * shares[:, 0]).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(found["ranked"], classes.T)
    assert np.abs(found["shares"] - 1000 * shares.T).max() <= 0.5 + 1e-3


def test_places_and_neighbours_are_those_of_the_layer(run, columns):
    _, found = columns
    embedding = context(run).embedding
    seen = run.observations[12]
    inside, outside = (seen.vectors[name].astype(float) for name in ("embedding", "evaluation"))
    whole = np.concatenate(
        [embedding.frames[-1], place(inside, embedding.frames[-1], outside, embedding.projections[-1])]
    )
    every = context(run).crowd.positions
    np.testing.assert_allclose(every[-1], whole)
    left, right, _, top = limits(every)
    for axis, name in enumerate("xy"):
        at = (whole[:, axis] - left) / (right - left) if name == "x" else (top - whole[:, axis]) / (right - left)
        assert np.abs(found[name][-1] - 4095 * at).max() <= 0.5 + 1e-6
    gaps = np.linalg.norm(outside[:, None] - inside[None], axis=2)
    np.testing.assert_array_equal(np.sort(gaps, axis=1)[:, :5], np.take_along_axis(gaps, found["near"].T[300:], axis=1))


def test_the_finding_counts_the_whole_evaluation(run):
    labels = run.batch("evaluation").labels
    right = np.stack([run.observations[step].outcome.predictions == labels for step in (6, 12)])
    forgotten = (right[:-1] & ~right[1:]).any(axis=0).sum()
    wrong = ~right[-1]
    assert story.build(context(run)).finding == (
        f"{forgotten} of 100 evaluation images were forgotten at least once; of the {wrong.sum()} that are wrong at "
        f"the end, {right[:, wrong].any(axis=0).sum()} had been right before."
    )


def test_the_worst_are_those_that_the_mistakes_name_first(run):
    shown = context(run)
    table = block(story.build(shown), Table)
    assert table.anchors == tuple(f"example-{number}" for number in shown.confusion.misclassified[:8])
    row = dict(zip(table.columns, table.rows[0], strict=True))
    number = shown.confusion.misclassified[0]
    ranked = run.observations[12].top_classes["evaluation"]
    assert row["Example"] == f"Evaluation image {number}"
    assert row["True"] == run.classes[run.batch("evaluation").labels[number]]
    assert row["Most probable"].startswith(f"{run.classes[ranked.classes[number, 0]]}: ")
    figure = block(story.build(shown), Figure)
    assert len(figure.picture.labels) == 8 * 6


def test_a_run_that_knows_no_probabilities_still_has_its_predictions(run):
    observations = {step: replace(seen, top_classes={}) for step, seen in run.observations.items()}
    section = story.build(context(replace(run, observations=observations)))
    carried = block(section, Examples)
    assert {name for name, _, _ in carried.columns} == {"x", "y", "truth", "predicted", "near"}
    found = unpacked(carried.data, carried.columns, 400)["predicted"]
    assert (found[:, :300] == -2).all()
    np.testing.assert_array_equal(found[-1, 300:], run.observations[12].outcome.predictions)
    assert "Predicted" in block(section, Table).columns


def test_which_of_many_numbers_is_not_0_is_told():
    assert [story._numbers(row) for row in np.eye(9)[[0, 7]]] == ["1 at 0, else 0", "1 at 7, else 0"]
    assert story._numbers(np.arange(9.0)) == "0, 1, 2, 3, 4, 5…"
    assert story._numbers(np.array([0.0, 2.5])) == "0, 2.5"


def test_pictures_without_labels_are_told_apart_by_their_numbers(run):
    errors = np.arange(100, dtype=np.float32)
    unlabelled = {
        step: replace(seen, top_classes={}, outcome=Reconstruction(errors, np.zeros((4, 1), np.float32)))
        for step, seen in run.observations.items()
    }
    batches = {name: replace(batch, targets=None) for name, batch in run.batches.items()}
    shown = context(replace(run, observations=unlabelled, batches=batches))
    figure = block(story.build(shown), Figure)
    assert figure.picture.labels[::6] == tuple(str(number) for number in range(99, 91, -1))
    assert all(label.isdecimal() for label in figure.picture.labels)
    assert figure.caption.endswith("each under its number.")
    assert block(story.build(context(run)), Figure).caption.endswith("each under its label.")


def test_embedded_evaluation_images_are_one_group(run):
    vectors = {
        step: {"evaluation": seen.vectors["evaluation"], "embedding": seen.vectors["evaluation"][:60]}
        for step, seen in run.observations.items()
    }
    observations = {step: replace(seen, vectors=vectors[step]) for step, seen in run.observations.items()}
    batches = {
        **run.batches,
        "embedding": replace(run.batch("embedding"), size=60, inputs=None, targets=run.batch("evaluation").labels[:60]),
    }
    carried = block(story.build(context(replace(run, observations=observations, batches=batches))), Examples)
    (group,) = carried.groups
    assert (group.name, group.anchor, group.numbers) == ("evaluation image", "example-", tuple(range(60)))
    assert group.pictures is not None


def test_of_a_large_evaluation_the_first_and_the_wrong_ones_are_carried(run):
    seen, count = run.observations[12], MOST + 700
    labels = np.zeros(count, np.int64)
    predictions = np.where(np.arange(count) % 2 == 0, 0, 1)
    outcome = replace(seen.outcome, predictions=predictions, logit_gap=np.zeros(count, np.float32))
    batches = {**run.batches, "evaluation": replace(run.batch("evaluation"), size=count, targets=labels)}
    changed = replace(run, observations={12: replace(seen, outcome=outcome, top_classes={})}, batches=batches)
    numbers = context(changed).crowd.groups[1].numbers
    np.testing.assert_array_equal(numbers, [*range(MOST), *range(MOST + 1, count, 2)])


def test_the_limits_leave_out_pictures_first_and_then_all(run):
    shown = context(run)
    less = block(story.build(shown.limited(Limits(thumbnails=0))), Examples)
    assert all(group.pictures is None for group in less.groups)
    none = story.build(shown.limited(Limits(thumbnails=None)))
    assert block(none, Examples) is None and block(none, Table) is not None and block(none, Figure) is None


def test_where_no_vector_was_recorded_the_table_says_so(run):
    last = max(run.observations)
    seen = run.observations[last]
    few = replace(seen, vectors={**seen.vectors, "evaluation": seen.vectors["evaluation"][:0]})
    table = block(story.build(context(replace(run, observations={**run.observations, last: few}))), Table)
    nearest = next(place for place, name in enumerate(table.columns) if name.startswith("Nearest in"))
    assert {row[nearest] for row in table.rows} == {"not recorded"}
