"""What people hand over first and wrongly: one sentence each, which names what was given and what to give instead."""

from collections import namedtuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.training.train_state import TrainState

from reportgen import Recorder, open_run
from reportgen.errors import ReportgenError

X = np.random.default_rng(0).random((12, 6), np.float32)
Y = np.arange(12) % 3


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(5)(x)))


class Scaled(nn.Module):
    @nn.compact
    def __call__(self, batch):
        return nn.Dense(3)(batch["x"] * batch["scale"])


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=False)(x))


class Linear(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.linear(x)


def of(module, name="Model", **parts):
    """An object of a class that another library made."""
    return type(name, (), {"__module__": module, "__call__": lambda self, x: x, **parts})()


NET = Net()
VARIABLES = NET.init(jax.random.key(0), X)
SCALED = Scaled().init(jax.random.key(0), {"x": X, "scale": X})
NOISY = Noisy().init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, X)
COPIES = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), VARIABLES)
Transformed = namedtuple("Transformed", "init apply")
Transformed.__module__ = "haiku._src.transform"
HAIKU = Transformed(None, lambda params, rng, x: x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((of("equinox.nn._mlp"), X), "an Equinox model is recorded as a function of its arrays: .*equinox.partition"),
        ((HAIKU, {"linear": X}), r"a Haiku model is recorded as .*model\.apply\(params, None, x\)"),
        ((of("keras.src.models.functional"),), r"a Keras model is .*model\.stateless_call"),
        ((of("torch.nn.modules.module"),), "a PyTorch model is no model that JAX runs"),
        ((NET.bind(VARIABLES),), r"the model is bound to its variables: .*model\.unbind\(\)"),
        ((Net, VARIABLES), r"the class Net is neither .*: give a model made of it, Net\(\.\.\.\)"),
        ((Linear,), r"the class Linear is neither .*Linear\(\.\.\.\)"),
        ((NET.apply, VARIABLES), "a method of a Linen module was given as the model: give the module itself"),
        ((VARIABLES, NET), "a dict is neither .*; the model comes first, then its variables"),
        ((TrainState(0, NET.apply, VARIABLES["params"], None, ()), None), "a TrainState is neither .*first"),
        ((NET, jnp.float32(1.0)), r"an array \[\] is neither a params tree"),
        ((NET, COPIES), r"copies, as for jax\.pmap: give flax\.jax_utils\.unreplicate"),
        ((Noisy(), NOISY), "it draws random numbers, as dropout does in training: give apply="),
    ],
)
def test_a_model_that_is_none(tmp_path, arguments, message):
    with pytest.raises(ReportgenError, match=message) as raised:
        Recorder(tmp_path / "run", *arguments, probe=X[:3])
    assert "https" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("model", "variables", "probe", "message"),
    [
        (NET, VARIABLES, X[:3, :5], "with the examples first"),
        (Scaled(), SCALED, {"x": X[:3]}, "KeyError: 'scale'; the inputs are a dict of x: give what the model takes"),
        (NET, VARIABLES, {"image": X[:3], "label": Y[:3]}, r"a dict of image, label: .*\(inputs, targets\)"),
        (NET, VARIABLES, [X[:3], Y[:3]], r"probe is a list of two arrays; write a pair as a tuple: probe=\(inputs"),
        (NET, VARIABLES, (X[:3], np.array(["a", "b", "c"])), "as numbers, not text; labels count from 0"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path, model, variables, probe, message):
    with pytest.raises(ReportgenError, match=message):
        Recorder(tmp_path / "run", model, variables, probe=probe)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (Y.astype(np.float32), r"labels are whole numbers: labels\.astype\(int\)"),
        (np.zeros((12, 7)), r"the targets are \[12, 7\] of float64, and the output is \[12, 3\]"),
    ],
)
def test_targets_that_fit_no_task(tmp_path, targets, message):
    with pytest.raises(ReportgenError, match=message):
        Recorder(tmp_path / "run", NET, VARIABLES, probe=X[:3], evaluation=(X, targets))


def test_labels_that_are_not_finite(tmp_path):
    probe = X[:3], np.array([0, np.nan, 1])
    with pytest.raises(ReportgenError, match="labels must be whole numbers, and some are not finite"):
        Recorder(tmp_path / "run", NET, VARIABLES, probe=probe, evaluation=(X, Y))


def test_labels_counted_from_1_are_told_so(tmp_path):
    with pytest.warns(UserWarning, match="the labels run from 1 to 3; they are counted from 0: subtract 1"):
        Recorder(tmp_path / "run", NET, VARIABLES, probe=X[:3], evaluation=(X, Y + 1)).close()


def test_labels_with_an_axis_of_1_are_labels(tmp_path):
    given = {"probe": (X[:3], Y[:3, None]), "evaluation": (X, Y[:, None])}
    with Recorder(tmp_path / "run", NET, VARIABLES, **given) as recorder:
        right = np.asarray(NET.apply(VARIABLES, X)).argmax(axis=1) == Y
        assert recorder.accuracy == pytest.approx(right.mean())
    assert open_run(tmp_path / "run").batch("evaluation").labels.tolist() == Y.tolist()


def test_an_evaluation_of_other_inputs_than_the_probe(tmp_path):
    net = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(3)])
    variables = net.init(jax.random.key(0), X[:1])
    with pytest.raises(ReportgenError, match="the inputs are a dict of image, label: give what the model takes"):
        Recorder(tmp_path / "run", net, variables, probe=X[:3], evaluation={"image": X, "label": Y})


def test_a_file_in_the_runs_place(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ReportgenError, match="can't be made a run directory: it is a file"):
        Recorder(tmp_path / "run", NET, VARIABLES, probe=X[:3])


def test_a_model_that_returns_nothing(tmp_path):
    with pytest.raises(ReportgenError, match="no array came out: return the model's output"):
        Recorder(tmp_path / "run", NET, VARIABLES, probe=X[:3], apply=lambda model, variables, x: None)
