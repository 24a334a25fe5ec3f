"""Training NNX models, and Linen models that are told of training in other ways."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from flax import nnx

from reportgen.errors import ModelError
from reportgen.store import open_run
from reportgen.training import train
from reportgen.training.forward import forward_of
from tests.conftest import tiny_dataset

OPTIONS = {"epochs": 2, "batch_size": 100, "learning_rate": 0.01}


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 12, rngs=rngs)
        self.norm = nnx.BatchNorm(12, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.output = nnx.Linear(12, 10, rngs=rngs)

    def __call__(self, x):
        return self.output(self.drop(nnx.relu(self.norm(self.hidden(x.reshape(len(x), -1))))))


def contents(path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in [*path.glob("*.jsonl"), *path.glob("snapshots/*"), *path.glob("activations/*")]
    }


def test_an_nnx_model_trains_with_dropout_and_statistics_and_resumes_bit_for_bit(tmp_path):
    summary = train(tmp_path / "once", tiny_dataset(), Net(nnx.Rngs(0)), **{**OPTIONS, "epochs": 3})
    train(tmp_path / "twice", tiny_dataset(), Net(nnx.Rngs(0)), **{**OPTIONS, "epochs": 1})
    train(tmp_path / "twice", tiny_dataset(), Net(nnx.Rngs(0)), **{**OPTIONS, "epochs": 3}, resume=True)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    assert summary.test_accuracy is not None and summary.test_accuracy > 0.3
    run = open_run(tmp_path / "once")
    assert run.epochs[-1]["train_loss"] < run.epochs[1]["train_loss"]
    assert "hidden/kernel" in run.snapshots[9].params


def test_an_nnx_update_is_the_one_of_a_plain_nnx_loop():
    """Without dropout nothing is drawn: the gradient and the statistics are those of nnx's own value_and_grad."""
    x, y = tiny_dataset().train_images[:50], tiny_dataset().train_labels[:50]
    plain = Net(nnx.Rngs(0))
    plain.drop.rate = 0.0
    forward = forward_of(plain)
    variables = forward.init(jax.random.key(0), x)
    others = {"BatchStat": variables["BatchStat"]}

    def loss_of(params):
        scores, changed = forward.train(params, others, x, jax.random.key(1))
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean(), changed

    (loss, changed), gradient = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(variables["params"])
    plain_loss = nnx.value_and_grad(lambda model: optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean())
    expected, gradients = nnx.jit(plain_loss)(plain)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient["hidden"]["kernel"], gradients["hidden"]["kernel"].get_value(), atol=1e-6)
    np.testing.assert_allclose(changed["BatchStat"]["norm"]["mean"], plain.norm.mean.get_value(), rtol=1e-6)
    assert not np.array_equal(changed["BatchStat"]["norm"]["mean"], others["BatchStat"]["norm"]["mean"])


def test_nnx_dropout_draws_from_the_key_and_not_in_evaluation():
    x = tiny_dataset().train_images[:5]
    forward = forward_of(Net(nnx.Rngs(0)))
    variables = forward.init(jax.random.key(0), x)
    others = {"BatchStat": variables["BatchStat"]}
    a, b, c = (forward.train(variables["params"], others, x, jax.random.key(k))[0] for k in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.array_equal(forward.evaluate(variables, x), forward.evaluate(variables, x))


def told_by(name: str, in_training: bool):
    """A Linen model whose `__call__` must be given the argument `name`; it divides its scores by 2 in training."""
    scope: dict = {"nn": nn, "in_training": in_training}
    exec(
        "class Told(nn.Module):\n"
        "    @nn.compact\n"
        f"    def __call__(self, x, {name}):\n"
        "        x = nn.Dense(10, name='output')(x.reshape(len(x), -1))\n"
        f"        return x / 2 if {name} is in_training else x\n",
        scope,
    )
    return scope["Told"]()


@pytest.mark.parametrize(
    ("name", "in_training"), [("train", True), ("training", True), ("is_training", True), ("deterministic", False)]
)
def test_a_linen_model_is_told_of_training_by_whichever_argument_it_has(name, in_training):
    x = tiny_dataset().train_images[:5]
    forward = forward_of(told_by(name, in_training))
    variables = forward.init(jax.random.key(0), x)
    scores, _ = forward.train(variables["params"], {}, x, jax.random.key(1))
    np.testing.assert_array_equal(scores * 2, forward.evaluate(variables, x))


def test_a_model_that_can_not_take_the_images_is_one_sentence(tmp_path):
    class Other(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(10)(x.reshape(len(x), 7, 7))

    with pytest.raises(ModelError, match=r"Other can't take images of 8x8x1 \(height, width, channels\): "):
        train(tmp_path / "run", tiny_dataset(), Other(), **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_an_update_counts_no_image_as_right_whose_scores_are_nan():
    """The largest of NaN scores is said to be that of class 0, so zeros as labels would all be right."""
    import jax.numpy as jnp

    from reportgen.training.step import State, make_update

    x = tiny_dataset().train_images[:6]
    x = np.where(np.arange(6)[:, None, None, None] < 4, np.nan, x)
    model, optimizer = told_by("train", True), optax.sgd(0.0)
    params = forward_of(model).init(jax.random.key(0), x)["params"]
    plain = x[4:].reshape(2, -1) @ np.asarray(params["output"]["kernel"]) + np.asarray(params["output"]["bias"])
    labels = np.array([0, 0, 0, 0, *plain.argmax(axis=1)])
    state = State(params, {}, optimizer.init(params), jnp.zeros((), jnp.int32))
    _, (_, correct) = make_update(model, optimizer)(state, x, labels, jax.random.key(1))
    assert int(correct) == 2
