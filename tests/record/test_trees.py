"""Variables of every kind that a loop may hand over: taken and shown, or refused when they are given."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import build
from reportgen.errors import OptionError
from reportgen.record import Recorder
from reportgen.store import open_run

X, Y = np.random.default_rng(0).random((9, 6)).astype(np.float32), np.arange(9) % 3
DATA = {"probe": (X[:3], Y[:3]), "evaluation": (X, Y)}


class Net(nn.Module):
    kind: jnp.dtype = jnp.float32
    width: int = 4

    @nn.compact
    def __call__(self, x):
        weights = self.param("weights", lambda key: jnp.ones((6, self.width), self.kind))
        self.variable("random", "key", lambda: jax.random.key(0))
        self.sow("losses", "size", jnp.abs(weights.astype(jnp.complex64)).sum())
        hidden = nn.relu((x.astype(jnp.complex64) @ weights.astype(jnp.complex64)).real)
        start = nn.initializers.normal() if self.width else nn.initializers.zeros
        return nn.Dense(3, kernel_init=start, name="head")(hidden)


@pytest.mark.parametrize(
    "kind", ["complex64", "int4", "uint4", "float8_e4m3fn", "float8_e4m3b11fnuz", "bool", "float16"]
)
@pytest.mark.parametrize("width", [4, 0])
def test_parameters_of_any_type_are_kept_and_shown(tmp_path, kind, width):
    model = Net(jnp.dtype(kind), width)
    variables = model.init(jax.random.key(0), X)
    with Recorder(tmp_path / "run", model, variables, **DATA) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch({kind: variables[kind] for kind in ("params", "random")})  # losses are not read
    run = open_run(tmp_path / "run", verify=True)
    assert run.problems == () and list(run.snapshots) == [0, 1]
    np.testing.assert_array_equal(run.snapshots[1].params["weights"], np.ones((6, width)))
    document = build(run, embedding="pca").document
    assert not [text for text in document.warnings if "left out" in text]
    said = "Complex parameters are shown as two, by real and imaginary part: weights."
    assert (said in document.warnings) == (kind == "complex64")


def scaled(variables, change):
    return {**variables, "params": change(variables["params"])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"weights": p["weights"]}, "params are of another network .* head/bias is missing"),
        (lambda p: {**p, "more": jnp.ones(2)}, r"more is \(2,\), not missing"),
        (lambda p: jax.tree.map(lambda x: jnp.stack([x, x]), p), "all have 2 copies, as for jax.pmap"),
        (lambda p: jax.eval_shape(lambda: p), "is a shape without values"),
        (lambda p: {**p, "weights": "text"}, "params/weights is a str, not an array"),
        (lambda p: {}, "the parameters hold no array"),
    ],
)
def test_what_is_not_the_networks_is_refused_when_it_is_given(tmp_path, change, message):
    variables = Net().init(jax.random.key(0), X)
    with Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder:
        for call in (recorder.step, recorder.epoch):
            with pytest.raises(OptionError, match=message):
                call(scaled(variables, change))
        with pytest.raises(OptionError, match="call it outside of jit, grad and scan"):
            jax.jit(recorder.step)(variables["params"])
        donated = jax.tree.map(jnp.copy, variables["params"])
        jax.tree.map(lambda leaf: leaf.delete(), donated)
        with pytest.raises(OptionError, match="was deleted or donated"):
            recorder.step(donated)
        recorder.step(variables["params"], loss=1.0)
    assert list(open_run(tmp_path / "run").snapshots) == [0, 1]


def test_averaged_parameters_are_kept_beside_those_of_the_step(tmp_path):
    variables = Net().init(jax.random.key(0), X)
    raw, averaged = (jax.tree.map(lambda leaf, k=k: leaf * k, variables["params"]) for k in (2, 3))
    with Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder:
        recorder.step(raw, loss=1.0)
        with pytest.warns(UserWarning, match="other parameters than the last step"):
            recorder.epoch({**variables, "params": averaged})
    snapshot = open_run(tmp_path / "run").snapshots[1]
    np.testing.assert_array_equal(snapshot.params["weights"], 3)
    np.testing.assert_array_equal(snapshot.variables["step_params"]["weights"], 2)


def test_complex_numbers_that_lose_digits_are_said(tmp_path):
    wide = {"w": np.ones((3, 2), np.complex128), "b": np.zeros(2)}
    with pytest.warns(
        UserWarning, match=r"params/w is kept as complex64, of complex128: with about seven digits \[C205\]"
    ):
        Recorder(tmp_path / "run", lambda p, x: abs(x @ p["w"]) + p["b"][None], wide, probe=np.ones((2, 3))).close()
    run = open_run(tmp_path / "run")
    assert "params/w is kept as complex64, of complex128: with about seven digits." in run.notes
    assert run.snapshots[0].params["w"].dtype == np.complex64
