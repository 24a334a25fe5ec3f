"""Batches through a captured model, each reduced inside one jitted call, the parts merged in NumPy.

A batch's activations live only inside its call: what comes out is what the reducers make of it. Batches need a part
of the memory of one call over all examples, and less time. Where the variables lie on devices of several processes,
examples are divided among these, and all processes evaluate together.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture, dividing, jitted
from reportgen.evaluate.arrays import LayerValues, PerExample, PerPlace, Scores
from reportgen.evaluate.columns import Layers

T = TypeVar("T")

BATCH, BATCH_BYTES = 256, 128 << 20
"""Examples in a call, and bytes that their inputs, their selected activations or their largest layer take, at most."""

HELD, HELD_BYTES = 32, 24 << 20
"""Bytes that more than so many examples take, at most: up to some 32 MB the C library holds freed memory for the next
call. More comes from the system anew each time, page by page, which takes a third of the call."""

LEAST = 2
"""Examples in the smallest batch: an array with a first axis of 1 may be no value per example at all."""

AHEAD = 4
"""Batches that are dispatched before the first of them is fetched."""


class Examples(NamedTuple):
    """One batch: inputs, a pytree of arrays [example, ...], and targets [example] or None."""

    inputs: Any
    targets: Any


class Reducer(Protocol):
    """Reduces the activations and outputs of all batches to a result."""

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        """A pytree of arrays made of one batch. Runs inside jit: what is small is better made by `merge`, in NumPy, as
        each further operation takes some milliseconds to compile.

        `values` maps layer path -> [example, *layer.positions, channel], magnitudes where they are complex, and
        [example] for a layer of scalars; `real` [example] is False for the copies of the last example that fill the
        last batch up.
        """

    def merge(self, total: Any, part: Any, count: int) -> Any:
        """`total` (None at first) with the `part` of one more batch, whose first `count` examples are real.

        The part's arrays may still be computed on the device: NumPy waits for those that it is given.
        """

    def result(self, total: Any) -> Any:
        """The total as NumPy arrays. Does not modify `total`, which may be merged further."""


@runtime_checkable
class SecondLook(Reducer, Protocol):
    """A reducer that needs to see a rare batch once more, for what would cost too much to compute for each."""

    def suspect(self, part: Any) -> bool:
        """Whether the batch that this part is of must be looked at again."""

    def look(self, values: Layers) -> Any:
        """A closer look at the batch's activations. Runs inside jit."""

    def corrected(self, part: Any, seen: Any) -> Any:
        """The part, corrected by what the second look saw."""


@partial(jax.tree_util.register_dataclass, data_fields=["leaves"], meta_fields=["structure", "places"])
@dataclass(frozen=True)
class _Once:
    """A pytree of arrays, of which each is there once where several reducers give it: XLA would copy it for each."""

    leaves: list[Any]
    structure: Any
    places: tuple[int, ...]

    @classmethod
    def of(cls, tree: Any) -> "_Once":
        leaves, structure = jax.tree.flatten(tree)
        known = {id(leaf): leaf for leaf in leaves}
        numbers = {key: number for number, key in enumerate(known)}
        return cls(list(known.values()), structure, tuple(numbers[id(leaf)] for leaf in leaves))

    def tree(self) -> Any:
        return jax.tree.unflatten(self.structure, [self.leaves[place] for place in self.places])


def reducing(capture: Capture, reducers: Sequence[Reducer]) -> Callable[[Any, Examples, Any], _Once]:
    """What is compiled of an evaluation: of (variables, one batch, how many examples are real) each reducer's part."""

    def reduced(variables: Any, examples: Examples, count: Any) -> _Once:
        output, captured = capture(variables, examples.inputs)
        values = _by_channel(capture, captured)
        real = jnp.arange(size_of(examples.inputs)) < count
        return _Once.of([reducer.batch(values, output, examples, real) for reducer in reducers])

    return reduced


class Evaluator:
    """The compiled evaluation of one captured model by some reducers."""

    def __init__(self, capture: Capture, reducers: Sequence[Reducer]):
        values = {path: math.prod(layer.shape) for path, layer in capture.network.layers.items()}
        # A layer that is not selected is there all the same while the next one is computed.
        self._values: int = max([sum(values[path] for path in capture.selected), *values.values()])
        self._reducers = reducers
        self._reduced: Callable[[Any, Examples, int], _Once] = jitted(reducing(capture, reducers))
        # Asked once: to ask an object for a protocol takes longer than to merge its part.
        self._checks = [_check_of(capture, r) if isinstance(r, SecondLook) else None for r in reducers]

    def __call__(
        self,
        variables: Any,
        inputs: Any,
        targets: Any = None,
        *,
        progress: Callable[[int, int], Any] | None = None,
    ) -> list[Any]:
        """Each reducer's result over all examples, in the reducers' order.

        `inputs` is an array or LazyArray [example, ...], or a pytree of them; `progress(done, of)` is called after
        each batch, in examples.
        """
        of = size_of(inputs)
        size = self._batch_of(variables, of, inputs)
        slices = (examples_from(Examples(inputs, targets), start, size) for start in range(0, of, size))
        return self._over(variables, slices, of, size, progress)

    def stream(
        self, variables: Any, batches: Iterable[Examples], of: int, progress: Callable[[int, int], Any] | None = None
    ) -> list[Any]:
        """The same over batches of any sizes that hold `of` examples together."""
        parts = iter(batches)
        first = next(parts)
        size = self._batch_of(variables, of, first.inputs)
        return self._over(variables, _regrouped(chain([first], parts), size), of, size, progress)

    def _batch_of(self, variables: Any, of: int, inputs: Any) -> int:
        """Examples in each call: as few calls as fit into memory, of one size, so that one compilation does and the
        last lacks less than one example for each call; as many for each device that they are divided among."""
        given: int = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(inputs))
        each: int = 4 * max(self._values, given, 1)
        calls = -(-of // max(min(BATCH, BATCH_BYTES // each, max(HELD, HELD_BYTES // each)), 1))
        size = max(LEAST, -(-of // calls))
        division = dividing(variables)
        return size if division is None or size < division.count else -(-size // division.count) * division.count

    def _over(
        self,
        variables: Any,
        batches: Iterable[Examples],
        of: int,
        size: int,
        progress: Callable[[int, int], Any] | None,
    ) -> list[Any]:
        totals: list[Any] = [None] * len(self._reducers)
        done = 0
        for count, examples, parts in _ahead(self._dispatched(variables, batches, size)):
            for place, (reducer, part) in enumerate(zip(self._reducers, parts, strict=True)):
                check = self._checks[place]
                sound = part if check is None else check(part, variables, examples.inputs)
                totals[place] = reducer.merge(totals[place], sound, count)
            done += count
            if progress is not None:
                progress(done, of)
        return [reducer.result(total) for reducer, total in zip(self._reducers, totals, strict=True)]

    def _dispatched(
        self, variables: Any, batches: Iterable[Examples], size: int
    ) -> Iterator[tuple[int, Examples, list[Any]]]:
        """(how many are real, examples, parts) of each batch, which the device may still work on."""
        division = dividing(variables)
        for batch in batches:
            examples = jax.tree.map(lambda leaf: _filled(leaf, size), batch)
            examples = examples if division is None else division.of(examples)
            count = size_of(batch.inputs)
            yield count, examples, self._reduced(variables, examples, count).tree()


def _check_of(capture: Capture, reducer: SecondLook) -> Callable[[Any, Any, Any], Any]:
    """The function that gives a part as it is, or corrected by a second look at its batch."""
    look = jitted(lambda variables, inputs: reducer.look(_by_channel(capture, capture(variables, inputs)[1])))

    def checked(part: Any, variables: Any, inputs: Any) -> Any:
        return reducer.corrected(part, look(variables, inputs)) if reducer.suspect(part) else part

    return checked


def _by_channel(capture: Capture, captured: Mapping[str, LayerValues]) -> Layers:
    """Layer path -> [example, *layer.positions, channel], complex values by their magnitudes."""
    layers = capture.network.layers
    real = {path: jnp.abs(value) if jnp.iscomplexobj(value) else value for path, value in captured.items()}
    return Layers({path: layers[path].by_channel(value) for path, value in real.items()})


def size_of(inputs: Any) -> int:
    """How many examples the inputs hold."""
    return int(jax.tree.leaves(inputs)[0].shape[0])


def examples_from(tree: Any, start: int, count: int) -> Any:
    """So many examples of every array of a pytree, from `start` on."""
    return jax.tree.map(lambda leaf: leaf[start : start + count], tree)


def predicted(scores: Scores) -> PerPlace:
    """[example, ...]: the class with the largest of scores [example, ..., class]; NumPy's for NumPy's.

    -1 where that is not finite or a score is NaN; a score of -inf masks its class alone.
    """
    numpy: Any = np if isinstance(scores, np.ndarray) else jnp
    best = scores.argmax(axis=-1)
    # argmax takes NaN for the largest: where any score is NaN, this one is.
    largest = numpy.take_along_axis(scores, best[..., None], axis=-1)[..., 0]
    found: PerPlace = numpy.where(numpy.isfinite(largest), best, -1)
    return found


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    """The array with copies of its last example up to `size`, which no reducer counts."""
    missing = size - len(array)
    return array if not missing else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def _regrouped(batches: Iterable[Examples], size: int) -> Iterator[Examples]:
    """The examples in batches of `size`, but for the last."""
    left: Examples | None = None
    for batch in batches:
        left = batch if left is None else jax.tree.map(lambda *leaves: np.concatenate(leaves), left, batch)
        while (count := size_of(left.inputs)) >= size:
            yield jax.tree.map(lambda leaf: leaf[:size], left)
            if count == size:
                left = None
                break
            left = jax.tree.map(lambda leaf: leaf[size:], left)
    if left is not None:
        yield left


def _ahead(batches: Iterable[T]) -> Iterator[T]:
    """The same, `AHEAD` of them begun before the first is handed on: the device does not wait for Python."""
    begun: deque[T] = deque()
    for batch in batches:
        begun.append(batch)
        if len(begun) == AHEAD:
            yield begun.popleft()
    yield from begun
