"""PyTorch's state dicts: names matched by structure, layouts turned, and the result the same function as there."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from reportgen.errors import OptionError, WeightsError
from reportgen.weights import load_into, match
from reportgen.weights.tree import flatten, nest

RNG = np.random.default_rng(1)


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


class Block(nn.Module):
    features: int
    stride: int = 1

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.BatchNorm(use_running_average=True)(self.conv(x, (3, 3), self.stride)))
        y = nn.BatchNorm(use_running_average=True)(self.conv(y, (3, 3), 1))
        if x.shape != y.shape:
            x = nn.Conv(self.features, (1, 1), self.stride, use_bias=False, name="conv_proj")(x)
            x = nn.BatchNorm(use_running_average=True, name="norm_proj")(x)
        return nn.relu(x + y)

    def conv(self, x, size, stride):
        return nn.Conv(self.features, size, stride, padding=1, use_bias=False)(x)


class ResNet(nn.Module):
    """Two stages of two blocks, as torchvision's resnet18 has four."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 3), use_bias=False, name="conv_init")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=True, name="bn_init")(x))
        for features, stride in ((8, 1), (8, 1), (16, 2), (16, 1)):
            x = Block(features, stride)(x)
        return nn.Dense(10)(x.mean((1, 2)))


def resnet_state() -> dict[str, np.ndarray]:
    """As `torch.save(model.state_dict())` names and lays them out, in the alphabetical order of safetensors."""
    state: dict[str, np.ndarray] = {}

    def conv(name: str, out: int, into: int, size: int) -> None:
        state[f"{name}.weight"] = array(out, into, size, size)

    def norm(name: str, size: int) -> None:
        state.update({f"{name}.{part}": array(size) for part in ("weight", "bias", "running_mean")})
        state[f"{name}.running_var"] = np.abs(array(size))
        state[f"{name}.num_batches_tracked"] = np.array(1000)

    conv("conv1", 8, 3, 3)
    norm("bn1", 8)
    for stage, (into, out) in {1: (8, 8), 2: (8, 16)}.items():
        for block in (0, 1):
            at = f"layer{stage}.{block}"
            conv(f"{at}.conv1", out, into if block == 0 else out, 3)
            conv(f"{at}.conv2", out, out, 3)
            norm(f"{at}.bn1", out)
            norm(f"{at}.bn2", out)
            if block == 0 and into != out:
                conv(f"{at}.downsample.0", out, into, 1)
                norm(f"{at}.downsample.1", out)
    state |= {"fc.weight": array(10, 16), "fc.bias": array(10)}
    return dict(sorted(state.items()))


def test_a_residual_network_is_matched_block_by_block() -> None:
    state = resnet_state()
    expected = jax.eval_shape(ResNet().init, jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
    found = match(nest(state), expected, framework="torch")
    variables = found.read()
    assert jax.tree.structure(variables) == jax.tree.structure(expected)
    places = {"layer1.0": "Block_0", "layer1.1": "Block_1", "layer2.0": "Block_2", "layer2.1": "Block_3"}
    for theirs, ours in places.items():
        for number in (1, 2):
            kernel = variables["params"][ours][f"Conv_{number - 1}"]["kernel"]
            np.testing.assert_array_equal(kernel, state[f"{theirs}.conv{number}.weight"].transpose(2, 3, 1, 0))
            stats = variables["batch_stats"][ours][f"BatchNorm_{number - 1}"]
            np.testing.assert_array_equal(stats["mean"], state[f"{theirs}.bn{number}.running_mean"])
            np.testing.assert_array_equal(stats["var"], state[f"{theirs}.bn{number}.running_var"])
    proj = variables["params"]["Block_2"]["conv_proj"]["kernel"]
    np.testing.assert_array_equal(proj, state["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0))
    scale = variables["params"]["bn_init"]["scale"]
    np.testing.assert_array_equal(scale, state["bn1.weight"])
    np.testing.assert_array_equal(variables["params"]["Dense_0"]["kernel"], state["fc.weight"].T)
    assert found.names["layer1/0/bn1/weight"] == "params/Block_0/BatchNorm_0/scale"
    assert found.names["bn1/running_var"] == "batch_stats/bn_init/var"
    assert not any("num_batches_tracked" in name for name in found.names)
    assert len(found.names) == len(flatten(expected)) and found.notes == ()


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Embed(11, 8, name="embed")(x)
        for _ in range(2):
            x = nn.LayerNorm()(x + nn.MultiHeadDotProductAttention(num_heads=2)(x))
        return x


def torch_attention(state: dict[str, np.ndarray], at: str, x: np.ndarray, heads: int) -> np.ndarray:
    """`torch.nn.MultiheadAttention`'s definition, one sequence [time, unit], in 64-bit floats."""
    joint = x @ state[f"{at}.in_proj_weight"].T.astype(np.float64) + state[f"{at}.in_proj_bias"]
    parts = []
    for q, k, v in zip(*(np.split(part, heads, axis=1) for part in np.split(joint, 3, axis=1)), strict=True):
        scores = q @ k.T / np.sqrt(q.shape[1])
        weights = np.exp(scores - scores.max(1, keepdims=True))
        parts.append(weights / weights.sum(1, keepdims=True) @ v)
    return np.concatenate(parts, 1) @ state[f"{at}.out_proj.weight"].T + state[f"{at}.out_proj.bias"]


def attention_state() -> dict[str, np.ndarray]:
    state = {"tok.weight": array(11, 8)}  # no word says that it is an embedding
    for layer in (0, 1):
        at = f"layers.{layer}"
        state |= {f"{at}.attn.in_proj_weight": array(24, 8), f"{at}.attn.in_proj_bias": array(24)}
        state |= {f"{at}.attn.out_proj.weight": array(8, 8), f"{at}.attn.out_proj.bias": array(8)}
        state |= {f"{at}.ln.weight": array(8), f"{at}.ln.bias": array(8)}
    return state


def test_attention_and_embedding_compute_what_they_computed_there() -> None:
    state, tokens = attention_state(), np.array([[3, 1, 4, 1, 5]])
    expected = jax.eval_shape(Attention().init, jax.random.key(0), tokens)
    variables = load_into(nest(state), expected, framework="torch")
    x = state["tok.weight"][tokens[0]].astype(np.float64)
    for layer in (0, 1):
        x = x + torch_attention(state, f"layers.{layer}.attn", x, 2)
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
        x = x * state[f"layers.{layer}.ln.weight"] + state[f"layers.{layer}.ln.bias"]
    np.testing.assert_allclose(Attention().apply(variables, tokens)[0], x, rtol=1e-4, atol=1e-4)


def test_nnx_takes_them_with_its_batch_statistics() -> None:
    class Net(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.conv, self.norm = nnx.Conv(3, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)

    state = {"0.weight": array(4, 3, 3, 3), "0.bias": array(4), "1.weight": array(4), "1.bias": array(4)}
    state |= {"1.running_mean": array(4), "1.running_var": array(4), "1.num_batches_tracked": np.array(1)}
    from reportgen.capture import variables_of

    variables = load_into(nest(state), variables_of(Net()), framework="torch")
    np.testing.assert_array_equal(variables["BatchStat"]["norm"]["mean"], state["1.running_mean"])
    np.testing.assert_array_equal(variables["params"]["conv"]["kernel"], state["0.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("features", [2, 3])
def test_a_transposed_convolution_is_mirrored(features: int) -> None:
    kernel, x = array(2, features, 3, 3), array(1, 4, 5, 2)
    model = nn.ConvTranspose(features, (3, 3), (2, 2), padding="VALID", use_bias=False)
    root = nn.Sequential([model])
    expected = jax.eval_shape(root.init, jax.random.key(0), x)
    expected = {"params": {"ConvTranspose_0": expected["params"]["layers_0"]}}
    params = load_into({"up": {"weight": kernel}}, expected, framework="torch")["params"]["ConvTranspose_0"]
    wanted = np.zeros((9, 11, features))
    for i, j in np.ndindex(4, 5):
        wanted[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("c,cohw->hwo", x[0, i, j], kernel)
    np.testing.assert_allclose(model.apply({"params": params}, x)[0], wanted, rtol=1e-4, atol=1e-4)


def dense(*names: str) -> dict[str, Any]:
    return {name: {"kernel": np.zeros((4, 4), np.float32), "bias": np.zeros(4, np.float32)} for name in names}


def linear(*names: str) -> dict[str, Any]:
    return nest(
        {f"{name}.{part}": array(*shape) for name in names for part, shape in (("weight", (4, 4)), ("bias", (4,)))}
    )


def test_what_names_do_not_tell_is_refused_and_settled_by_renaming() -> None:
    tree = linear("left", "right")
    with pytest.raises(WeightsError, match=r"left, right are of the same kind and shape as first, second of the model"):
        load_into(tree, dense("first", "second"), framework="torch")
    found = load_into(tree, dense("first", "second"), framework="torch", rename=["left=second"])
    np.testing.assert_array_equal(found["second"]["kernel"], tree["left"]["weight"].T)
    np.testing.assert_array_equal(found["first"]["kernel"], tree["right"]["weight"].T)


@pytest.mark.parametrize(
    ("theirs", "ours", "pairs"),
    [
        (
            ("encoder.fc", "decoder.fc"),
            ("Decoder_0", "Encoder_0"),
            {"encoder/fc": "Encoder_0", "decoder/fc": "Decoder_0"},
        ),
        (("net.0", "net.2", "net.10"), ("Dense_0", "Dense_1", "Dense_2"), {"net/2": "Dense_1", "net/10": "Dense_2"}),
        (("q_proj", "k_proj", "v_proj"), ("key", "query", "value"), {"q_proj": "query", "v_proj": "value"}),
    ],
)
def test_words_and_numbers_tell(theirs: tuple[str, ...], ours: tuple[str, ...], pairs: dict[str, str]) -> None:
    names = match(linear(*theirs), dense(*ours), framework="torch").names
    for left, right in pairs.items():
        assert names[f"{left}/weight"] == f"{right}/kernel"


def test_what_is_left_over_on_either_side_is_named() -> None:
    with pytest.raises(WeightsError, match=r"2 missing, 0 unexpected(.|\n)*second/kernel float32 \[4, 4\] +missing"):
        load_into(linear(), dense("second"), framework="torch")
    tree = linear("left") | {"head": {"weight": array(5, 4)}}
    with pytest.raises(WeightsError, match=r"0 missing, 1 unexpected(.|\n)*unexpected +head/weight float32 \[5, 4\]"):
        load_into(tree, dense("second"), framework="torch")
    with pytest.raises(OptionError, match="leave the layout out"):
        load_into(tree, dense("second"), framework="torch", layout="oihw")
    with pytest.raises(OptionError, match=r"framework 'touch'; did you mean torch"):
        load_into(tree, dense("second"), framework="touch")


def test_a_branch_is_named_by_its_key() -> None:
    tree = {"model": linear("left"), "ema": linear("left")}
    found = load_into(tree, dense("only"), framework="torch", key="ema")
    np.testing.assert_array_equal(found["only"]["kernel"], tree["ema"]["left"]["weight"].T)


def test_the_order_of_a_flattened_map_is_pointed_out() -> None:
    tree = nest({"conv.weight": array(4, 1, 3, 3), "fc.weight": array(10, 64)})
    expected = {
        "Conv_0": {"kernel": np.zeros((3, 3, 1, 4), np.float32)},
        "Dense_0": {"kernel": np.zeros((64, 10), np.float32)},
    }
    (note,) = match(tree, expected, framework="torch").notes
    assert note.startswith("Dense_0: if its 64 inputs are a flattened feature map")
