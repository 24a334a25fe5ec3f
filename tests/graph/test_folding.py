"""A network as a reader takes it in: modules, chains, and blocks that repeat, the same only where they are."""

from dataclasses import replace

import pytest

from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.graph.folding import Chain, Module, Repeat, fold, joins, layers_of
from tests.graph.drawn import check_drawn


def conv(path, *reads, **more):
    return Layer(path, "Conv", Role.CONV, (4, 4, 2), inputs=reads, params={f"{path}/kernel": (3, 3, 2, 2)}, **more)


def relu(path, *reads, **more):
    return Layer(path, "relu", Role.ACTIVATION, (4, 4, 2), inputs=reads, **more)


def add(path, *reads):
    return Layer(path, "add", Role.JOIN, (4, 4, 2), inputs=reads)


def network(*layers):
    return Network("Net", {layer.path: layer for layer in layers})


def residual(name, read, tied=None, call=""):
    """A block of two layers and a sum, whose own result repeats the sum's values; or a later call of it."""
    again = {} if tied is None else {"params": {}, "tied_to": f"{tied}/conv"}
    inner = f"{name}/conv{call}"
    return (
        replace(conv(inner, read), **again),
        relu(f"{inner}/relu", inner),
        add(f"{name}/add{call}", read, f"{inner}/relu"),
        Layer(
            f"{name}{call}",
            "Residual",
            Role.BLOCK,
            (4, 4, 2),
            inputs=(f"{name}/add{call}",),
            alias_of=f"{name}/add{call}",
        ),
    )


def test_a_chain_is_what_alone_reads_the_layer_before():
    alone = network(conv("a", INPUT), relu("a/relu", "a"), conv("b", "a/relu"))
    assert [[x.path for x in part.layers] for part in fold(alone, (4, 4, 2))] == [[INPUT], ["a", "a/relu"], ["b"]]
    twice = network(conv("a", INPUT), relu("a/relu", "a"), add("add", "a", "a/relu"))
    assert [[x.path for x in part.layers] for part in fold(twice)] == [[INPUT], ["a"], ["a/relu"], ["add"]]


def test_dropout_in_evaluation_stands_with_the_layer_whose_values_it_repeats():
    dropout = Layer("drop", "Dropout", Role.DROPOUT, (4, 4, 2), inputs=("a",), alias_of="a")
    parts = fold(network(conv("a", INPUT), dropout, relu("a/relu", "a")))
    assert [layer.path for layer in parts[1].layers] == ["a", "drop", "a/relu"]


def test_what_a_module_computes_is_in_it_and_edges_lead_past_it():
    parts = fold(net := network(conv("stem", INPUT), *residual("block", "stem"), conv("head", "block/add")))
    _, stem, block, head = parts
    assert isinstance(block, Module) and block.path == "block" and [x.path for x in block.own] == ["block"]
    assert [[x.path for x in part.layers] for part in block.parts] == [["block/conv", "block/conv/relu"], ["block/add"]]
    assert joins(parts, net) == {
        (0, 1): [(INPUT, "stem")],
        (1, 2): [("stem", "block/conv"), ("stem", "block/add")],
        (2, 3): [("block/add", "head")],
    }
    assert isinstance(stem, Chain) and isinstance(head, Chain)


def test_an_operation_named_after_a_module_but_computed_after_it_is_not_in_it():
    mean = Layer("block/mean", "mean", Role.POOL, (2,), inputs=("block/add",))
    parts = fold(network(conv("stem", INPUT), *residual("block", "stem"), mean))
    assert [layer.path for layer in layers_of(parts[-1])] == ["block/mean"]


def test_blocks_of_one_shape_are_folded_and_not_called_the_same():
    blocks = [layer for i in range(3) for layer in residual(f"b{i}", f"b{i - 1}/add" if i else "stem")]
    parts = fold(net := network(conv("stem", INPUT), *blocks, conv("head", "b2/add")))
    assert isinstance(parts[2], Repeat) and [part.path for part in parts[2].parts] == ["b0", "b1", "b2"]
    assert not parts[2].same and not parts[2].beside
    check_drawn(net)


def test_the_same_parameters_three_times_are_the_same():
    blocks = [*residual("b", "stem"), *residual("b", "b/add", "b", "#2"), *residual("b", "b/add#2", "b", "#3")]
    parts = fold(net := network(conv("stem", INPUT), *blocks))
    assert isinstance(parts[2], Repeat) and parts[2].same
    assert [part.path for part in parts[2].parts] == ["b", "b#2", "b#3"]
    check_drawn(net)


@pytest.mark.parametrize("difference", ["shape", "operation", "edge", "reader"])
def test_what_differs_is_not_folded(difference):
    first, second = residual("b0", "stem"), list(residual("b1", "b0/add"))
    head = conv("head", "b1/add")
    match difference:
        case "shape":
            second[0] = replace(second[0], params={"b1/conv/kernel": (1, 1, 2, 2)})
        case "operation":
            second[1] = replace(second[1], op="gelu")
        case "edge":
            second[2] = replace(second[2], inputs=("stem", "b1/conv/relu"))
        case "reader":
            head = replace(head, inputs=("b0/add", "b1/add"))
    parts = fold(net := network(conv("stem", INPUT), *first, *second, head))
    assert not any(isinstance(part, Repeat) for part in parts)
    check_drawn(net)


def test_layers_that_take_turns_are_folded_by_their_period():
    layers = []
    for i in range(3):
        wide = conv(f"wide{i}", f"narrow{i - 1}" if i else "stem")
        layers += [wide, replace(conv(f"narrow{i}", f"wide{i}"), op="Narrow")]
    parts = fold(network(relu("stem", INPUT), *layers))
    assert isinstance(parts[2], Repeat)
    assert [[layer.path for layer in layers_of(part)] for part in parts[2].parts] == [
        [f"wide{i}", f"narrow{i}"] for i in range(3)
    ]


def test_many_of_one_shape_beside_each_other_are_folded():
    experts = [conv(f"expert{i}", "stem") for i in range(8)]
    parts = fold(net := network(conv("stem", INPUT), *experts, add("add", *(x.path for x in experts))))
    assert isinstance(parts[2], Repeat) and parts[2].beside and len(parts[2].parts) == 8
    few = fold(network(conv("stem", INPUT), *experts[:3], add("add", *(x.path for x in experts[:3]))))
    assert not any(isinstance(part, Repeat) for part in few)
    check_drawn(net)


def test_modules_that_read_each_other_are_taken_apart():
    net = network(conv("a/one", INPUT), conv("b/one", "a/one"), conv("a/two", "b/one"), conv("b/two", "a/two"))
    (folded,) = fold(net)[1:]
    assert [layer.path for layer in layers_of(folded)] == ["a/one", "b/one", "a/two", "b/two"]
    assert all(isinstance(part, Chain) for part in folded.parts)
    check_drawn(net)


def test_the_result_of_a_module_taken_apart_is_not_lost():
    first = conv("a/one", INPUT)
    second, third = conv("take", "a/one"), conv("a/two", "take")
    own = Layer("a", "Quantizer", Role.BLOCK, (4, 4, 2), inputs=("a/two",), alias_of="a/two")
    check_drawn(network(first, second, third, own))
