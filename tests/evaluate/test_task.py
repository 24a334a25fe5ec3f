"""What is scored follows from outputs, targets and inputs; each outcome against plain NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import Recorder, Task, open_run
from reportgen.analysis.scores import scores
from reportgen.capture import prepare
from reportgen.core.outcome import MOST_CLASSES, Kind
from reportgen.core.run import Batch
from reportgen.errors import DataError, OptionError
from reportgen.evaluate import Observer, scores_in, task_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6)).astype(np.float32)
IMAGES = RNG.random((12, 8, 8, 1)).astype(np.float32)
TOKENS = RNG.integers(0, 11, (9, 7))
LABELS = np.arange(20) % 3
BITS = RNG.integers(0, 2, (20, 6)).astype(np.float32)


class Head(nn.Module):
    out: int
    squeeze: bool = False
    sigmoid: bool = False

    @nn.compact
    def __call__(self, x):
        y = nn.Dense(self.out)(nn.relu(nn.Dense(4)(x.reshape(len(x), -1))))
        y = nn.sigmoid(y) if self.sigmoid else y
        return y[:, 0] if self.squeeze else y


class Pixels(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x):
        return nn.Conv(self.out, (3, 3))(nn.relu(nn.Conv(5, (3, 3))(x)))


class Language(nn.Module):
    causal: bool = True

    @nn.compact
    def __call__(self, inputs):
        tokens = inputs["tokens"] if isinstance(inputs, dict) else inputs
        h = nn.Embed(11, 8)(tokens)
        mask = nn.make_causal_mask(tokens) if self.causal else None
        h = h + nn.MultiHeadDotProductAttention(num_heads=2)(h, mask=mask)
        return nn.Dense(11)(nn.relu(nn.Dense(16)(h)))


class Vocabulary(nn.Module):
    """More tokens than are compared as classes."""

    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(MOST_CLASSES + 1)(nn.Embed(11, 8)(tokens))


class Several(nn.Module):
    names: tuple[str, ...] = ("a", "b")

    @nn.compact
    def __call__(self, x):
        return {name: nn.Dense(3)(x) for name in self.names}


def observed(model, inputs, targets=None, classes=None, task=None):
    """The task, the shape of the scored output, the model's output, and what an observer makes of it."""
    variables = model.init(jax.random.key(1), jax.tree.map(jnp.asarray, inputs))
    capture = prepare(model, variables, inputs)
    size = len(jax.tree.leaves(inputs)[0])
    batch = Batch(size, inputs, targets)
    found, shape = task_of(capture, variables, batch, classes, task)
    output = jax.device_get(model.apply(variables, inputs))
    count = scores_in(found, shape)
    return (
        found,
        output,
        Observer(capture, {"probe": batch, "evaluation": batch}, found, count)(variables, 0, 0).outcome,
    )


@pytest.mark.parametrize(
    ("model", "inputs", "targets", "kind"),
    [
        (Head(3), X, LABELS, Kind.CLASSIFICATION),
        (Head(10), X, LABELS, Kind.CLASSIFICATION),
        (Head(1), X, LABELS % 2, Kind.CLASSIFICATION),
        (Head(1, squeeze=True), X, (LABELS % 2).astype(np.float32), Kind.CLASSIFICATION),
        (Head(3), X, np.eye(3, dtype=np.float32)[LABELS], Kind.CLASSIFICATION),
        (Head(3), X, RNG.integers(0, 2, (20, 3)), Kind.MULTILABEL),
        (Head(6), BITS, BITS, Kind.RECONSTRUCTION),
        (Head(2), X, X[:, :2], Kind.REGRESSION),
        (Head(1), X, X[:, 0], Kind.REGRESSION),
        (Head(1, squeeze=True), X, X[:, :1], Kind.REGRESSION),
        (Head(6), X, None, Kind.RECONSTRUCTION),
        (Head(6), X, X, Kind.RECONSTRUCTION),
        (Head(6), X, np.zeros(20, int), Kind.RECONSTRUCTION),
        (Head(5), X, None, Kind.NONE),
        (Head(1), X, LABELS, Kind.NONE),
        (Pixels(4), IMAGES, RNG.integers(0, 4, (12, 8, 8)), Kind.DENSE),
        (Pixels(1), IMAGES, RNG.integers(0, 2, (12, 8, 8, 1)), Kind.DENSE),
        (Pixels(4), IMAGES, np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (12, 8, 8))], Kind.DENSE),
        (Pixels(1), IMAGES, None, Kind.RECONSTRUCTION),
        (Pixels(1), IMAGES, IMAGES**2, Kind.RECONSTRUCTION),
        (Language(), TOKENS, None, Kind.TOKENS),
        (Language(), TOKENS, np.zeros(9, int), Kind.TOKENS),
        (Language(), TOKENS, np.roll(TOKENS, -1, axis=1), Kind.TOKENS),
        (Language(), {"tokens": TOKENS, "mask": np.ones((9, 7), np.int32)}, None, Kind.TOKENS),
        (Language(causal=False), TOKENS, None, Kind.NONE),
        (Language(causal=False), TOKENS, TOKENS, Kind.DENSE),
        (Vocabulary(), TOKENS, TOKENS, Kind.TOKENS),
        (Pixels(MOST_CLASSES + 1), IMAGES, RNG.integers(0, 4, (12, 8, 8)), Kind.NONE),
    ],
)
def test_the_task_follows_from_output_and_targets(model, inputs, targets, kind):
    variables = model.init(jax.random.key(1), jax.tree.map(jnp.asarray, inputs))
    capture = prepare(model, variables, inputs)
    task, _ = task_of(capture, variables, Batch(len(jax.tree.leaves(inputs)[0]), inputs, targets), None)
    assert task.kind is kind and task.output == ""
    assert (task.reason != "") == (kind is Kind.NONE and targets is not None)


def test_of_several_outputs_one_is_scored():
    assert observed(Several(("a", "logits")), X, LABELS)[0] == Task(Kind.CLASSIFICATION, "logits")
    task, *_ = observed(Several(), X, LABELS)
    assert task.kind is Kind.NONE and "several outputs fit the targets ('a', 'b')" in task.reason
    named, output, outcome = observed(Several(), X, LABELS, task=Task("classification", "b"))
    assert named.output == "b"
    np.testing.assert_array_equal(outcome.predictions, output["b"].argmax(axis=1))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task("classification", "c"), r"no output 'c' to score; existing: a, b"),
        (Task("classification"), r"several outputs fit task='classification'; name one"),
        (
            Task("regression"),
            r"task='regression' does not fit: the targets are \[20\] of int64, and the output is a: \[20",
        ),
    ],
)
def test_a_task_that_does_not_fit_is_refused(task, message):
    with pytest.raises(OptionError, match=message):
        observed(Several(), X, LABELS, task=task)


def test_a_kind_that_there_is_not_is_refused():
    with pytest.raises(OptionError, match=r"kind must be one of classification, .*, not 'ranking'"):
        Task("ranking")


@pytest.mark.parametrize("sigmoid", [False, True])
def test_one_logit_or_probability_is_two_classes(sigmoid):
    labels = LABELS % 2
    _, output, outcome = observed(Head(1, sigmoid=sigmoid), X, labels)
    guess = (output[:, 0] > (0.5 if sigmoid else 0)).astype(int)
    np.testing.assert_array_equal(outcome.predictions, guess)
    assert scores(outcome, labels) == {"val_accuracy": np.mean(guess == labels)}
    if not sigmoid:
        np.testing.assert_allclose(outcome.logit_gap, np.where(guess == labels, 0, np.abs(output[:, 0])), rtol=1e-5)


def test_values_are_compared_one_by_one():
    targets = X[:, :2]
    _, output, outcome = observed(Head(2), X, targets)
    np.testing.assert_array_equal(outcome.predictions, output)
    measured = scores(outcome, targets)
    total = np.square(targets - targets.mean(axis=0, dtype=float)).sum(axis=0)
    expected = np.mean(1 - np.square(output - targets.astype(float)).sum(axis=0) / total)
    np.testing.assert_allclose(measured["val_r2"], expected, rtol=1e-6)
    np.testing.assert_allclose(measured["val_mae"], np.abs(output - targets).mean(), rtol=1e-6)
    assert "val_r2" not in scores(outcome, np.ones_like(targets))


def test_several_classes_per_example_are_counted():
    targets = RNG.integers(0, 2, (20, 3))
    _, output, outcome = observed(Head(3), X, targets)
    guess, true = output > 0, targets > 0
    right = (guess & true).sum()
    expected = 2 * right / (2 * right + (guess & ~true).sum() + (~guess & true).sum())
    assert scores(outcome, targets)["val_f1"] == pytest.approx(expected)
    _, likely, outcome = observed(Head(3, sigmoid=True), X, targets)
    np.testing.assert_array_equal(outcome.scores > 0, likely > 0.5)


def test_a_class_per_position_is_counted_where_the_target_is_not_negative():
    targets = RNG.integers(0, 4, (12, 8, 8)).astype(np.int32)
    targets[:, 0] = -1
    _, output, outcome = observed(Pixels(4), IMAGES, targets)
    guess, counted = output.argmax(axis=-1), targets >= 0
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (targets[counted], guess[counted]), 1)
    np.testing.assert_array_equal(outcome.matrix, expected)
    np.testing.assert_array_equal(outcome.counted, np.full(12, 56))
    np.testing.assert_array_equal(outcome.right, ((guess == targets) & counted).sum(axis=(1, 2)))
    np.testing.assert_array_equal(outcome.predicted, guess)
    found = scores(outcome, targets)
    each = [
        (guess[counted] == c)[targets[counted] == c].sum() / ((guess[counted] == c) | (targets[counted] == c)).sum()
        for c in range(4)
    ]
    assert found["val_accuracy"] == pytest.approx((guess == targets)[counted].mean())
    assert found["val_mean_iou"] == pytest.approx(np.mean(each))


def test_the_next_token_is_predicted_from_those_before_it():
    mask = np.ones((9, 7), np.int32)
    mask[:3, 5:] = 0
    _, output, outcome = observed(Language(), {"tokens": TOKENS, "mask": mask})
    logs = output - np.log(np.exp(output).sum(axis=-1, keepdims=True))
    expected = np.full((9, 7), np.nan)
    for i in range(9):
        for t in range(1, 7):
            if mask[i, t]:
                expected[i, t] = -logs[i, t - 1, TOKENS[i, t]]
    np.testing.assert_allclose(outcome.losses, expected, rtol=1e-4)
    np.testing.assert_allclose(outcome.loss_sums, np.nansum(expected, axis=0), rtol=1e-4)
    assert outcome.counts.tolist() == [0, 9, 9, 9, 9, 6, 6]
    assert (outcome.best[:, 0] == -1).all() and outcome.best[0, 1] == output[0, 0].argmax()
    found = scores(outcome, None)
    assert found["val_token_loss"] == pytest.approx(np.nanmean(expected), rel=1e-4)
    assert found["val_perplexity"] == pytest.approx(np.exp(np.nanmean(expected)), rel=1e-4)


def test_given_next_tokens_stand_at_their_own_place():
    targets = np.concatenate([TOKENS[:, 1:], np.full((9, 1), -1)], axis=1).astype(np.int32)
    shifted, given = observed(Language(), TOKENS)[2], observed(Language(), TOKENS, targets)[2]
    np.testing.assert_allclose(given.losses[:, :-1], shifted.losses[:, 1:], rtol=1e-5)
    assert np.isnan(given.losses[:, -1]).all()


def test_values_like_the_inputs_are_compared_as_pictures_are():
    _, output, outcome = observed(Pixels(1), IMAGES)
    np.testing.assert_allclose(outcome.errors, np.square(output - IMAGES).mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(outcome.outputs, output)
    other = IMAGES[::-1].copy()
    _, output, outcome = observed(Pixels(1), IMAGES, other)
    np.testing.assert_allclose(outcome.errors, np.square(output - other).mean(axis=(1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("how", ["list", "loader", "function"])
def test_an_evaluation_in_batches_is_the_evaluation_in_one(tmp_path, how):
    parts = [(X[:9], LABELS[:9]), (X[9:12], LABELS[9:12]), (X[12:], LABELS[12:])]

    class Loader:
        def __iter__(self):
            return ([inputs, targets] for inputs, targets in parts)

    given = {"list": parts, "loader": Loader(), "function": lambda: iter(parts)}[how]
    model = Head(3)
    variables = model.init(jax.random.key(0), X)
    rows = []
    for name, evaluation in (("one", (X, LABELS)), ("parts", given)):
        with Recorder(tmp_path / name, model, variables, probe=X[:2], evaluation=evaluation) as recorder:
            recorder.epoch(variables, steps=1)
        rows.append(open_run(tmp_path / name).observations[1])
    one, several = rows
    np.testing.assert_array_equal(one.outcome.predictions, several.outcome.predictions)
    for path, value in one.outcome.label_sums.items():
        np.testing.assert_allclose(several.outcome.label_sums[path], value, rtol=1e-5)
    np.testing.assert_allclose(one.vectors["embedding"], several.vectors["embedding"], rtol=1e-5)


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (
            iter([(X, LABELS)]),
            r"evaluation is a list_iterator, which ends after one pass; give a list of its batches, or a function",
        ),
        (lambda: 3, r"the function given as evaluation must return an iterable of batches, not int"),
        (list, r"evaluation holds no batch"),
        ([(X, LABELS), X], r"only some batches of evaluation have targets"),
        ((X, X[:, :4]), r"the targets are \[20, 4\] of float32, and the output is \[20, 3\]; leave the targets out"),
        ((X, LABELS[:3]), r"evaluation must be inputs, or .*; got inputs \[20, 6\] and targets \[3\]"),
        (np.array(["a", "b"]), r"evaluation must be .*, as numbers"),
    ],
)
def test_what_is_no_evaluation_is_refused_in_words(tmp_path, evaluation, message):
    model = Head(3)
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(DataError, match=message):
        Recorder(tmp_path / "run", model, variables, probe=X[:2], evaluation=evaluation)
    assert not (tmp_path / "run").exists()


def test_a_function_that_gives_other_examples_is_refused(tmp_path):
    model, sizes = Head(3), iter([20, 20, 7])
    variables = model.init(jax.random.key(0), X)
    with (
        Recorder(
            tmp_path / "run", model, variables, probe=X[:2], evaluation=lambda: [(X[: (n := next(sizes))], LABELS[:n])]
        ) as recorder,
        pytest.raises(DataError, match="held 20 examples when the recorder was opened, and 7 now"),
    ):
        recorder.epoch(variables, steps=1)


def test_labels_without_scores_for_them_are_warned_about(tmp_path):
    model = Head(4)
    variables = model.init(jax.random.key(0), X)
    with pytest.warns(UserWarning, match="No accuracy is measured: the labels are of 5 classes"):
        recorder = Recorder(tmp_path / "run", model, variables, probe=X[:2], evaluation=(X, np.arange(20) % 5))
    recorder.close()
    run = open_run(tmp_path / "run")
    assert recorder.accuracy is None and run.task.kind is Kind.NONE and "not a score for each of them" in run.notes[0]
    assert run.observations[0].outcome.label_counts.tolist() == [4] * 5


def test_tokens_beyond_the_scores_are_the_reason_that_nothing_is_scored(tmp_path):
    beyond = TOKENS.copy()
    beyond[2, 3] = 40
    variables = Language().init(jax.random.key(0), TOKENS)
    with pytest.warns(UserWarning, match=r"Nothing is scored: the tokens go up to 40, and the output .* has 11 scores"):
        Recorder(tmp_path / "run", Language(), variables, probe=TOKENS[:2], evaluation=beyond).close()
    run = open_run(tmp_path / "run")
    assert run.task.kind is Kind.NONE
    assert "0 to 10" in run.task.reason
    assert run.notes[0].startswith("Nothing is scored: the tokens")
    with pytest.raises(DataError, match="the targets go up to 40"):
        Recorder(tmp_path / "more", Language(), variables, probe=TOKENS[:2], evaluation=(TOKENS, beyond))


def test_a_tagger_keeps_its_vocabulary_and_is_embedded(tmp_path):
    tags, texts = TOKENS % 3, [f"word {i}" for i in range(20)]
    variables = Language().init(jax.random.key(0), TOKENS)
    given = {"probe": (TOKENS[:2], tags[:2]), "evaluation": (TOKENS, tags)}
    Recorder(tmp_path / "run", Language(), variables, **given, vocabulary=texts).close()
    run = open_run(tmp_path / "run")
    assert run.task.kind is Kind.DENSE
    assert run.vocabulary == tuple(texts[: TOKENS.max() + 1])
    vectors = run.observations[0].vectors["embedding"]
    assert vectors.shape == (len(TOKENS), run.network.layers[run.embed_layer].channels)
    with pytest.raises(DataError, match=r"vocabulary has 5 texts for the network's 11 tokens"):
        Recorder(tmp_path / "more", Language(), variables, **given, vocabulary=texts[:5])


def test_other_examples_in_the_place_of_the_first_are_refused(tmp_path):
    model, shift = Head(3), iter([0, 0, 1])
    variables = model.init(jax.random.key(0), X)
    given = {"probe": X[:2], "evaluation": lambda: [(X + next(shift), LABELS)]}
    with (
        Recorder(tmp_path / "run", model, variables, **given) as recorder,
        pytest.raises(DataError, match=r"gives other examples than when .* opened, .* without shuffling"),
    ):
        recorder.epoch(variables, steps=1)
