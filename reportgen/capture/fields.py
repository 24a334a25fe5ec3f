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

from reportgen.capture.interpret import REDUCTIONS, Equation, axis_map, interpret, known, shape_of
from reportgen.core.network import ReceptiveField

# fmt: off
ELEMENTWISE = frozenset((
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
    "clamp", "conj", "convert_element_type", "copy", "copy_p", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc",
    "exp", "exp2", "expm1", "floor", "ge", "gt", "imag", "integer_pow", "is_finite", "le", "log", "log1p", "log2",
    "logistic", "lt", "max", "min", "mul", "name", "ne", "neg", "nextafter", "not", "one_minus_square",
    "optimization_barrier", "or", "pow", "real", "reduce_precision", "rem", "round", "rsqrt", "select_n", "sign",
    "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor",
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
        """Union over all units, for units that still differ along `dims`."""
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
        shape = shape_of(variable)
        parts = [
            [_through(_Step(equation, operand, position), span) for span in spans]
            for operand, spans in enumerate(read)
            if spans is not None
        ]
        made.append(tuple(reduce(lambda a, b: _join(a, b, shape), spans) for spans in zip(*parts, strict=True)))
    return made


def _join(a: Span, b: Span, shape: Sequence[int]) -> Span:
    """Span of a unit that reads both."""
    if a.regular and b.regular and a.dims == b.dims and a.step == b.step:
        start, end = min(a.start, b.start), max(a.start + a.size, b.start + b.size)
        return replace(a, start=start, size=end - start)
    wholes = a.whole(shape), b.whole(shape)
    start, end = min(x.start for x in wholes), max(x.start + x.size for x in wholes)
    if any(not x.dims and (x.start, x.size) == (start, end - start) for x in (a, b)):
        return Span(start, end - start)
    return Span(start, end - start, dims=a.dims | b.dims)


@dataclass(frozen=True)
class _Step:
    """An equation's way from one of its operands to one of its outputs."""

    equation: Equation
    operand: int
    position: int

    @property
    def params(self) -> Mapping[str, Any]:
        return self.equation.params

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.equation.invars[self.operand])

    @property
    def out(self) -> tuple[int, ...]:
        return shape_of(self.equation.outvars[self.position])


def _through(step: _Step, span: Span) -> Span:
    """Span of the output's units through this operand."""
    name = step.equation.primitive.name
    moved = name in MOVING or (name in ELEMENTWISE and len(step.shape) in (len(step.out), 0))
    return (_moved if moved else _RULES.get(name, _anywhere))(span, step)


def _anywhere(span: Span, step: _Step) -> Span:
    """Unknown operation: units may differ along every axis, and see any part."""
    return span.whole(step.shape, range(len(step.out)) if span.dims else ())


def _moved(span: Span, step: _Step) -> Span:
    """The span moves with the axes; units along an axis that is summed over or repeated see the same."""
    moved_to = {
        i: place for i, place in axis_map(step.equation, step.operand).items() if step.shape[i] == step.out[place]
    }
    dims = [moved_to[dim] for dim in span.dims if dim in moved_to]
    return replace(span, dims=frozenset(dims)) if len(dims) == len(span.dims) else span.whole(step.shape, dims)


def _window(span: Span, length: int, stride: int, dilation: int, before: int) -> Span:
    """A window of `length` taps that moves along the span's own axis."""
    return replace(
        span,
        start=span.start - before * span.step,
        size=span.size + (length - 1) * dilation * span.step,
        step=span.step * stride,
    )


def _pooled(span: Span, step: _Step) -> Span:
    if step.operand != 0:
        return _anywhere(span, step)
    if not span.regular:
        return span
    (dim,), params, ones = span.dims, step.params, (1,) * len(step.shape)
    if params.get("base_dilation", ones)[dim] != 1:
        return span.whole(step.shape, span.dims)
    dilation = params.get("window_dilation", ones)[dim]
    length, stride = params["window_dimensions"][dim], params["window_strides"][dim]
    return _window(span, length, stride, dilation, params["padding"][dim][0])


def _convolved(span: Span, step: _Step) -> Span:
    if step.operand != 0:
        return _anywhere(span, step)
    params, numbers, moved_to = step.params, step.params["dimension_numbers"], axis_map(step.equation)
    batch, feature, *spatial = numbers.lhs_spec
    dims = frozenset(moved_to[dim] for dim in span.dims if dim != feature)
    if feature in span.dims:
        return span.whole(step.shape, dims)
    if not span.regular or batch in span.dims:
        return replace(span, dims=dims)
    index = spatial.index(next(iter(span.dims)))
    if params["lhs_dilation"][index] != 1:
        return span.whole(step.shape, dims)
    length = shape_of(step.equation.invars[1])[numbers.rhs_spec[2 + index]]
    stride, dilation = params["window_strides"][index], params["rhs_dilation"][index]
    return replace(_window(span, length, stride, dilation, params["padding"][index][0]), dims=dims)


def _reshaped(span: Span, step: _Step) -> Span:
    # An axis stays itself where as many elements stand before it, and it is as long.
    shape, out = step.shape, step.out
    places = {(math.prod(out[:i]), size): i for i, size in enumerate(out) if size != 1}
    moved_to = {i: places.get((math.prod(shape[:i]), size)) for i, size in enumerate(shape) if size != 1}
    if all(moved_to.get(dim) is not None for dim in span.dims if shape[dim] != 1):
        dims = frozenset(place for dim in span.dims if (place := moved_to.get(dim)) is not None)
        return replace(span, dims=dims) if len(dims) == len(span.dims) else span.whole(shape, dims)
    others = {place for dim, place in moved_to.items() if place is not None and dim not in span.dims}
    return span.whole(shape, [i for i, size in enumerate(out) if size != 1 and i not in others])


def _sliced(span: Span, step: _Step) -> Span:
    if not span.regular:
        return span
    (dim,), strides = span.dims, step.params["strides"]
    first, stride = step.params["start_indices"][dim], 1 if strides is None else strides[dim]
    return replace(span, start=span.start + first * span.step, step=span.step * stride)


def _padded(span: Span, step: _Step) -> Span:
    if step.operand != 0:
        return _anywhere(span, step)
    if not span.regular:
        return span
    before, _after, between = step.params["padding_config"][next(iter(span.dims))]
    return span.whole(step.shape, span.dims) if between else replace(span, start=span.start - before * span.step)


def _split(span: Span, step: _Step) -> Span:
    if not span.regular or step.params["axis"] not in span.dims:
        return span
    return replace(span, start=span.start + sum(step.params["sizes"][: step.position]) * span.step)


def _unstacked(span: Span, step: _Step) -> Span:
    if not span.regular or step.params["axis"] not in span.dims:
        return _moved(span, step)
    return Span(span.start + step.position * span.step, span.size)


def _mixed_along(span: Span, step: _Step) -> Span:
    """Along one axis, units mix (cumulative sums, sorts) or are offset (concatenation)."""
    along = step.params.get("axis", step.params.get("dimension"))
    return span.whole(step.shape, span.dims) if along in span.dims else span


MOVING = frozenset(("dot_general", "transpose", "broadcast_in_dim", "squeeze", "stack", *REDUCTIONS))
_RULES = {
    "conv_general_dilated": _convolved,
    "reshape": _reshaped,
    "slice": _sliced,
    "pad": _padded,
    "split": _split,
    "unstack": _unstacked,
    **dict.fromkeys(("concatenate", "cumsum", "cumprod", "cummax", "sort"), _mixed_along),
    **dict.fromkeys((f"reduce_window{kind}" for kind in ("", "_sum", "_max", "_min")), _pooled),
}
