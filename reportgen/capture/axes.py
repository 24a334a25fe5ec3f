"""Label the axes of every value in a program: image, position, channel. Followed, never guessed.

    labels = follow(program)
    labels[variable]                 # ("b", "y", "x", "channel")

Labels start at the images, whose layout is known, and are carried through each equation by what it does
to the axes: a convolution makes channels, a matrix product replaces the axis that it sums over, a
reshape keeps the axes that it leaves whole. An axis that can't be identified is labelled "?".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reportgen.capture.interpret import REDUCTIONS, Borders, Equation, axis_map, interpret, shape_of
from reportgen.capture.program import Program

Labels = tuple[str, ...]

LEARNED: Labels = ("learned",)
"""Stands for the labels of what follows from the model's variables alone. A product with it makes new
channels, one with anything else (the weights of an interpolation) keeps the positions."""

INPUTS: Mapping[int, Labels] = {
    1: ("b",),
    2: ("b", "channel"),
    3: ("b", "t", "channel"),
    4: ("b", "y", "x", "channel"),
    5: ("b", "z", "y", "x", "channel"),
}
"""Number of axes of the model's input -> what they are; whole numbers [b, t] are tokens."""

PARTS = ("part 1", "part 2")
"""The parts of an unknown axis that was split, such as the groups of heads that share keys, and those within one."""

SPATIAL: Mapping[int, Labels] = {1: ("t",), 2: ("y", "x"), 3: ("z", "y", "x")}


def follow(program: Program) -> dict[Any, Labels]:
    """The labels of every variable that follows from the images, one per axis."""
    start: dict[Any, Labels] = dict.fromkeys(program.variables, LEARNED)
    for variable in program.images:
        aval: Any = variable.aval
        rank = aval.ndim
        tokens = rank == 2 and aval.dtype.kind in "iu"
        start[variable] = ("b", "t") if tokens else INPUTS.get(rank, ("b", *"?" * (rank - 1)))
    found = interpret(program.equations, start, _rule, note=_fitting, borders=Borders(_sliced, _stacked, _carried))
    return {variable: labels for variable, labels in found.items() if labels is not LEARNED}


def with_heads(labels: Labels) -> Labels:
    """The labels of an attention's query, key or value, whose channels were parted among the heads."""
    return (*labels[:-2], "head", "channel") if labels[-2:] == ("?", "channel") else labels


def with_pairs(labels: Labels, normalised: Sequence[int], attention: bool = False) -> Labels:
    """The labels of a softmax, where it is one over pairs of positions: queries and the keys that are normalised.

    In one of Flax's attention, the axis before the keys are the queries, whatever was made of the positions.
    """
    pair = [i for i, label in enumerate(labels) if label == "t"]
    if attention and len(normalised) == 1 and normalised[0] > 0:
        pair = [normalised[0] - 1, normalised[0]]
    if len(pair) != 2 or len(normalised) != 1 or normalised[0] not in pair:
        return labels
    return tuple(("key" if i == normalised[0] else "query") if i in pair else x for i, x in enumerate(labels))


def arranged(labels: Sequence[str], windows: int | None = None) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """How a layer's axes are shown: their labels, the order that puts channels last and, in attention weights, the
    heads before query and key; and how many axes together count the heads. `windows` is one that stays in front."""
    axes = range(len(labels))
    if "query" in labels and "key" in labels:
        pair = [labels.index("query"), labels.index("key")]
        heads = sorted((i for i in axes if i not in (*pair, windows)), key=lambda i: labels[i])
        front = [] if windows is None else [windows]
        merged = len(heads) if windows is None else 0
        names = ("head",) * (bool(heads) if merged else len(heads))
        return (*"?" * len(front), *names, "query", "key"), (*front, *heads, *pair), merged
    last = sorted(axes, key=lambda i: labels[i] == "channel")
    return tuple("?" if labels[i] in PARTS else labels[i] for i in last), tuple(last), 0


def _rule(equation: Equation, read: list[Labels | None]) -> Sequence[Labels | None]:
    if all(labels is None or labels is LEARNED for labels in read):
        return [LEARNED] * len(equation.outvars)
    rule = _RULES.get(equation.primitive.name, _like_an_input)
    # A rule returns None where it can't tell; `_fitting` turns that into "?".
    return [rule(equation, read) or ()] * len(equation.outvars)


def _fitting(variable: Any, labels: Labels) -> Labels:
    """A rule that does not fit says nothing, rather than something wrong."""
    if labels is LEARNED:
        return labels
    rank = len(shape_of(variable))
    if len(labels) != rank:
        return ("?",) * rank
    # Only the last axis called "channel" keeps that label.
    last = max((i for i, label in enumerate(labels) if label == "channel"), default=-1)
    return tuple("?" if label == "channel" and i != last else label for i, label in enumerate(labels))


def _sliced(labels: Labels) -> Labels:
    return labels if labels is LEARNED else labels[1:]


def _stacked(labels: Labels, over: list[Labels]) -> Labels:
    """Values stacked over the iterations get the axis that was iterated over."""
    axes = [x[0] for x in over if x is not LEARNED and x[0] != "?"]
    return labels if labels is LEARNED else (axes[0] if axes else "?", *labels)


def _carried(before: Labels | None, after: Labels | None) -> Labels | None:
    # A carry starts as zeros, of which nothing is known; the first iteration labels it.
    return after if before is None or (before is LEARNED and after is not None) else before


def _of(read: list[Labels | None], number: int = 0) -> Labels | None:
    labels = read[number]
    return None if labels is LEARNED else labels


def _like_an_input(equation: Equation, read: list[Labels | None]) -> Labels | None:
    """Elementwise operations, slices, pads and windows: axis i of the output is axis i of an input."""
    rank = len(shape_of(equation.outvars[0]))
    candidates = [x for i in range(len(read)) if (x := _of(read, i)) is not None and len(x) == rank]
    if not candidates or equation.primitive.name in _OPAQUE:
        return None
    return tuple(_agreed([labels[i] for labels in candidates]) for i in range(rank))


def _agreed(labels: list[str]) -> str:
    distinct = set(labels) - {"?"}
    return distinct.pop() if len(distinct) == 1 else "?"


def _moved(equation: Equation, read: list[Labels | None]) -> Labels | None:
    """Every label goes where its axis goes."""
    labels = _of(read)
    if labels is None:
        return None
    result = ["?"] * len(shape_of(equation.outvars[0]))
    for old, new in axis_map(equation).items():
        result[new] = labels[old]
    return tuple(result)


def _stack(equation: Equation, read: list[Labels | None]) -> Labels | None:
    """The labels of all that is stacked, and an axis of which nothing is known."""
    candidates = [x for i in range(len(read)) if (x := _of(read, i)) is not None]
    if not candidates:
        return None
    result = ["?"] * len(shape_of(equation.outvars[0]))
    for old, new in axis_map(equation).items():
        result[new] = _agreed([labels[old] for labels in candidates])
    return tuple(result)


def _conv(equation: Equation, read: list[Labels | None]) -> Labels | None:
    labels = _moved(equation, read)
    if labels is None:
        return None
    result = list(labels)
    _, channels, *space = equation.params["dimension_numbers"].out_spec
    result[channels] = "channel"
    known = {result[axis] for axis in space}
    if not known <= {"z", "y", "x", "t"} or len(known) < len(space):
        for axis, label in zip(space, SPATIAL.get(len(space), "?" * len(space)), strict=True):
            result[axis] = label
    return tuple(result)


def _dot(equation: Equation, read: list[Labels | None]) -> Labels | None:
    summed, (batch, _) = equation.params["dimension_numbers"]
    sides = _of(read, 0), _of(read, 1)
    result = ["?"] * len(shape_of(equation.outvars[0]))
    kept = [axis_map(equation, number) for number in (0, 1)]
    for axis in range(len(result)):
        labels = [
            x[old] for x, places in zip(sides, kept, strict=True) if x for old, new in places.items() if new == axis
        ]
        result[axis] = _agreed(labels)
    gone = [[x[i] for i in axes] if x is not None else [] for x, axes in zip(sides, summed, strict=True)]
    for number in (0, 1):
        free = sorted(new for new in kept[number].values() if new >= len(batch))
        if sides[number] is None and free:
            replaced = read[number] is not LEARNED and len(gone[1 - number]) == 1 == len(free)
            result[free[-1]] = gone[1 - number][0] if replaced else "channel"
    if gone[0] + gone[1] == ["channel"] * 2 and result.count("t") == 2 and result.count("?") == 1:
        # Positions with positions, by their channels, several times over: by the heads of an attention.
        place = result.index("?")
        result[place] = "head" if place < len(batch) else "?"
    return tuple(result)


def _reshape(equation: Equation, read: list[Labels | None]) -> Labels | None:
    labels = _of(read)
    if labels is None:
        return None
    before, after = shape_of(equation.invars[0]), equation.params["new_sizes"]
    result: list[str] = []
    parted = False
    for olds, news in _blocks(before, after):
        group = [labels[i] for i in olds if before[i] != 1 or len(olds) == 1]
        if len(news) == 1:
            result.append(_merged(group))
        elif len(group) == 1:
            ones = [after[i] == 1 for i in news]
            kept = [group[0] if not one else "?" for one in ones]
            if ones.count(False) > 1:
                # Split channels: the last part are the channels of a head; split positions are tiles.
                kept = list(PARTS) if group[0] == "?" and len(news) == 2 else ["?"] * len(news)
                if group[0] in ("b", "channel"):
                    kept[0 if group[0] == "b" else -1] = group[0]
                parted = group[0] == "channel"
            result += kept
        else:
            result += ["?"] * len(news)
    if parted and after[-1] == 1 and result[-1] == "?":
        # Units that become a picture of one channel: [64] -> [8, 8, 1].
        result = ["?" if label == "channel" else label for label in result[:-1]] + ["channel"]
    return tuple(result)


def _merged(group: list[str]) -> str:
    if len(group) == 1:
        return group[0]
    if "b" in group:
        return "b" if group[0] == "b" else "?"
    if "channel" in group:
        return "channel"
    return "t" if group and set(group) <= {"z", "y", "x", "t"} else "?"


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of old and new axes that hold the same elements."""
    blocks: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        olds: list[int] = []
        news: list[int] = []
        while True:
            held, made = math.prod(before[k] for k in olds), math.prod(after[k] for k in news)
            if olds and news and held == made:
                break
            if (held <= made or j == len(after)) and i < len(before):
                olds.append(i)
                i += 1
            elif j < len(after):
                news.append(j)
                j += 1
            else:
                break
        blocks.append((olds, news))
    return blocks


def _gather(equation: Equation, read: list[Labels | None]) -> Labels | None:
    """Rows of a table (an embedding): the indices' axes, then the row's, which are channels."""
    indices = _of(read, 1)
    rank = len(shape_of(equation.outvars[0]))
    offsets = equation.params["dimension_numbers"].offset_dims
    if indices is None or _of(read) is not None:
        # A gather from activations picks positions out of them: same axes, if there are as many.
        return _like_an_input(equation, read)
    result = ["?"] * rank
    rest = [i for i in range(rank) if i not in offsets]
    for axis, label in zip(rest, indices[:-1], strict=False):
        result[axis] = label
    if len(offsets) == 1 and offsets[0] == rank - 1:
        result[-1] = "channel"
    return tuple(result)


_OPAQUE = ("while", "scan", "cond", "sort", "dynamic_slice", "scatter", "scatter-add", "custom_linear_solve")
_RULES: Mapping[str, Callable[[Equation, list[Labels | None]], Labels | None]] = {
    "conv_general_dilated": _conv,
    "dot_general": _dot,
    "reshape": _reshape,
    "gather": _gather,
    "stack": _stack,
    **dict.fromkeys(("transpose", "broadcast_in_dim", "squeeze", "unstack", *REDUCTIONS), _moved),
}
