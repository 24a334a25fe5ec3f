"""What is claimed of channels: only what the activity, the comparison value and the top examples say together."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from reportgen.core.network import ATTENTION, INPUT, Layer, Role
from reportgen.core.outcome import Classification
from reportgen.core.report import Figure, Fold, Table, Text
from reportgen.core.run import TopExamples
from reportgen.page.outline import walk
from reportgen.sections import activity
from reportgen.sections.context import PageContext
from reportgen.sections.options import Moment, Options
from reportgen.store import open_run

IMAGES = 24
RELU = "conv1/relu"


def built(recorded, sums, layer=RELU, classes=None, top=None):
    """The section for label sums [label, channel] of one layer, 24 counted images per label."""
    return built_of(open_run(recorded), sums, layer, classes, top)


def built_of(run, sums, layer=RELU, classes=None, top=None):
    labels = len(sums)
    counts = np.full(labels, IMAGES)
    last = run.observations[12]
    targets = np.repeat(np.arange(labels), IMAGES)
    outcome = Classification(
        targets, np.zeros(len(targets), np.float32), counts, {layer: np.asarray(sums) * IMAGES}, counts.astype(float)
    )
    batch = replace(run.batch("evaluation"), targets=targets, size=len(targets))
    run = replace(
        run,
        classes=tuple(classes or map(str, range(labels))),
        batches={**run.batches, "evaluation": batch},
        observations={12: replace(last, outcome=outcome, top={layer: top} if top else {})},
    )
    return activity.build(PageContext(Moment(run, 12), Moment(run, 0), Options(layers=(layer,))))


def selective(labels: int = 10) -> np.ndarray:
    """Channel 2 responds to label 3 at four times the others; the rest to all alike."""
    sums = np.full((labels, 4), 2.0)
    sums[3, 2] = 8
    return sums


def top_of(examples: list[int]) -> TopExamples:
    chosen = np.tile(np.array(examples)[:, None], (1, 4))
    return TopExamples(np.ones(chosen.shape, np.float32), chosen, np.zeros((*chosen.shape, 2), int))


def test_a_clear_preference_is_said_with_its_numbers(recorded):
    said = built(recorded, selective()).finding
    assert said == (
        "Channel 2 of conv1/relu responds most to 3 (3.1 times its mean over labels, n\xa0=\xa024; class selectivity "
        "index 0.60), over the 240 correctly classified of 240 evaluation images."
    )


@pytest.mark.parametrize(
    ("sums", "layer"),
    [
        (np.full((10, 4), 2.0), RELU),
        (selective() * [1, 1, 0.1, 1], RELU),  # the least active channel of the layer
        (selective(), "conv1"),  # before its activation function
        (selective()[:, [2] * 10], "output"),  # the scores themselves
    ],
)
def test_otherwise_no_preference_is_claimed(recorded, sums, layer):
    section = built(recorded, sums, layer)
    assert section.finding.startswith("No channel clearly prefers a label, over the 240")
    alts = [block.alt for block in section.blocks if isinstance(block, Figure)]
    assert all(alt.startswith("No channel of") for alt in alts)


def test_top_examples_of_another_label_take_the_claim_back(recorded):
    agreeing, other = top_of([3 * IMAGES, 3 * IMAGES + 1, 0]), top_of([0, 1, 3 * IMAGES])
    assert built(recorded, selective(), top=agreeing).finding.startswith("Channel 2")
    assert built(recorded, selective(), top=other).finding.startswith("No channel")


@pytest.mark.parametrize("labels", [10, 100, 1000])
def test_any_number_of_labels_is_one_matrix_and_their_counts_a_sentence(recorded, labels):
    section = built(recorded, selective(labels), classes=[f"kind {i} of a long name" for i in range(labels)])
    (figure,) = (block for block in section.blocks if isinstance(block, Figure))
    assert "a row per channel, a column per class" in figure.caption and figure.of == ("channels", RELU)
    assert ("300 of 1,000 classes: those with the largest differences." in figure.caption) == (labels == 1000)
    assert figure.picture.width <= 720 and figure.picture.height < 400
    words = re.findall(r">([^<]+)</text>", figure.picture.svg)
    if labels > 20:
        assert any(re.fullmatch(r"2: .*3.*", word) for word in words), "channel 2 prefers label 3"
    else:
        assert {"0", "3", "9"} <= {word.strip("…") for word in words}
    texts = [block.text for block in section.blocks if isinstance(block, Text)]
    assert "Of each label, 24 of 24 evaluation images are counted." in texts
    assert not [b for b in walk(section.blocks) if isinstance(b, Table) and b.name == "activity-counts"]


def test_channels_stand_by_class_and_those_that_prefer_none_last(recorded):
    sums = np.full((3, 4), 2.0)
    sums[2, 0], sums[0, 1], sums[1, 3] = 6, 6, 6
    (figure,) = (b for b in built(recorded, sums).blocks if isinstance(b, Figure))
    words = re.findall(r">([^<]+)</text>", figure.picture.svg)
    assert [word for word in words if word in "0123"][:4] == ["1", "3", "0", "2"]


def test_wide_layers_are_drawn_whole_up_to_512_channels_and_named_by_class(recorded):
    run = open_run(recorded)
    rng = np.random.default_rng(0)
    for channels, said in ((512, ""), (600, "The 512 of 600 channels whose response depends most on the class.")):
        layer = replace(run.network.layers["hidden/relu"], shape=(channels,))
        network = replace(run.network, layers={**run.network.layers, "hidden/relu": layer})
        wide = replace(run, network=network)
        section = built_of(wide, rng.random((10, channels)), "hidden/relu")
        (figure,) = (block for block in section.blocks if isinstance(block, Figure))
        assert said in figure.caption and (said or " of 512 channels" not in figure.caption)
        assert figure.picture.height < 620 and "whose name they have" in figure.caption
        (data,) = re.findall(r'href="data:image/png;base64,([^"]+)"', figure.picture.svg)
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (10, 512)


def test_before_training_stands_beside_after_over_the_same_examples(recorded):
    """Before training nothing is predicted correctly: what there is to see are the missed ones."""
    run = open_run(recorded)
    section = activity.build(PageContext(Moment(run, 12), Moment(run, 0), Options(layers=("hidden/relu",))))
    figures = [block for block in walk(section.blocks) if isinstance(block, Figure)]
    assert len(figures) == 1, "a dense layer, its channels few: matrix and pictures are one figure"
    before, after = figures[0].picture.cells
    assert "Before training" in before and "After step 12" in after
    assert before.count("<image") == after.count("<image") == 2, "a matrix and the strongest examples"
    assert "over all evaluation images of the class" in figures[0].caption
    earlier = {
        step: replace(seen, outcome=replace(seen.outcome, missed_sums={})) for step, seen in run.observations.items()
    }
    section = activity.build(PageContext(Moment(replace(run, observations=earlier), 12), Moment(run, 0), Options()))
    captions = [block.caption for block in walk(section.blocks) if isinstance(block, Figure)]
    assert captions and all("over the correctly classified evaluation images" in text for text in captions)


def test_the_table_has_both_preferences(recorded):
    (fold,) = (block for block in built(recorded, selective()).blocks if isinstance(block, Fold))
    assert fold.blocks[0].rows[0] == (2, "3", 24, "3.08", "0.60", "3", "3.08", "0.692")


def test_every_layer_with_channels_that_makes_new_values_is_drawn(recorded):
    run = open_run(recorded)
    section = activity.build(PageContext(Moment(run, 12), Moment(run, 0), Options()))
    drawn = {block.name for block in walk(section.blocks) if isinstance(block, Figure)}
    roles = {layer.role for layer in run.network.distinct if f"activity-{layer.path.replace('/', '-')}" in drawn}
    assert roles == {Role.CONV, Role.DENSE, Role.ACTIVATION}
    assert {layer.role for layer in run.network.distinct} > roles


def test_attention_weights_have_no_channels_which_is_said(recorded):
    run = open_run(recorded)
    read = Layer("block/query", "Dense", Role.DENSE, (5, 2, 4), ("t", "head", "channel"), inputs=(INPUT,))
    weights = Layer("block/attention_weights", "attention_weights", Role.ATTENTION, (2, 5, 5), ATTENTION)
    last, sums = run.observations[12], run.observations[12].outcome.label_sums
    maps = {x.path: np.zeros((8, *x.shape), np.float32) for x in (read, weights)}
    sums = {**sums, read.path: np.ones((10, 8)), weights.path: np.ones((10, 5))}
    outcome = replace(last.outcome, label_sums=sums)
    network = replace(run.network, layers={**run.network.layers, read.path: read, weights.path: weights})
    seen = replace(last, maps={**last.maps, **maps}, outcome=outcome)
    for shown, layers, said in (
        (replace(run, network=network, observations={12: seen}), {read.path}, True),
        (run, set(), False),
    ):
        section = activity.build(PageContext(Moment(shown, 12), Moment(shown, 0), Options()))
        assert ("Attention weights have no channels and are left out" in section.blocks[-1].text) is said
        assert ("heads, of 4 channels each, channels are numbered head after head" in section.blocks[-1].text) is said
        named = {row[0] for row in section.numbers[0].rows()}
        assert named & {read.path, weights.path} == layers
