"""Which part of the image each layer's units see, read off the traced program.

    fields = receptive_fields(equations, images, {"conv1": variable})    # {"conv1": ReceptiveField | None}

Every equation of the program says how the units of what it makes follow from those of what it reads: a
convolution or a pooling widens the window and the step, a sum over positions joins all windows, an
elementwise operation keeps them. What a unit sees is thus exact for networks of these; where units see
parts that form no lattice (after a flattening, a transposed convolution, an unknown operation), the
answer is None, "not known", until an operation joins all of them again. Padding counts as seen.
Source: Araujo, Norris and Sim (2019), Computing Receptive Fields of Convolutional Neural Networks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from reportgen.capture.interpret import Equation, interpret, known, shape_of
from reportgen.core.network import ReceptiveField

# fmt: off
ELEMENTWISE = frozenset((
    "abs", "add", "add_any", "and", "atan2", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "copy_p", "cos",
    "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "imag", "integer_pow",
    "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "name", "ne", "neg", "nextafter", "not",
    "optimization_barrier", "or", "pow", "real", "reduce_precision", "rem", "round", "rsqrt", "select_n", "sign",
    "sin", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor",
))
REDUCTIONS = frozenset((
    "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor", "argmax",
    "argmin",
))
WINDOWS = frozenset((
    "reduce_window", "reduce_window_sum", "reduce_window_max", "reduce_window_min",
))
# fmt: on


@dataclass(frozen=True)
class Span:
    """What units see of one axis of the image: `size` pixels from `start`.

    dims empty            all units see the same
    regular               unit i along the only dim sees `size` pixels from start + i * step
    neither               units that differ along `dims` see different parts of start .. start + size
    """

    start: int
    size: int
    step: int = 0
    dims: frozenset[int] = frozenset()
    regular: bool = False

    def whole(self, shape: Sequence[int], dims: Iterable[int] = ()) -> "Span":
        """What all units together see, said of units that still differ along `dims`."""
        size = self.size + (shape[next(iter(self.dims))] - 1) * self.step if self.regular else self.size
        return Span(self.start, size, dims=frozenset(dims))


Spans = tuple[Span, ...]


def receptive_fields(
    equations: Iterable[Equation], images: Sequence[Any], wanted: Mapping[str, Any]
) -> dict[str, ReceptiveField | None]:
    """The receptive field of the units of each of the variables `wanted`, by the same names.

    `images` are the program's input variables that hold images [image, height, width, channel]; for
    images of another rank, and variables that do not depend on them, the answer is None.
    """
    seen: dict[Any, Spans] = {}
    for variable in images:
        if len(shape_of(variable)) == 4:
            seen[variable] = tuple(Span(0, 1, 1, frozenset({axis}), True) for axis in (1, 2))
    # Without borders: the iterations of a loop see different parts.
    interpret(equations, seen, _rule)
    return {name: _field(known(seen, variable)) for name, variable in wanted.items()}


def _field(spans: Spans | None) -> ReceptiveField | None:
    if spans is None:
        return None
    for axis, span in enumerate(spans, 1):
        if span.dims and not (span.regular and span.dims == {axis}):
            return None
    rows, columns = spans
    return ReceptiveField(rows.size, columns.size, rows.step, columns.step, rows.start, columns.start)


def _rule(equation: Equation, read: list[Spans | None]) -> list[Spans]:
    made = []
    for position, variable in enumerate(equation.outvars):
        parts = [_through(equation, i, spans, position) for i, spans in enumerate(read) if spans is not None]
        shape = shape_of(variable)
        made.append(tuple(reduce(lambda a, b: _join(a, b, shape), spans) for spans in zip(*parts, strict=True)))
    return made


def _join(a: Span, b: Span, shape: Sequence[int]) -> Span:
    """What a unit sees that reads both."""
    if a.regular and b.regular and a.dims == b.dims and a.step == b.step:
        start, end = min(a.start, b.start), max(a.start + a.size, b.start + b.size)
        return replace(a, start=start, size=end - start)
    wholes = a.whole(shape), b.whole(shape)
    start, end = min(x.start for x in wholes), max(x.start + x.size for x in wholes)
    if any(not x.dims and (x.start, x.size) == (start, end - start) for x in (a, b)):
        return Span(start, end - start)
    return Span(start, end - start, dims=a.dims | b.dims)


def _through(equation: Equation, operand: int, spans: Spans, position: int) -> Spans:
    """What the units of the equation's output `position` see by way of its operand."""
    name = equation.primitive.name
    step = _Step(equation.params, [shape_of(v) for v in equation.invars], operand, position)
    out = shape_of(equation.outvars[position])
    if name in ELEMENTWISE and len(step.shape) in (len(out), 0):
        return tuple(_repeated(span, step.shape, out, range(len(step.shape))) for span in spans)
    rule = _RULES.get(name)
    if name in REDUCTIONS:
        rule = _reduced_away
    elif name in WINDOWS and operand == 0:
        rule = _pooled
    if rule is None:
        return tuple(_anywhere(span, step, out) for span in spans)
    return tuple(rule(span, step, out) for span in spans)


@dataclass(frozen=True)
class _Step:
    """An equation's way from one of its operands to one of its outputs."""

    params: Mapping[str, Any]
    shapes: Sequence[tuple[int, ...]]
    operand: int
    position: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.shapes[self.operand])


def _anywhere(span: Span, step: _Step, out: Sequence[int]) -> Span:
    """An operation of which nothing is known: units may differ along every axis, and see anything of it."""
    return span.whole(step.shape, range(len(out)) if span.dims else ())


def _kept(rank: int, removed: Iterable[int]) -> dict[int, int]:
    """Old axis -> new axis, when `removed` fall away."""
    gone = set(removed)
    return {old: new for new, old in enumerate(axis for axis in range(rank) if axis not in gone)}


def _reduced(span: Span, shape: Sequence[int], axes: Iterable[int], kept: Mapping[int, int]) -> Span:
    if span.dims.isdisjoint(axes):
        return replace(span, dims=frozenset(kept[dim] for dim in span.dims))
    return span.whole(shape, [kept[dim] for dim in span.dims if dim in kept])


def _reduced_away(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    axes = step.params["axes"]
    return _reduced(span, step.shape, axes, _kept(len(step.shape), axes))


def _squeezed(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    axes = step.params["dimensions"]
    return _reduced(span, step.shape, axes, _kept(len(step.shape), axes))


def _window(span: Span, length: int, stride: int, dilation: int, before: int) -> Span:
    """A window of `length` taps that moves along the span's own axis."""
    return replace(
        span,
        start=span.start - before * span.step,
        size=span.size + (length - 1) * dilation * span.step,
        step=span.step * stride,
    )


def _pooled(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    if not span.regular:
        return span
    (dim,), params, ones = span.dims, step.params, (1,) * len(step.shape)
    if params.get("base_dilation", ones)[dim] != 1:
        return span.whole(step.shape, span.dims)
    dilation = params.get("window_dilation", ones)[dim]
    length, stride = params["window_dimensions"][dim], params["window_strides"][dim]
    return _window(span, length, stride, dilation, params["padding"][dim][0])


def _convolved(span: Span, step: _Step, out: Sequence[int]) -> Span:
    if step.operand != 0:
        return _anywhere(span, step, out)
    params, numbers = step.params, step.params["dimension_numbers"]
    axes = dict(zip(numbers.lhs_spec, numbers.out_spec, strict=True))
    batch, feature, *spatial = numbers.lhs_spec
    if feature in span.dims:
        return span.whole(step.shape, [axes[dim] for dim in span.dims if dim != feature])
    dims = frozenset(axes[dim] for dim in span.dims)
    if not span.regular or batch in span.dims:
        return replace(span, dims=dims)
    index = spatial.index(next(iter(span.dims)))
    if params["lhs_dilation"][index] != 1:
        return span.whole(step.shape, dims)
    length = step.shapes[1][numbers.rhs_spec[2 + index]]
    stride, dilation = params["window_strides"][index], params["rhs_dilation"][index]
    return replace(_window(span, length, stride, dilation, params["padding"][index][0]), dims=dims)


def _multiplied(span: Span, step: _Step, out: Sequence[int]) -> Span:
    contracted, batch = (pair[step.operand] for pair in step.params["dimension_numbers"])
    rank = len(step.shape)
    free = [dim for dim in range(rank) if dim not in contracted and dim not in batch]
    first = len(batch) if step.operand == 0 else len(out) - len(free)
    kept = {dim: i for i, dim in enumerate(batch)} | {dim: first + i for i, dim in enumerate(free)}
    return _reduced(span, step.shape, contracted, kept)


def _reshaped(span: Span, step: _Step, out: Sequence[int]) -> Span:
    # An axis stays itself where as many elements stand before it, and it is as long.
    shape = step.shape
    places = {(math.prod(out[:i]), size): i for i, size in enumerate(out) if size != 1}
    kept = {i: places.get((math.prod(shape[:i]), size)) for i, size in enumerate(shape) if size != 1}
    if all(kept.get(dim) is not None for dim in span.dims if shape[dim] != 1):
        dims = frozenset(place for dim in span.dims if (place := kept.get(dim)) is not None)
        return replace(span, dims=dims) if len(dims) == len(span.dims) else span.whole(shape, dims)
    others = {place for dim, place in kept.items() if place is not None and dim not in span.dims}
    return span.whole(shape, [i for i, size in enumerate(out) if size != 1 and i not in others])


def _transposed(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    order = list(step.params["permutation"])
    return replace(span, dims=frozenset(order.index(dim) for dim in span.dims))


def _broadcast(span: Span, step: _Step, out: Sequence[int]) -> Span:
    return _repeated(span, step.shape, out, step.params["broadcast_dimensions"])


def _repeated(span: Span, shape: Sequence[int], out: Sequence[int], places: Sequence[int]) -> Span:
    """Axis i becomes axis places[i]; one of length 1 may be repeated, and its units then see the same."""
    kept = [places[dim] for dim in span.dims if shape[dim] == out[places[dim]]]
    return replace(span, dims=frozenset(kept)) if len(kept) == len(span.dims) else span.whole(shape, kept)


def _sliced(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    if not span.regular:
        return span
    (dim,), strides = span.dims, step.params["strides"]
    first, stride = step.params["start_indices"][dim], 1 if strides is None else strides[dim]
    return replace(span, start=span.start + first * span.step, step=span.step * stride)


def _padded(span: Span, step: _Step, out: Sequence[int]) -> Span:
    if step.operand != 0:
        return _anywhere(span, step, out)
    if not span.regular:
        return span
    before, _after, between = step.params["padding_config"][next(iter(span.dims))]
    return span.whole(step.shape, span.dims) if between else replace(span, start=span.start - before * span.step)


def _concatenated(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    return span.whole(step.shape, span.dims) if step.params["dimension"] in span.dims else span


def _split(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    if not span.regular or step.params["axis"] not in span.dims:
        return span
    return replace(span, start=span.start + sum(step.params["sizes"][: step.position]) * span.step)


def _accumulated(span: Span, step: _Step, _out: Sequence[int]) -> Span:
    along = step.params.get("axis", step.params.get("dimension"))
    return span.whole(step.shape, span.dims) if along in span.dims else span


_RULES = {
    "conv_general_dilated": _convolved,
    "dot_general": _multiplied,
    "reshape": _reshaped,
    "transpose": _transposed,
    "broadcast_in_dim": _broadcast,
    "squeeze": _squeezed,
    "slice": _sliced,
    "pad": _padded,
    "concatenate": _concatenated,
    "split": _split,
    "cumsum": _accumulated,
    "cumprod": _accumulated,
    "cummax": _accumulated,
    "sort": _accumulated,
}
