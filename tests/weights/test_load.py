"""Fitting weights to a model: what is seen through, what is renamed and turned, and what is said."""

import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import linen as nn

from reportgen import models, weights
from reportgen.errors import OptionError, WeightsError
from reportgen.weights import load_into

RNG = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


EXPECTED = {
    "conv1": {"kernel": jax.ShapeDtypeStruct((3, 3, 2, 8), jnp.float32), "bias": np.zeros(8, np.float32)},
    "output": {"kernel": np.zeros((5, 4), np.float32)},
}


def fitting() -> dict:
    return {"conv1": {"kernel": array(3, 3, 2, 8), "bias": array(8)}, "output": {"kernel": array(5, 4)}}


def assert_same(found: dict, wanted: dict) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert isinstance(left, np.ndarray)
        assert left.dtype == np.float32
        np.testing.assert_array_equal(left, right)


def test_fits_as_it_is_and_through_params_on_either_side() -> None:
    tree = fitting()
    assert_same(load_into(tree, EXPECTED), tree)
    training = {"params": tree, "opt_state": {"0": {"mu": tree}}, "step": np.array(3)}
    assert_same(load_into(training, EXPECTED), tree)
    assert_same(load_into(tree, {"params": EXPECTED}), {"params": tree})
    assert_same(load_into(training, {"params": EXPECTED}), {"params": tree})


def test_every_collection_that_the_model_has_is_asked_for() -> None:
    stats = {"norm": {"mean": array(8)}}
    variables = {"params": EXPECTED, "batch_stats": stats}
    tree = {"params": fitting(), "batch_stats": {"norm": {"mean": array(8)}}}
    assert_same(load_into(tree, variables), tree)
    with pytest.raises(
        WeightsError, match=r"1 missing, 0 unexpected(.|\n)*batch_stats/norm/mean float32 \[8\] +missing"
    ):
        load_into({"params": tree["params"]}, variables)


def test_keeps_the_keys_of_the_model_and_sees_through_nnx_values() -> None:
    expected = {"layers": {0: {"kernel": np.zeros((2, 3), np.float32)}, "value": np.zeros(2, np.float32)}}
    tree = {"layers": {"0": {"kernel": {"value": array(2, 3)}}, "value": array(2)}}
    found = load_into(tree, expected)
    np.testing.assert_array_equal(found["layers"][0]["kernel"], tree["layers"]["0"]["kernel"]["value"])
    np.testing.assert_array_equal(found["layers"]["value"], tree["layers"]["value"])


def test_casts_within_a_kind_only() -> None:
    expected = {"a": np.zeros(3, np.float32), "n": np.zeros((), np.int32)}
    values = np.array([0.5, 1.0, -2.0])
    for dtype in (np.float64, np.float16, ml_dtypes.bfloat16):
        found = load_into({"a": values.astype(dtype), "n": np.array(7, np.int64)}, expected)
        assert found["a"].dtype == np.float32
        assert found["n"].dtype == np.int32
        np.testing.assert_array_equal(found["a"], values)
    for wrong in (np.int8, np.complex64, ml_dtypes.int4, bool):
        with pytest.raises(WeightsError, match=r"1 with the wrong shape or dtype\n.*\n  a float32 \[3\] +a \w+ \[3\]"):
            load_into({"a": values.astype(wrong), "n": np.array(7)}, expected)


def test_oihw_gives_the_same_convolution_and_dense_layer() -> None:
    """Against a convolution written out with the kernel as PyTorch has it: [out, in, row, column]."""
    kernel, dense, x = array(4, 3, 2, 2), array(5, 4), array(1, 6, 7, 3)
    model = nn.Sequential([nn.Conv(4, (2, 2), padding="VALID", use_bias=False), nn.Dense(5, use_bias=False)])
    expected = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    tree = {"layers_0": {"weight": kernel}, "layers_1": {"weight": dense}}
    params = load_into(tree, expected, rename=["weight=kernel"], layout="oihw")
    found = model.apply({"params": params}, x)
    for i, j in np.ndindex(5, 6):
        window = x[0, i : i + 2, j : j + 2].astype(np.float64)
        maps = [sum((kernel[o, c] * window[..., c]).sum() for c in range(3)) for o in range(4)]
        np.testing.assert_allclose(found[0, i, j], dense @ maps, rtol=1e-4, atol=1e-5)


def test_oihw_turns_kernels_of_any_rank_and_nothing_else() -> None:
    expected = {
        "a": {"kernel": np.zeros((7, 3, 2), np.float32)},
        "b": {"kernel": np.zeros((5, 6, 7, 3, 2), np.float32), "embedding": np.zeros((9, 2), np.float32)},
        "c": {"kernel": np.zeros(4, np.float32)},
    }
    tree = {
        "a": {"kernel": array(2, 3, 7)},
        "b": {"kernel": array(2, 3, 5, 6, 7), "embedding": array(9, 2)},
        "c": {"kernel": array(4)},
    }
    found = load_into(tree, expected, layout="oihw")
    assert found["a"]["kernel"][6, 1, 0] == tree["a"]["kernel"][0, 1, 6]
    assert found["b"]["kernel"][4, 5, 6, 2, 1] == tree["b"]["kernel"][1, 2, 4, 5, 6]
    np.testing.assert_array_equal(found["b"]["embedding"], tree["b"]["embedding"])
    np.testing.assert_array_equal(found["c"]["kernel"], tree["c"]["kernel"])


@pytest.mark.parametrize(
    "rules",
    [
        ["net/features/0=conv1", "net/head=output", "weight=kernel"],
        ["net.features.0=conv1", "net.head=output", "weight=kernel"],
        ["net=", "features/0=conv1", "head=output", "conv1/weight=conv1/kernel", "output/weight=output/kernel"],
        ["weight=kernel", "net/=", "/features/0/=conv1", "head=output"],
    ],
)
def test_rename(rules: list[str]) -> None:
    tree = fitting()
    foreign = {
        "net": {
            "features": {"0": {"weight": tree["conv1"]["kernel"], "bias": tree["conv1"]["bias"]}},
            "head": {"weight": tree["output"]["kernel"]},
        }
    }
    assert_same(load_into(foreign, EXPECTED, rename=rules), tree)


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        (["conv1"], OptionError, "rename 'conv1' is not of the form OLD=NEW"),
        (["=conv1"], OptionError, "not of the form"),
        (["conv=block"], WeightsError, "no entry to rename: conv; .*existing: conv1/kernel, conv1/bias, output"),
        (["output=conv1"], WeightsError, "renaming output to conv1 gives two entries the name 'conv1/kernel'"),
        (["conv1/bias="], WeightsError, r"1 missing, 0 unexpected"),
    ],
)
def test_rules_that_do_not_work(rules: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_into(fitting(), EXPECTED, rename=rules)


def test_unknown_layout() -> None:
    with pytest.raises(OptionError, match=r"layout 'hwoi'; did you mean hwio.*Existing: hwio, oihw"):
        load_into(fitting(), EXPECTED, layout="hwoi")


def test_the_differences_stand_side_by_side() -> None:
    tree = {
        "conv1": {"kernel": array(8, 2, 3, 3), "b": array(8)},
        "head": {"kernel": array(5, 4)},
        "extra": {"bias": array(99)},
    }
    with pytest.raises(WeightsError) as caught:
        load_into(tree, EXPECTED, source="model.npz")
    assert str(caught.value) == (
        "model.npz do not fit the model: 2 missing, 3 unexpected, 1 with the wrong shape or dtype\n"
        "  the model expects                  the file has\n"
        "  conv1/kernel float32 [3, 3, 2, 8]  conv1/kernel float32 [8, 2, 3, 3]\n"
        "  conv1/bias float32 [8]             conv1/b float32 [8]\n"
        "  output/kernel float32 [5, 4]       head/kernel float32 [5, 4]\n"
        "  unexpected                         extra/bias float32 [99]\n"
        "  The shapes would fit with the layout oihw."
    )


def test_long_lists_are_cut() -> None:
    expected = {f"layer{number}": np.zeros(3, np.float32) for number in range(1000)}
    with pytest.raises(WeightsError, match="1000 missing, 0 unexpected") as caught:
        load_into({}, expected)
    lines = str(caught.value).splitlines()
    assert len(lines) == 23
    assert lines[-1] == "  and 980 more"


def test_no_hint_at_oihw_where_it_would_not_help() -> None:
    tree = fitting()
    tree["output"]["kernel"] = array(6, 7)
    with pytest.raises(WeightsError) as caught:
        load_into(tree, EXPECTED)
    assert not re.search("oihw", str(caught.value))


@pytest.mark.skipif("REPORTGEN_DATA" not in os.environ, reason="REPORTGEN_DATA is not set")
def test_the_pretrained_squeezenet_fits_its_model() -> None:
    path = Path(os.environ["REPORTGEN_DATA"], "squeezenet", "squeezenet1_1_notop.safetensors")
    model = models.build("squeezenet")
    expected = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 227, 227, 3)))
    tree = weights.read(path)
    assert_same(load_into(tree, expected), {"params": load_into(tree, expected["params"])})
    classifier = jax.eval_shape(models.build("squeezenet", 1000).init, jax.random.key(0), jnp.zeros((1, 227, 227, 3)))
    with pytest.raises(WeightsError, match="2 missing, 0 unexpected, 0 with the wrong shape or dtype"):
        load_into(tree, classifier)
