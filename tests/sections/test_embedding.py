"""What is said of the embedding: of which examples, and only of movement beyond what a standing layout moves."""

import re
from dataclasses import replace

import numpy as np
import pytest

from reportgen.core.outcome import Kind, Task
from reportgen.core.report import Figure, Fold
from reportgen.sections import embedding, story
from reportgen.sections.context import PageContext
from reportgen.sections.options import Moment, Options
from reportgen.store import open_run


def context(run, method="pca") -> PageContext:
    return PageContext(Moment(run, 12), Moment(run, 0), Options(embedding=method))


def with_vectors(run, change):
    """The run with `change(vectors, labels)` in place of every observation's vectors."""
    observations = {step: replace(seen, vectors=change(dict(seen.vectors))) for step, seen in run.observations.items()}
    return replace(run, observations=observations)


def evaluation_embedded(run, count: int):
    batches = {**run.batches, "embedding": replace(run.batch("evaluation"), targets=run.batch("evaluation").labels)}
    batches["embedding"] = replace(batches["embedding"], targets=batches["embedding"].targets[:count], size=count)
    changed = with_vectors(run, lambda v: {"evaluation": v["evaluation"], "embedding": v["evaluation"][:count]})
    return replace(changed, batches=batches)


def test_training_images_are_called_so(recorded):
    run = open_run(recorded)
    assert "of 300 training images lay among images of their own class" in embedding.build(context(run)).finding
    assert embedding.build_overlay(context(run)).title == "Evaluation images over training images"
    unknown = replace(run, config={})
    assert "of 300 embedded images" in embedding.build(context(unknown)).finding
    assert embedding.build_overlay(context(unknown)).title == "Evaluation images over the embedded images"


def test_evaluation_images_are_not_laid_over_themselves(recorded):
    run = evaluation_embedded(open_run(recorded), 100)
    assert "of 100 evaluation images lay" in embedding.build(context(run)).finding
    assert embedding.build_overlay(context(run)) is None


def test_of_a_part_that_was_embedded_only_the_others_are_placed(recorded):
    section = embedding.build_overlay(context(evaluation_embedded(open_run(recorded), 60)))
    assert section.title == "Evaluation images over the evaluation images"
    rows = list(section.numbers[0].rows())
    assert [row[0] for row in rows] == list(range(60, 100))
    assert "of 40 evaluation images, none of them embedded, fall among" in section.finding


def test_one_label_alone_says_nothing(recorded):
    run = open_run(recorded)
    zeros = {name: replace(batch, targets=np.zeros(len(batch.labels), int)) for name, batch in run.batches.items()}
    same = context(replace(run, batches=zeros))
    said = embedding.build(same)
    assert said.finding.startswith("300 training images in hidden/relu, before training and after each epoch; ")
    assert "class" not in said.finding
    assert "own class" not in embedding.build_overlay(same).finding


def frames(run, moves: list[float]):
    """The run with a frame per move: the embedding's vectors shift by so much, each in a direction of its own."""
    vectors = np.asarray(run.observations[12].vectors["embedding"], np.float64)
    directions = np.random.default_rng(0).normal(size=vectors.shape)
    places = np.cumsum([0.0, *moves])
    seen = run.observations[12]
    return replace(
        run,
        observations={
            step: replace(seen, step=step, epoch=step, vectors={"embedding": vectors + at * directions})
            for step, at in enumerate(places)
        },
    )


@pytest.mark.parametrize(
    ("moves", "said"),
    [
        ([2, 2, 0, 0, 0], "; the layout stops changing after epoch 2."),
        ([0, 0], "; the layout does not change."),
        ([2, 2], "; points still moved "),
    ],
)
def test_movement_is_told_from_none(recorded, moves, said):
    assert said in embedding.build(context(frames(open_run(recorded), moves))).finding


def test_what_a_standing_umap_moves_is_no_movement(recorded, umap_):
    run = open_run(recorded)
    run = with_vectors(frames(run, [3, 0, 0]), lambda v: {"embedding": v["embedding"][:60]})
    run = replace(run, batches={**run.batches, "embedding": replace(run.batch("embedding"), targets=None)})
    shown = context(run, "umap")
    found = shown.embedding
    assert found.noise > 0.005
    assert "standing" not in embedding.build(shown).finding or found.movement[-1] > found.noise


def test_small_multiples_stand_where_the_layout_changes(recorded):
    section = embedding.build(context(frames(open_run(recorded), [0] * 20 + [1, 1, 1] + [0] * 20)))
    multiples = next(b for b in section.blocks if isinstance(b, Figure) and b.name == "embedding-multiples")
    assert "6 of 44, chosen by change." in multiples.caption
    for epoch in (21, 22, 23, 43):
        assert f">epoch {epoch}<" in multiples.picture.svg
    assert ">epoch 10<" not in multiples.picture.svg
    (fold,) = (block for block in section.blocks if isinstance(block, Fold))
    assert len(fold.blocks[0].rows) == 44
    assert any(block.name == "embedding-measures" for block in section.blocks if isinstance(block, Figure))


def test_one_frame_is_no_animation(recorded):
    section = embedding.build(context(frames(open_run(recorded), [])))
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["embedding-multiples"]
    assert section.title == "The hidden layer" and "Animation" not in section.finding


def valued(run, values):
    """The run as one of a regression, with these true values [example, value] of its embedded examples."""
    batches = {**run.batches, "embedding": replace(run.batch("embedding"), targets=values)}
    return replace(run, batches=batches, task=Task(Kind.REGRESSION))


def test_points_are_coloured_by_the_value_that_is_predicted(recorded):
    run = open_run(recorded)
    values = np.arange(300, dtype=np.float32)[:, None] ** 2
    section = embedding.build(context(valued(run, values)))
    frames = next(block for block in section.blocks if isinstance(block, Figure) and block.name.endswith("multiples"))
    assert len(set(re.findall(r'opacity="([\d.]+)"', frames.picture.svg))) >= 4
    moving = section.blocks[0]
    assert "the larger its true value, in 5 groups parted at 3,576, 14,304, 32,185 and 57,217." in moving.caption
    assert "class" not in moving.caption
    rows = list(section.numbers[0].rows())
    assert [row[2] for row in rows[:300]] == values[:, 0].tolist()


@pytest.mark.parametrize("values", [np.ones((300, 1)), np.full((300, 1), np.nan)], ids=["one value", "NaN"])
def test_values_that_tell_nothing_apart_colour_nothing(recorded, values):
    section = embedding.build(context(valued(open_run(recorded), values.astype(np.float32))))
    assert "Each point is one image. " in section.blocks[0].caption


def test_a_mean_over_positions_is_called_one(recorded):
    run = open_run(recorded)
    flat = embedding.build(context(run)).blocks[0].caption
    assert "averaged" not in flat
    layer = run.network.layers[run.embed_layer]
    placed = replace(layer, shape=(7, layer.channels), axes=("t", "channel"))
    network = replace(run.network, layers={**run.network.layers, layer.path: placed})
    section = embedding.build(context(replace(run, network=network)))
    assert "hidden/relu, averaged over the positions that no mask leaves out, PCA" in section.blocks[0].caption


def test_examples_of_several_classes_have_the_colour_of_the_most_frequent(recorded):
    run = open_run(recorded)
    targets = np.zeros((300, 3), np.uint8)
    targets[:200, 1], targets[100:250, 0], targets[240:250, 2] = 1, 1, 1
    batches = {name: replace(batch, targets=targets[: batch.size]) for name, batch in run.batches.items()}
    shown = replace(run, batches=batches, classes=("cat", "dog", "eel"), task=Task(Kind.MULTILABEL))
    shown = context(shown)
    section = embedding.build(shown)
    caption = section.blocks[0].caption
    assert "Each point is one image, in the colour of the most frequent of its true classes, grey where it " in caption
    labels, names, _ = embedding._marks(shown, shown.embedding)
    expected = np.repeat([1, 0, -1], [200, 50, 50])
    np.testing.assert_array_equal(labels, expected[shown.embedding.points])
    assert names == ("cat", "dog", "eel")
    multiples = next(
        block for block in section.blocks if isinstance(block, Figure) and block.name.endswith("multiples")
    )
    assert (
        ">cat<" in multiples.picture.svg and ">dog<" in multiples.picture.svg and ">eel<" not in multiples.picture.svg
    )
    assert "class" not in section.finding
    carried = story.examples(shown, shown.crowd)
    assert ("marks", 1, 2) in carried.columns and "truth" not in {name for name, _, _ in carried.columns}


def test_of_a_few_points_nothing_is_said(recorded):
    run = open_run(recorded)
    for count, said in ((31, True), (30, False)):
        section = embedding.build(context(evaluation_embedded(run, count)))
        assert (section.finding.endswith(": too few to say how far the layout can be believed.")) is not said
        assert any(isinstance(block, Fold) for block in section.blocks) is said
        assert ("embedding_quality.csv" in {numbers.filename for numbers in section.numbers}) is said
        assert ("Trustworthiness" in section.blocks[-1].text) is said
