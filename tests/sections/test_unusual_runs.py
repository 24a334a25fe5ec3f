"""Runs that are short, long, collapsed or untrained: each sentence holds on them, and no number reads oddly."""

import re

import flax.linen as nn
import jax
import numpy as np
import pytest

import reportgen
from reportgen.core.report import Figure
from reportgen.page.html import html
from reportgen.page.outline import walk

DRAWN = np.random.default_rng(0)
IMAGES, LABELS = DRAWN.random((2000, 8, 8, 1), np.float32), np.arange(2000) % 10


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x)).reshape(len(x), -1)
        return nn.Dense(10, name="output")(nn.relu(nn.Dense(8, name="hidden")(x)))


def walked(variables, share):
    """The parameters a step further on a random walk."""
    step = [DRAWN.normal(0, share, leaf.shape).astype(np.float32) for leaf in jax.tree.leaves(variables)]
    return jax.tree.map(np.add, variables, jax.tree.unflatten(jax.tree.structure(variables), step))


def recorded_run(path, epochs, share=0.05, *, collapse=False, few=200):
    """A run of so many epochs of one update; in the end no channel answers if it is to `collapse`."""
    model = Net()
    variables = model.init(jax.random.key(0), IMAGES[:1])
    data = {
        "probe": (IMAGES[:2], LABELS[:2]),
        "evaluation": (IMAGES[:200], LABELS[:200]),
        "embedding": (IMAGES[:few], LABELS[:few]),
    }
    with reportgen.Recorder(path, model, variables, **data, keep=reportgen.Keep(loss=True)) as recorder:
        for epoch in range(epochs):
            variables = walked(variables, share)
            if collapse and epoch == epochs - 1:
                layers = {name: dict(layer) for name, layer in variables["params"].items()}
                layers["conv"]["bias"] = layers["conv"]["bias"] - 50_000
                layers["hidden"]["bias"] = layers["hidden"]["bias"] - 50_000
                variables = {"params": layers}
            recorder.step(variables["params"], loss=1.0 / (epoch + 1))
            recorder.epoch(variables)
    return path


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unusual")
    runs = {
        "untrained": recorded_run(folder / "untrained", 0),
        "short": recorded_run(folder / "short", 1),
        "collapsed": recorded_run(folder / "collapsed", 3, collapse=True),
        "long": recorded_run(folder / "long", 100, few=len(IMAGES)),
    }
    return {name: reportgen.build(run, embedding="pca").document for name, run in runs.items()}


def finding(document, anchor):
    return next(part.finding for part in document.sections if part.anchor == anchor)


def captions(document):
    blocks = (block for part in document.sections for block in walk(part.blocks))
    return [block.caption for block in blocks if isinstance(block, Figure)]


@pytest.mark.parametrize("name", ["untrained", "short", "collapsed", "long"])
def test_sentences_are_short_and_numbers_read_as_numbers(documents, name):
    document = documents[name]
    said = (document.headline, *document.warnings, *(part.finding for part in document.sections))
    assert max(len(sentence) for text in said for sentence in text.split(". ")) <= 250
    page = html(document)
    text = re.sub(r"<(script|style).*?</\1>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\d[eE][-+]\d", text), "powers of ten are written as such"
    assert not re.search(r"−0(\.0+)?(?![.\d])", text), "0 has no sign"
    assert not re.search(r"\b1 (?:of \d+ [\w ]+ are|epochs|updates|images)\b", text)
    assert not re.findall(r"<text[^>]*>−?\d{4,}</text>", page), "thousands are set apart"
    assert "NaN" not in re.sub(r"NaN (and|or) infinit", "", text)


def test_an_untrained_network_is_said_to_be_one(documents):
    document = documents["untrained"]
    assert document.headline.endswith("before any training.")
    assert not {"curves", "change", "explorer"} & {part.anchor for part in document.sections}
    said = " ".join(part.finding for part in document.sections)
    assert not re.search(r"\b(still|rose|fell|moved|forgotten|changed)\b", said)


def test_after_one_epoch_nothing_is_said_to_go_on(documents):
    document = documents["short"]
    assert "still" not in finding(document, "curves") + finding(document, "embedding")
    assert "points moved" in finding(document, "embedding")
    assert "forgotten" not in finding(document, "examples")
    blocks = (block for part in document.sections for block in walk(part.blocks))
    updates = next(block for block in blocks if getattr(block, "name", "") == "health-updates")
    assert updates.columns == ("Kernel", "Step 1") and all(len(row) == 2 for row in updates.rows)


def test_a_collapsed_network_has_no_strongest_channel_and_no_layout(documents):
    document = documents["collapsed"]
    assert finding(document, "embedding") == (
        "200 evaluation images have one and the same vector in hidden/relu at the end: their places there mean nothing."
    )
    assert finding(document, "maps").endswith("In conv/relu, every value is 0 on probe 0 (0).")
    assert not [caption for caption in captions(document) if "largest value, 0" in caption or " 0 to 0" in caption]
    assert any(caption.endswith(" Every value is 0.") for caption in captions(document))
    worst = next(
        b for part in document.sections for b in walk(part.blocks) if getattr(b, "name", "") == "examples-worst"
    )
    assert not [column for column in worst.columns if column.startswith("Nearest")], "all are equally near"
    assert "are dead after epoch 3" in " ".join(document.warnings)
    assert finding(document, "parameters").split(" changed most: by ")[1].split(" of")[0].count(",") <= 2


def test_a_hundred_epochs_of_two_thousand_points(documents):
    document = documents["long"]
    embedding = next(part for part in document.sections if part.anchor == "embedding")
    moving = embedding.blocks[0]
    assert moving.live and len(moving.picture.frame_names) <= 31
    assert "101" in moving.alt.split(" frames")[0]
    multiples = next(block for block in embedding.blocks if getattr(block, "name", "") == "embedding-multiples")
    assert multiples.caption.endswith("6 of 101, chosen by change.")
    assert len(html(document).encode()) < 4e6
