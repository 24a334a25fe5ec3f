"""What the axes of each value of a program are: image, position, channel. Followed, never guessed.

    label = follow(jaxpr, images, {"...": parameters})
    label[variable]                  # ("b", "y", "x", "channel")

Labels start at the images, whose layout is known, and are carried through each equation by what it does
to the axes: a convolution makes channels, a matrix product replaces the axis that it sums over, a
reshape keeps the axes that it leaves whole. Where that can't be told the label is "?".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jax.extend.core import Jaxpr, Literal

Labels = tuple[str, ...]

INPUTS: Mapping[int, Labels] = {
    1: ("b",),
    2: ("b", "channel"),
    3: ("b", "t", "channel"),
    4: ("b", "y", "x", "channel"),
    5: ("b", "z", "y", "x", "channel"),
}
"""Number of axes of the model's input -> what they are; whole numbers [b, t] are tokens."""

SPATIAL: Mapping[int, Labels] = {1: ("t",), 2: ("y", "x"), 3: ("z", "y", "x")}


def follow(jaxpr: Jaxpr, images: Sequence[Any], params: set[Any]) -> dict[Any, Labels]:
    """The labels of every variable that follows from `images`, one per axis.

    `params` are the variables that hold the model's variables; a product with what follows from them
    makes new channels, one with anything else (the weights of an interpolation) keeps the positions.
    """
    known: dict[Any, Labels] = {}
    learned = set(params)
    for variable in images:
        shape, dtype = variable.aval.shape, variable.aval.dtype
        tokens = len(shape) == 2 and dtype.kind in "iu"
        known[variable] = ("b", "t") if tokens else INPUTS.get(len(shape), ("b", *"?" * (len(shape) - 1)))
    _walk(jaxpr, known, learned)
    return known


def _walk(jaxpr: Jaxpr, known: dict[Any, Labels], learned: set) -> None:
    for equation in jaxpr.eqns:
        variables = [v for v in equation.invars if not isinstance(v, Literal)]
        if any(v in learned for v in variables):
            learned.update(equation.outvars)
        if not any(v in known for v in variables):
            continue
        rule = _RULES.get(equation.primitive.name)
        if equation.primitive.name == "scan":
            found = _scan(equation, known, learned)
        elif rule is not None:
            found = [rule(equation, known, learned)] * len(equation.outvars)
        else:
            found = [_like_an_input(equation, known, v) for v in equation.outvars]
        for variable, labels in zip(equation.outvars, found, strict=True):
            rank = len(getattr(variable.aval, "shape", ()))
            # A rule that does not fit says nothing, rather than something wrong.
            known[variable] = _one_channel_axis(labels) if labels and len(labels) == rank else ("?",) * rank


def _one_channel_axis(labels: Labels) -> Labels:
    """What was called channels before the last such axis is an axis like any other now."""
    last = max((i for i, label in enumerate(labels) if label == "channel"), default=-1)
    return tuple("?" if label == "channel" and i != last else label for i, label in enumerate(labels))


def _of(equation: Any, known: Mapping, number: int = 0) -> Labels | None:
    variable = equation.invars[number]
    return None if isinstance(variable, Literal) else known.get(variable)


def _like_an_input(equation: Any, known: Mapping, output: Any) -> Labels | None:
    """Elementwise operations, slices, pads and windows: axis i of the output is axis i of an input."""
    rank = len(getattr(output.aval, "shape", ()))
    candidates = [known[v] for v in equation.invars if not isinstance(v, Literal) and len(known.get(v, ())) == rank]
    if not candidates or equation.primitive.name in _OPAQUE:
        return None
    return tuple(_agreed([labels[i] for labels in candidates]) for i in range(rank))


def _agreed(labels: list[str]) -> str:
    told = set(labels) - {"?"}
    return told.pop() if len(told) == 1 else "?"


def _conv(equation: Any, known: Mapping, learned: set) -> Labels | None:
    labels = _of(equation, known)
    numbers = equation.params["dimension_numbers"]
    into, out = numbers.lhs_spec, numbers.out_spec
    if labels is None:
        return None
    before = [labels[axis] for axis in into[2:]]
    if not set(before) <= {"z", "y", "x", "t"} or len(set(before)) < len(before):
        before = list(SPATIAL.get(len(before), "?" * len(before)))
    result = ["?"] * len(out)
    result[out[0]], result[out[1]] = labels[into[0]], "channel"
    for axis, label in zip(out[2:], before, strict=True):
        result[axis] = label
    return tuple(result)


def _dot(equation: Any, known: Mapping, learned: set) -> Labels | None:
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    sides = []
    for number, (summed, batch) in enumerate(((left_sum, left_batch), (right_sum, right_batch))):
        variable = equation.invars[number]
        labels = _of(equation, known, number)
        sides.append((variable, labels, summed, batch))
    left_labels, right_labels = sides[0][1], sides[1][1]
    result: list[str] = []
    for axis, other in zip(left_batch, right_batch, strict=True):
        told = [side[i] for side, i in ((left_labels, axis), (right_labels, other)) if side is not None]
        result.append(_agreed(told))
    for number, (variable, labels, summed, batch) in enumerate(sides):
        free = [i for i in range(len(variable.aval.shape)) if i not in (*summed, *batch)]
        if labels is not None:
            result += [labels[i] for i in free]
            continue
        other_labels, other_summed = sides[1 - number][1], sides[1 - number][2]
        gone = [other_labels[i] for i in other_summed] if other_labels is not None else []
        if variable in learned or len(gone) != 1 or len(free) != 1:
            result += ["?"] * (len(free) - 1) + ["channel"] * bool(free)
        else:
            result.append(gone[0])
    return tuple(result)


def _transpose(equation: Any, known: Mapping, learned: set) -> Labels | None:
    labels = _of(equation, known)
    return labels and tuple(labels[i] for i in equation.params["permutation"])


def _broadcast(equation: Any, known: Mapping, learned: set) -> Labels | None:
    labels = _of(equation, known)
    if labels is None:
        return None
    result = ["?"] * len(equation.params["shape"])
    for label, axis in zip(labels, equation.params["broadcast_dimensions"], strict=True):
        result[axis] = label
    return tuple(result)


def _without(parameter: str) -> Any:
    def rule(equation: Any, known: Mapping, learned: set) -> Labels | None:
        labels = _of(equation, known)
        gone = equation.params[parameter]
        return labels and tuple(label for i, label in enumerate(labels) if i not in gone)

    return rule


def _reshape(equation: Any, known: Mapping, learned: set) -> Labels | None:
    labels = _of(equation, known)
    if labels is None:
        return None
    before, after = equation.invars[0].aval.shape, equation.params["new_sizes"]
    result: list[str] = []
    for olds, news in _blocks(before, after):
        group = [labels[i] for i in olds if before[i] != 1 or len(olds) == 1]
        if len(news) == 1:
            result.append(_merged(group))
        elif len(group) == 1:
            ones = [after[i] == 1 for i in news]
            kept = [group[0] if not one else "?" for one in ones]
            if ones.count(False) > 1:
                # Split channels: the last part are the channels of a head; split positions are tiles.
                kept = ["?"] * len(news)
                if group[0] in ("b", "channel"):
                    kept[0 if group[0] == "b" else -1] = group[0]
            result += kept
        else:
            result += ["?"] * len(news)
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


def _gather(equation: Any, known: Mapping, learned: set) -> Labels | None:
    """Rows of a table (an embedding): the indices' axes, then the row's, which are channels."""
    indices = _of(equation, known, 1)
    rank = len(equation.outvars[0].aval.shape)
    offsets = equation.params["dimension_numbers"].offset_dims
    if indices is None or _of(equation, known) is not None:
        # A gather from activations picks positions out of them: same axes, if there are as many.
        return _like_an_input(equation, known, equation.outvars[0])
    result = ["?"] * rank
    rest = [i for i in range(rank) if i not in offsets]
    for axis, label in zip(rest, indices[:-1], strict=False):
        result[axis] = label
    if len(offsets) == 1 and offsets[0] == rank - 1:
        result[-1] = "channel"
    return tuple(result)


def _is_told(before: Any, after: Any, known: Mapping) -> bool:
    return before not in known and not isinstance(after, Literal) and after in known


def _scan(equation: Any, known: Mapping, learned: set) -> list[Labels | None]:
    """Through the body, once: what is stacked over the iterations gets the axis that they went over."""
    body = equation.params["jaxpr"].jaxpr
    looped = equation.params["num_consts"] + equation.params["num_carry"]
    inner: dict[Any, Labels] = {}
    inner_learned = set()
    over = "?"
    for number, (outside, inside) in enumerate(zip(equation.invars, body.invars, strict=True)):
        if isinstance(outside, Literal):
            continue
        if outside in learned:
            inner_learned.add(inside)
        if outside in known:
            labels = known[outside]
            inner[inside] = labels[1:] if number >= looped else labels
            over = labels[0] if number >= looped and over == "?" else over
    carried = body.invars[equation.params["num_consts"] : looped]
    _walk(body, inner, inner_learned)
    # What is carried starts as zeros, of which nothing is known, and is told by the first iteration.
    told = {v: inner[w] for v, w in zip(carried, body.outvars, strict=False) if _is_told(v, w, inner)}
    inner.update(told)
    _walk(body, inner, inner_learned)
    results: list[Labels | None] = []
    for number, variable in enumerate(body.outvars):
        labels = None if isinstance(variable, Literal) else inner.get(variable)
        results.append((over, *labels) if number >= equation.params["num_carry"] and labels is not None else labels)
    return results


_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin")
_OPAQUE = ("while", "cond", "sort", "dynamic_slice", "scatter", "scatter-add", "custom_linear_solve")
_RULES = {
    "conv_general_dilated": _conv,
    "dot_general": _dot,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _without("dimensions"),
    "gather": _gather,
    **dict.fromkeys(_REDUCTIONS, _without("axes")),
}
