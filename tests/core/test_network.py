"""Which layer is the activation function of which, and how layers are chosen."""

import pytest

from reportgen.core.network import INPUT, Layer, Network, Role, is_kernel, role_of


def layer(path: str, op: str, *inputs: str, channels: int = 4, **more) -> Layer:
    return Layer(path, op, role_of(op), (8, 8, channels), ("y", "x", "channel"), inputs=inputs, **more)


NETWORK = Network(
    "net",
    {
        found.path: found
        for found in (
            layer("conv", "Conv", INPUT, params={"conv/kernel": (3, 3, 1, 4), "conv/bias": (4,)}),
            layer("bn", "BatchNorm", "conv"),
            layer("drop", "Dropout", "bn", alias_of="bn"),
            layer("bn/max_pool", "max_pool", "drop"),
            layer("bn/relu", "relu", "bn/max_pool"),
            layer("next", "Conv", "bn/relu"),
            layer("next/add", "add", "next", "bn/relu"),
            layer("next/relu", "relu", "next/add"),
            layer("wide", "Conv", "next/relu", channels=8),
            layer("wide/glu", "glu", "wide", channels=4),
        )
    },
)


@pytest.mark.parametrize(
    ("path", "activation"),
    [("conv", "bn/relu"), ("bn", "bn/relu"), ("next", None), ("next/add", "next/relu"), ("wide", None)],
)
def test_an_activation_function_is_found_through_normalisation_dropout_and_pooling(path, activation):
    found = NETWORK.activation_of(NETWORK.layers[path])
    assert (found and found.path) == activation


def test_layers_are_chosen_by_patterns_in_call_order():
    assert [found.path for found in NETWORK.select(("next*", "conv"))] == ["conv", "next", "next/add", "next/relu"]
    assert [found.path for found in NETWORK.distinct if found.path.startswith(("bn", "drop"))] == [
        "bn",
        "bn/max_pool",
        "bn/relu",
    ]


def test_what_a_layer_reads_and_holds_follows_from_its_edges_and_parameters():
    layers = NETWORK.layers
    assert layers["bn"].reads == "conv" and layers["conv"].reads is None and layers["next/add"].reads is None
    assert layers["conv"].parameters == 40 and layers["bn"].parameters == 0


def test_a_module_of_the_users_own_is_a_block_whatever_its_name():
    assert role_of("Conv", own=True) is Role.BLOCK and role_of("Conv") is Role.CONV
    assert role_of("einops_thing") is Role.OTHER


def test_a_bias_with_an_axis_of_heads_is_no_kernel():
    assert is_kernel("attention/query/kernel", (8, 2, 4)) and is_kernel("embedding", (5, 4))
    assert not is_kernel("attention/query/bias", (2, 4)) and not is_kernel("norm/scale", (4,))


def test_a_path_is_taken_as_it_is_shown():
    paths = ["block[0]/conv", "a, b", "a", "b", "x*y", "xzy"]
    network = Network("net", {path: Layer(path, "Dense", Role.DENSE, (3,)) for path in paths})
    for path in paths[:4]:
        assert [layer.path for layer in network.select((path,))] == [path]
    assert [layer.path for layer in network.select(("b, a",))] == ["a", "b"]
    assert [layer.path for layer in network.select(("x*y",))] == ["x*y", "xzy"]
    assert network.separate(("block[0]/conv,a", "a, b")) == ["block[0]/conv", "a", "a, b"]
