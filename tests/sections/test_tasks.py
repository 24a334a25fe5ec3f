"""A section for each kind of task: what it says is what the CSV files and plain NumPy say."""

import re
from dataclasses import replace

import numpy as np
import pytest

from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.core.outcome import Classification, Dense, Kind, MultiLabel, Reconstruction, Regression, Tokens
from reportgen.core.report import Figure, Fold, Mosaic, Table
from reportgen.core.run import Batch, MetricRow, TopExamples
from reportgen.page.html import html
from reportgen.sections import (
    PAGES,
    Moment,
    Options,
    PageContext,
    activity,
    dense,
    maps,
    measures,
    multilabel,
    reconstruction,
    regression,
    tokens,
    unscored,
)
from reportgen.sections.assemble import Pages
from reportgen.sections.limits import LADDER, left_out
from reportgen.sections.tokens import position_names
from tests.sections.made import document, made, rows_of

NBSP = "\N{NO-BREAK SPACE}"
DRAWN = np.random.default_rng(0)


def regression_run(noise=0.1, values=1, **more):
    inputs = DRAWN.normal(size=(60, 3)).astype(np.float32)
    true = DRAWN.normal(size=(60, values)).astype(np.float32)
    predicted = true + noise * DRAWN.normal(size=true.shape).astype(np.float32)
    return made(Kind.REGRESSION, Regression(predicted), Batch(60, inputs, true), **more)


def test_a_regression_is_told_by_r2_and_mae_which_the_csv_gives_again():
    context = regression_run(values=2)
    section = regression.build(context)
    rows = rows_of(section, "regression.csv")
    true, predicted = (np.array([row[name] for row in rows]).reshape(60, 2) for name in ("true", "predicted"))
    share = np.mean(1 - np.square(predicted - true).sum(axis=0) / np.square(true - true.mean(axis=0)).sum(axis=0))
    assert section.finding.startswith(f"R² is {share:.3f} and MAE is {np.abs(predicted - true).mean():.3g} (95{NBSP}%")
    assert "over 60 evaluation examples; predicting their mean has an MAE of" in section.finding
    assert [row["residual"] for row in rows] == [row["predicted"] - row["true"] for row in rows]
    largest = max(rows, key=lambda row: abs(row["residual"] / true[:, row["value"]].std()))
    worst = next(block for block in section.blocks if isinstance(block, Table) and block.name == "regression-worst")
    assert worst.rows[0][0] == str(largest["index"])


def test_a_regression_that_is_no_better_than_the_mean_is_said_to_be_so():
    assert "no better than predicting their mean" in regression.build(regression_run(noise=2.0)).finding


def test_predictions_that_are_not_finite_are_counted():
    broken = np.array([[np.nan], [1.0], [np.inf]], np.float32)
    context = made(Kind.REGRESSION, Regression(broken), Batch(3, np.zeros((3, 2)), np.ones((3, 1), np.float32)))
    assert regression.build(context).finding.startswith("Of 3 evaluation examples, 2 have a prediction that is not")
    html(document(context))


def dense_run(right=0.9, classes=("ground", "road"), **more):
    truth = (DRAWN.random((30, 6, 5)) < 0.4).astype(np.int32)
    guess = np.where(DRAWN.random(truth.shape) < right, truth, 1 - truth)
    truth[0, 0, 0] = -1
    counted = truth >= 0
    matrix = np.bincount((truth * 2 + guess)[counted], minlength=4).reshape(2, 2)
    each = [((truth == guess) & counted).sum(axis=(1, 2)), counted.sum(axis=(1, 2))]
    outcome = Dense(matrix.astype(np.int64), *(part.astype(np.int64) for part in each), guess[:2].astype(np.int64))
    images = DRAWN.random((30, 6, 5, 1)).astype(np.float32)
    probe = Batch(2, images[:2], truth[:2])
    return made(Kind.DENSE, outcome, Batch(30, images, truth), probe, classes=classes, **more)


def test_a_segmentation_shows_masks_and_says_how_many_positions_are_right():
    context = dense_run()
    section, outcome = dense.build(context), context.outcome
    rows = rows_of(section, "dense_examples.csv")
    right, counted = (sum(row[name] for row in rows) for name in ("correct", "positions"))
    assert counted == 30 * 30 - 1
    assert section.finding.startswith(f"{100 * right / counted:.1f}{NBSP}% of {counted} positions in 30 evaluation ima")
    assert "The most frequent class, ground, has" in section.finding
    assert [list(row.values())[1:] for row in rows_of(section, "dense_confusion.csv")] == outcome.matrix.tolist()
    assert {"dense-probe", "dense-iou", "dense-confusion", "dense-worst"} <= {
        block.name for block in section.blocks[:-1]
    }
    assert "Left of that, positions without a class are grey." in section.blocks[0].caption
    whole = replace(context.run.batch("probe"), targets=np.abs(context.run.batch("probe").targets))
    run = replace(context.run, batches={**context.run.batches, "probe": whole})
    shown = dense.build(PageContext(Moment(run, 10), Moment(run, 0), Options())).blocks[0]
    assert shown.caption.endswith("positions whose class is wrong are dark.")
    table = next(block for block in section.blocks if isinstance(block, Table) and block.name == "dense-classes")
    both = np.diag(outcome.matrix)
    united = both / (outcome.matrix.sum(axis=0) + outcome.matrix.sum(axis=1) - both)
    assert [row[3] for row in table.rows] == [f"{share:.3f}" for share in united]


def test_a_segmentation_below_the_most_frequent_class_makes_no_claim():
    assert "no more than always predicting ground would" in dense.build(dense_run(right=0.5)).finding


def test_tags_of_a_sequence_stand_beside_its_tokens():
    words, truth = np.array([[0, 1, 2]] * 4, np.int32), np.array([[0, 1, -1]] * 4, np.int32)
    guess = np.array([[0, 0, 1]] * 2, np.int64)
    outcome = Dense(np.array([[4, 0], [4, 0]]), np.array([1] * 4), np.array([2] * 4), guess)
    context = made(
        Kind.DENSE,
        outcome,
        Batch(4, words, truth),
        Batch(2, words[:2], truth[:2]),
        classes=("name", "verb"),
        vocabulary=("Ann", " ran", "."),
    )
    table = next(block for block in dense.build(context).blocks if isinstance(block, Table) and "tags" in block.name)
    assert table.rows == ((0, "Ann", "name", "name", ""), (1, "␣ran", "verb", "name", "wrong"))


def tokens_run(vocabulary=(), time=12, sequences=20, **more):
    ids = DRAWN.integers(0, 6, (sequences, time)).astype(np.int32)
    losses = DRAWN.gamma(2.0, 0.5, ids.shape).astype(np.float32)
    losses[:, 0] = np.nan
    best = np.where(DRAWN.random(ids.shape) < 0.6, ids, 0).astype(np.int64)
    best[:, 0] = -1
    counts = np.isfinite(losses).sum(axis=0).astype(np.int64)
    sums = np.nansum(losses, axis=0, dtype=float)
    outcome = Tokens(sums, counts, (best == ids).sum(axis=0).astype(np.int64), losses, best)
    first = Tokens(3 * sums, counts, counts // 6, 3 * losses, best)
    probe = Batch(2, ids[:2])
    return made(Kind.TOKENS, outcome, Batch(sequences, ids), probe, vocabulary=vocabulary, first=first, **more)


def test_a_language_model_is_told_by_its_perplexity_which_the_csv_gives_again():
    context = tokens_run(vocabulary=list("abcdef"))
    section = tokens.build(context)
    losses = np.array([row["loss"] for row in rows_of(section, "tokens.csv")])
    assert f"tokens of 20 evaluation sequences is {losses.mean():.3f} nats: a perplexity of" in section.finding
    places = [row for row in rows_of(section, "tokens_by_position.csv") if row["epoch"] == 2]
    assert sum(row["loss"] * row["tokens"] for row in places if row["tokens"]) == pytest.approx(losses.sum())
    assert places[0]["loss"] is None
    most = next(block for block in section.blocks if isinstance(block, Table) and block.name == "tokens-most")
    assert float(most.rows[0][5]) == pytest.approx(losses.max(), abs=0.005)
    sequence, at = most.rows[0][:2]
    letters = ["abcdef"[token] for token in context.run.batch("evaluation").inputs[sequence]]
    assert most.rows[0][2:4] == ("".join(letters[:at]), letters[at])


def test_positions_have_names_whose_spaces_show_where_they_are_text():
    run = made(Kind.NONE, None, Batch(1, np.zeros((1, 3))), vocabulary=(" the", "\n", "cat ")).run
    assert position_names(run, np.array([0, 1, 2])) == ["0 ␣the", "1 ⏎", "2 cat␣"]
    assert position_names(replace(run, vocabulary=()), np.array([7, 30])) == ["0 7", "1 30"]


def read_out(page):
    """What a reader reads of a page, not the names of elements and classes, in lower case."""
    text = re.sub(r"(?s)<script.*?</script>", "", page[page.index("<main") :]).lower()
    return [part.partition(">")[2] for part in text.split("<")]


@pytest.mark.parametrize("size", [10_000_000, 1])
def test_the_page_of_a_language_model_never_says_image(size):
    context = tokens_run(vocabulary=list("abcdef"))
    page = read_out(html(Pages(context, PAGES["training"]).within(size, lambda document: len(html(document)))))
    assert any("perplexity" in part for part in page)
    assert any("to stay below" in part and "probe sequences" in part for part in page) == (size == 1)
    assert not [part for part in page if re.search("image|picture|feature map", part)]


@pytest.mark.parametrize("noun", ["sequence", "example"])
def test_what_a_rung_leaves_out_of_inputs_that_are_no_pictures_is_named_after_them(noun):
    said = [part for limits in LADDER for part in left_out(limits, 12, 0, noun=noun, pictures=False)]
    assert f"activations for 11 of 12 probe {noun}s" in said
    assert not [part for part in said if re.search("image|picture|feature map", part)]


def test_the_page_of_a_network_of_series_never_says_image():
    series = np.zeros((4, 40, 1), np.float32)
    labels = np.arange(4) % 2
    layer = Layer("conv", "Conv", Role.CONV, (40, 3), ("t", "channel"), inputs=(INPUT,))
    sums = {"conv": np.ones((2, 3))}
    outcome = Classification(labels, np.ones(4, np.float32), np.array([2, 2]), sums, np.ones(2))
    maps = {"conv": np.zeros((2, 40, 3), np.float32)}
    batches = Batch(4, series, labels), Batch(2, series[:2], labels[:2])
    context = made(Kind.CLASSIFICATION, outcome, *batches, classes=("calm", "loud"), layers=(layer,), maps=maps)
    page = document(context)
    assert "4 test examples" in page.headline
    assert "images" not in {section.anchor for section in page.sections}
    assert not [section.finding for section in page.sections if "image" in section.finding]


@pytest.mark.parametrize(
    "vocabulary",
    [
        ["שלום ", "עולם ", "זה ", "טוב ", "מאוד ", ". "],
        ["你", "好", "世", "界", "。", "\n"],
        ["Ġthe", "ĠcafÃ©", "Ã", "©", "Ċ", "Ġ"],
        ["▁Hello", "▁wor", "ld", "<0x0A>", "</s>", "\ufffd"],
        [],
    ],
)
def test_any_vocabulary_can_be_shown(vocabulary):
    context = tokens_run(vocabulary, time=30)
    assert "tokens-text" in html(document(context))


def test_a_thousand_tokens_are_drawn_and_more_are_cut_with_a_word():
    page = html(document(tokens_run(list("abcdef"), time=1200, sequences=3)))
    assert "its first 1,000 of 1,200 tokens" in page


def test_byte_pieces_become_the_text_that_they_stand_for():
    run = made(Kind.TOKENS, None, Batch(1), vocabulary=["Ġthe", "ĠcafÃ©", "Ã", "Ċ", "▁x"]).run
    assert tokens.pieces_of(run, np.array([0, 1, 2, 3, 9])) == [" the", " café", "<C3>", "\n", "<9>"]
    run = made(Kind.TOKENS, None, Batch(1), vocabulary=["▁a", "b"]).run
    assert tokens.pieces_of(run, np.array([0, 1])) == [" a", "b"]
    assert tokens.pieces_of(made(Kind.TOKENS, None, Batch(1)).run, np.array([7, 1])) == ["7 ", "1 "]


def reconstruction_run(noise, shape=(6, 6, 1), targets=False, **more):
    inputs = DRAWN.random((40, *shape)).astype(np.float32)
    outputs = inputs + noise * DRAWN.normal(size=inputs.shape).astype(np.float32)
    errors = np.square(outputs - inputs).reshape(40, -1).mean(axis=1)
    given = inputs if targets else None
    outcome = Reconstruction(errors, outputs[:2])
    batches = Batch(40, inputs, given), Batch(2, inputs[:2], None if given is None else given[:2])
    return made(Kind.RECONSTRUCTION, outcome, *batches, **more)


@pytest.mark.parametrize("shape", [(6, 6, 1), (6, 6, 3), (6, 6), (10,), (3, 40, 40, 2)])
@pytest.mark.parametrize("targets", [False, True])
def test_a_reconstruction_shows_output_and_difference_and_its_error(shape, targets):
    context = reconstruction_run(0.05, shape, targets)
    section = reconstruction.build(context)
    errors = [row["error"] for row in rows_of(section, "reconstruction.csv")]
    assert section.finding.startswith(f"The mean squared error per value is {np.mean(errors):.3g} (95{NBSP}% interval")
    assert "of the variance is reproduced" in section.finding
    assert any(getattr(block, "name", "") == "reconstruction-probe" for block in section.blocks) == (len(shape) < 4)
    html(document(context))


def test_a_reconstruction_that_gives_the_mean_has_reproduced_nothing():
    assert "no smaller than that of always giving their mean, " in reconstruction.build(reconstruction_run(1.0)).finding


def multilabel_run(right=0.9, **more):
    true = (DRAWN.random((80, 3)) < [0.5, 0.3, 0.1]).astype(np.uint8)
    guess = np.where(DRAWN.random(true.shape) < right, true, 1 - true)
    outcome = MultiLabel((guess * 2.0 - 1).astype(np.float32))
    inputs = DRAWN.random((80, 5)).astype(np.float32)
    return made(Kind.MULTILABEL, outcome, Batch(80, inputs, true), classes=("cat", "dog", "eel"), **more)


def test_several_classes_are_told_by_precision_recall_and_f1():
    section = multilabel.build(multilabel_run())
    rows = rows_of(section, "multilabel.csv")
    both, guessed, have = (sum(row[name] for row in rows) for name in ("both", "predicted", "true"))
    said = re.match(rf"F1 is (0.\d{{3}}) \(95{NBSP}% interval (0.\d{{3}}) to (0.\d{{3}})\)", section.finding)
    value, low, high = map(float, said.groups())
    assert value == pytest.approx(2 * both / (guessed + have), abs=5e-4) and low < value < high
    for row in rows:
        assert row["precision"] == row["both"] / row["predicted"]
        assert row["recall"] == row["both"] / row["true"]
        assert row["f1"] == pytest.approx(2 * row["both"] / (row["predicted"] + row["true"]))
    scores = rows_of(section, "multilabel_scores.csv")
    assert sum(row["true"] for row in scores if row["class"] == "cat") == rows[0]["true"]


def test_classes_at_chance_are_no_claim():
    assert "no more than predicting every class would give" in multilabel.build(multilabel_run(right=0.5)).finding


def test_what_is_not_scored_is_said_with_its_reason():
    nothing = made(Kind.NONE, None, Batch(9, np.zeros((9, 2))), reported={"episode_return": 3.0})
    section = unscored.build(nothing)
    assert section.finding.startswith("It was recorded without targets")
    assert "training loss and episode_return" in section.finding
    assert document(nothing).headline.startswith(
        "Net was trained for 2 epochs; nothing is scored. From epoch 1 to epoch 2, "
    )
    reason = "all 9 labels are 0, so that there is nothing to tell apart"
    told = made(Kind.NONE, None, Batch(9, np.zeros((9, 2)), np.zeros(9, np.int64)), reason=reason)
    assert unscored.build(told).finding.startswith(f"{reason[0].upper()}{reason[1:]}.")


def test_which_of_several_outputs_is_scored_is_said():
    page = html(document(regression_run(output="head/mean")))
    assert "scored is the one called “head/mean”" in page


@pytest.mark.parametrize(
    ("context", "headline", "figure"),
    [
        (regression_run(), "Net predicts 60 test examples with an R² of 0.9", "R²"),
        (
            dense_run(right=1.0),
            "Net classifies 100.0\N{NO-BREAK SPACE}% of the positions of 30 test images",
            "mean IoU",
        ),
        (tokens_run(), "Net predicts the next token of 20 test sequences with a perplexity of", "perplexity"),
        (
            reconstruction_run(0.1),
            "Net reconstructs 40 test images with a mean squared error of 0.0",
            "mean squared error",
        ),
        (multilabel_run(), "Net finds the classes of 80 test examples with an F1 of 0.", "F1"),
    ],
)
def test_the_headline_is_in_the_tasks_own_measure(context, headline, figure):
    found = document(context)
    assert found.headline.startswith(headline)
    assert found.headline.endswith("after 2 epochs; one seed.")
    assert figure in dict(found.key_figures)
    curves = next(section for section in found.sections if section.anchor == "curves")
    assert "Loss" in curves.title
    assert "measured by the recorder" in html(found)


def test_only_the_sections_of_the_own_task_are_on_a_page():
    for context in (regression_run(), tokens_run(), reconstruction_run(0.1)):
        anchors = {section.anchor for section in document(context).sections}
        own = {"regression", "dense", "tokens", "reconstruction", "multilabel", "mistakes", "unscored"}
        assert len(anchors & own) == 1
    assert isinstance(context.outcome, Reconstruction) and not isinstance(context.outcome, Classification)


def test_the_tokens_to_which_a_channel_responds_stand_in_their_text():
    context = tokens_run(vocabulary=list("abcdef"))
    run, ids = context.run, context.run.batch("evaluation").inputs
    hidden = Layer("hidden", "Dense", Role.DENSE, (12, 2), ("t", "channel"), inputs=(INPUT,))
    top = TopExamples(
        np.array([[3.0, 2.0]], np.float32), np.array([[4, 7]]), np.array([[[5], [0]]])
    )  # channel 0: place 5 of sequence 4; channel 1: place 0 of sequence 7
    last = replace(run.observations[10], top={"hidden": top}, maps={"hidden": np.zeros((2, 12, 2), np.float32)})
    run = replace(run, network=Network("Net", {"hidden": hidden}), observations={10: last})
    section = activity.build(PageContext(Moment(run, 10), Moment(run, 0), Options(embedding="pca")))
    fold = next(block for block in section.blocks if isinstance(block, Fold))
    letters = ["".join("abcdef"[token] for token in ids[sequence]) for sequence in (4, 7)]
    assert fold.blocks[0].rows == (
        (0, f"{letters[0][:5]}[{letters[0][5]}] (3)"),
        (1, f"[{letters[1][0]}] (2)"),
    )


def test_one_logit_and_several_outputs_are_told_in_the_overview():
    labels = np.arange(30) % 2
    outcome = Classification(labels, np.zeros(30, np.float32), np.array([15, 15]), {}, np.zeros(2))
    inputs = np.zeros((30, 3), np.float32)
    one = Layer("head", "Dense", Role.DENSE, (1,), ("channel",), inputs=(INPUT,), params={"head/kernel": (3, 1)})
    context = made(
        Kind.CLASSIFICATION,
        outcome,
        Batch(30, inputs, labels),
        classes=("no", "yes"),
        output="0",
        layers=(one,),
        maps={"head": np.zeros((2, 1), np.float32)},
    )
    overview = next(section for section in document(context).sections if section.anchor == "overview")
    assert "scored is the one called “0”" in overview.finding
    assert "one number per example is taken for the score of class yes" in overview.finding


def test_a_number_per_example_is_a_channel():
    one = Layer("value", "reshape", Role.RESHAPE, (), ())
    context = regression_run(layers=(one,), maps={"value": np.arange(2.0, dtype=np.float32)})
    section = maps.build(context)
    assert [row["max"] for row in rows_of(section, "channels.csv")] == [0.0, 1.0]


def test_a_network_is_not_called_by_the_class_that_holds_any():
    context = regression_run()
    run = replace(context.run, config={"model": "Sequential"})
    page = document(PageContext(Moment(run, 10), Moment(run, 0), Options(embedding="pca")))
    assert page.title == "A network with 12 parameters"
    assert page.headline.startswith("The network predicts 60 test examples")


def test_where_nothing_is_scored_the_headline_says_what_the_loop_reported():
    context = made(Kind.NONE, None, Batch(4, np.zeros((4, 3), np.float32)), reported={"reward": 2.5})
    page = document(context)
    went = "From epoch 1 to epoch 2, training loss went from 0.167 to 0.0909 and reward from 2.5 to 2.5"
    assert page.headline == f"Net was trained for 2 epochs; nothing is scored. {went} (means over updates)."
    curves = next(section for section in page.sections if section.anchor == "curves")
    assert curves.finding.startswith(went)


@pytest.mark.parametrize(("shape", "form"), [((8, 8, 1), "8×8"), ((8, 8, 2), None), ((4, 4, 1), None)])
def test_an_output_reshaped_to_a_picture_is_drawn_as_one(shape, form):
    layer = Layer("out", "reshape", Role.RESHAPE, shape, ("?", "?", "channel"), inputs=(INPUT,))
    values = np.arange(2.0 * np.prod(shape), dtype=np.float32).reshape(2, *shape)
    made_of = {"layers": (layer,), "maps": {"out": values}}
    section = maps.build(made(Kind.NONE, None, Batch(4, np.zeros((4, 3), np.float32)), **made_of))
    first = section.blocks[0].figures[0]
    assert isinstance(first.picture, Mosaic) is (form is not None)
    assert (f"1 channel of {form}" in first.caption) is (form is not None)


def test_one_epoch_of_reported_metrics_goes_nowhere():
    context = made(Kind.NONE, None, Batch(4, np.zeros((4, 3), np.float32)))
    rows = tuple(row for row in context.run.metrics.steps if row.epoch == 1)
    run = replace(context.run, metrics=replace(context.run.metrics, steps=rows))
    text = measures.reported(PageContext(Moment(run, 10), Moment(run, 0), Options()))
    assert text == "In epoch 1, the loop reported training loss 0.167 (means over updates)"


def test_the_third_example_of_a_layer_and_its_third_call_have_names_of_their_own():
    layers = [
        Layer("take", "take", Role.OTHER, (5, 2), ("t", "channel"), inputs=(INPUT,)),
        Layer("take#3", "take", Role.OTHER, (4,), ("channel",), inputs=("take",)),
    ]
    probe = Batch(4, np.zeros((4, 3), np.float32))
    recorded = {"take": DRAWN.normal(size=(4, 5, 2)), "take#3": DRAWN.normal(size=(4, 4))}
    context = made(Kind.NONE, None, probe, probe, layers=layers, maps=recorded)
    page = html(document(context))
    assert 'id="maps-take-3"' in page and 'id="maps-take-3-all"' in page


def test_a_number_reads_alike_in_headline_and_curves():
    far = regression_run(noise=0.5)
    first = Regression(np.full_like(far.outcome.predictions, 9.0))
    run = made(Kind.REGRESSION, far.outcome, far.run.batch("evaluation"), first=first)
    sections = {section.anchor: section for section in document(run).sections}
    (r2,) = (value for name, value in document(run).key_figures if name == "R²")
    assert len(r2) == 5 and f" to {r2} after epoch 2" in sections["curves"].finding
    assert f"an R² of {r2} and" in document(run).headline
    assert sections["network"].finding == "Net has 12 parameters in 1 layer."


def test_what_lies_beyond_a_pictures_range_is_said():
    inputs = DRAWN.random((40, 8, 8, 1)).astype(np.float32)
    captions = []
    for outputs in (inputs, 3 * inputs):
        outcome = Reconstruction(np.full(40, 0.1, np.float32), outputs[:2])
        section = reconstruction.build(made(Kind.RECONSTRUCTION, outcome, Batch(40, inputs), Batch(2, inputs[:2])))
        captions.append(section.blocks[0].caption)
    assert captions[0].endswith("white is 1.") and captions[1].endswith("white is 1, as is what lies beyond.")


def test_what_is_reported_of_updates_alone_is_averaged_over_each_epoch():
    context = made(Kind.NONE, None, Batch(9, np.zeros((9, 2))))
    steps = [MetricRow(n, 1 + (n > 5), {}, {"train_loss": 1.0 / n, "episode_return": 2.0 * n}) for n in range(1, 11)]
    epochs = tuple(MetricRow(step, step // 5) for step in (0, 5, 10))
    run = replace(context.run, metrics=replace(context.run.metrics, steps=tuple(steps), epochs=epochs))
    page = document(PageContext(Moment(run, 10), Moment(run, 0), Options(embedding="pca")))
    sections = {section.anchor: section for section in page.sections}
    table = sections["overview"].blocks[0].blocks[0]
    assert table.columns == ("Epoch", "Step", "Training loss", "episode_return")
    means = np.mean([1 / n for n in range(1, 6)]), np.mean([1 / n for n in range(6, 11)])
    assert table.rows == ((0, 0, None, None), (1, 5, means[0], 6.0), (2, 10, means[1], 16.0))
    loss, other = (block for block in sections["curves"].blocks if isinstance(block, Figure))
    assert "averaged over each epoch's updates; grey behind it, the loss of each update's batch" in loss.caption
    assert ">training<" in loss.picture.svg
    assert other.caption.endswith("grey: of each update; line: their mean in each epoch.")
    assert rows_of(sections["overview"], "metrics.csv")[-1]["epoch_episode_return"] == 16.0
