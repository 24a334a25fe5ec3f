"""Copies of a training's variables, made on the device behind the update that made them.

    copier = Copier(model, collections, needed, shapes)
    given = copier.take(params)                      # refuses what is not of the network that is recorded
    copy, metrics = copier.copy(given, metrics)      # returns at once
    writer.record(step, epoch, copy())               # in the writer thread, which waits for the values

Arrays that lie on one device are copied as one for each type: what that costs hardly depends on their number. What is
known of them is found once, and compared with those of the next call. Of arrays that are spread over several processes
each one copies the pieces that it owns; of others the first process has them.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from reportgen.capture import is_shared, on_this_process, variables_of
from reportgen.errors import OptionError
from reportgen.record.trees import Shapes, check_same, checked, differing, recordable, shapes_of, taken
from reportgen.store import Layout, Packed, Piece, order, raw_bytes, stored, variable_tensors

Trees = dict[str, dict[str, Any]]
"""Collection -> name -> array."""


class Owned(NamedTuple):
    """A piece of an array that this process writes: of which array, and which of its shards (None: all of it)."""

    piece: Piece
    leaf: Any
    shard: int | None

    @property
    def value(self) -> Any:
        """The piece as an array of this process."""
        return self.leaf if self.shard is None else self.leaf.addressable_shards[self.shard].data

    @property
    def device(self) -> int:
        """The number of the device that it lies on; -1 on several, or none."""
        if self.shard is not None:
            return int(self.value.device.id)
        devices: Any = self.leaf.sharding.device_set if isinstance(self.leaf, jax.Array) else ()
        return int(next(iter(devices)).id) if len(devices) == 1 else -1


@dataclass(frozen=True)
class Share:
    """What this process writes of some variables: the pieces that it owns of `everything`, as one of `parts`."""

    owned: Sequence[Owned]
    everything: Sequence[Piece]
    parts: int

    @classmethod
    def of(cls, trees: Mapping[str, Mapping[str, Any]]) -> "Share":
        """Of arrays by collection and name."""
        named = variable_tensors(trees)
        everything = [Piece.all_of(name, _stored(leaf), np.shape(leaf)) for name, leaf in named.items()]
        owned = [each for name, leaf in named.items() for each in _owned(name, leaf)]
        owned.sort(key=lambda x: (x.device, *order(x.piece.name, _dtype(x.leaf)), x.piece.start))
        return cls(owned, everything, jax.process_count() if any(map(_is_spread, named.values())) else 1)

    def with_step_params(self, pieces: Mapping[Piece, np.ndarray]) -> "Share":
        """The same, and as a collection `step_params` other parameters, of which this process has these pieces."""
        further = [Owned(piece.of("step_params"), array, None) for piece, array in pieces.items()]
        everything = [piece.of("step_params") for piece in self.everything if piece.name.startswith("params/")]
        return Share([*self.owned, *further], [*self.everything, *everything], self.parts)

    @cached_property
    def layout(self) -> Layout | None:
        """Of the record; None where there is nothing to write: the first process has all of it."""
        if self.parts == 1 and jax.process_index():
            return None
        return Layout.of((each.piece for each in self.owned), self.parts, self.everything)

    def fetched(self) -> Packed:
        """It as a record has it, where it has a layout. Waits for the values."""
        assert self.layout is not None
        return _fetched(self.layout, [each.value for each in self.owned])

    def is_in(self, recorded: Mapping[Piece, np.ndarray]) -> bool:
        """Whether these very values, bit for bit, are among those that were recorded."""
        for piece, array in ((each.piece, stored(np.asarray(each.value))) for each in self.owned):
            if piece not in recorded or recorded[piece].tobytes() != array.tobytes():
                return False
        return True


def _is_spread(leaf: Any) -> bool:
    """Whether no process has all of an array."""
    return is_shared(leaf) and not leaf.is_fully_replicated


def _owned(name: str, leaf: Any) -> list[Owned]:
    """The pieces of an array that this process writes: of each piece that several devices have, one does."""
    whole = tuple(map(int, np.shape(leaf)))
    if not _is_spread(leaf):
        first = [Owned(Piece.all_of(name, _stored(leaf), whole), leaf, 0 if is_shared(leaf) else None)]
        return [] if jax.process_index() else first
    return [
        Owned(
            Piece(
                name, _stored(leaf), tuple(shard.data.shape), tuple(place.start or 0 for place in shard.index), whole
            ),
            leaf,
            number,
        )
        for number, shard in enumerate(leaf.addressable_shards)
        if shard.replica_id == 0
    ]


@dataclass(frozen=True, eq=False)
class Plan:
    """How the arrays of a tree are copied as one for each type.

    `facts` are what the leaves must be, see `_facts`; `names` say what is recorded, (collection, name) -> the leaf's
    number; `programs` are, for each device, the leaves of each type, as their numbers and those of their shards.
    """

    facts: tuple[list[Any], ...]
    names: Mapping[tuple[str, str], int]
    programs: Sequence[Sequence[Sequence[tuple[int, int | None]]]]
    layout: Layout | None


@dataclass(frozen=True, eq=False)
class Given:
    """Variables that were handed over and are right: those that are recorded, and the plan to copy them by, if any."""

    trees: Trees
    leaves: Sequence[Any]
    plan: Plan | None


class Copier:
    """Takes and copies the variables of a network: of its `collections`, those `needed` in evaluation, its parameters'
    shapes."""

    def __init__(self, model: Any, collections: Set[str], needed: Set[str], shapes: Shapes):
        self._model = model
        self._collections = collections
        self._needed = needed
        self._shapes = shapes
        self._plans: dict[Any, Plan] = {}

    def take(self, source: Any) -> Given:
        """What is recorded of the variables. Raises OptionError as `taken` and `check_same` do."""
        variables = taken(self._model, None) if source is None else variables_of(self._model, source)
        leaves, structure = jax.tree.flatten(variables)
        plan = self._plans.get(structure)
        if plan is not None and plan.facts == _facts(leaves) and not any(map(_is_deleted, leaves)):
            trees: Trees = {}
            for (kind, name), number in plan.names.items():
                trees.setdefault(kind, {})[name] = leaves[number]
            return Given(trees, leaves, plan)
        whole = checked(self._model, variables)
        check_same("params", whole["params"], self._shapes)
        trees = self.recorded(whole if jax.process_count() > 1 else on_this_process(whole))
        plan = _planned(leaves, trees)
        if plan is not None:
            self._plans[structure] = plan
        return Given(trees, leaves, plan)

    def recorded(self, variables: Mapping[str, Any]) -> Trees:
        """Of the variables, the collections that the model began with."""
        return {kind: recordable(tree) for kind, tree in variables.items() if kind in self._collections}

    def whole(self, variables: Any) -> dict[str, Any]:
        """The variables with what is evaluated. Raises OptionError for those of another network or without a part."""
        whole = taken(self._model, variables)
        check_same("params", whole["params"], self._shapes)
        if missing := self._needed - set(whole):
            raise OptionError(
                f"epoch() was given {', '.join(sorted(whole))} without {', '.join(sorted(missing))}; "
                "give all that the model needs in evaluation",
                code="C104",
            )
        return whole

    def stacked(self, source: Any) -> tuple[int, Trees, Callable[[int], Packed] | None]:
        """How many updates the variables are of, all that is recorded of them, [update, ...], and a function that
        gives what this process writes of one update, None for nothing.

        Raises OptionError for parameters of another network or without that axis.
        """
        variables = checked(self._model, source)
        shapes = shapes_of(variables["params"])
        counts = {shape[:1] for shape in shapes.values()}
        if len(counts) != 1 or counts == {()}:
            name, shape = min(shapes.items())
            raise OptionError(
                f"steps() takes parameters with a further first axis, one entry for each update; {name} is {shape}, "
                f"where one update's is {self._shapes.get(name, 'not known')}",
                code="C104",
            )
        if difference := differing({name: shape[1:] for name, shape in shapes.items()}, self._shapes):
            raise OptionError(f"the parameters of each update are of another network: {difference}", code="C104")
        trees = self.recorded(variables)
        share = Share.of(trees)
        if any(each.piece.shape[:1] != each.piece.whole[:1] for each in share.owned):
            raise OptionError("the updates of steps() are spread over processes; spread other axes alone", code="C110")
        arrays = [np.array(each.value) for each in share.owned]  # the loop may donate them
        owned = [Owned(each.piece.within(), array, None) for each, array in zip(share.owned, arrays, strict=True)]
        layout = Share(owned, [piece.within() for piece in share.everything], share.parts).layout
        if layout is None:
            return next(iter(counts))[0], trees, None
        return next(iter(counts))[0], trees, lambda number: _fetched(layout, [array[number] for array in arrays])

    @staticmethod
    def copy(given: Given | None, held: Any) -> tuple[Callable[[], Packed] | None, Any]:
        """A function that waits for a copy of what was given, None where this process has nothing of it to write; and
        a copy of the arrays in `held`. By one program where all lie on one device."""
        held = on_this_process(held)
        if given is None or jax.process_count() > 1:
            with _alone(held):
                copied = _copied(held) if held else held
            return None if given is None else Copier._copy_of_share(given), copied
        if given.plan is not None:
            arrays, held = _ravelled(_groups(given.leaves, given.plan.programs[0]), held)
            return _fetching(given.plan.layout, arrays), held
        if not all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(given.trees)):
            trees, held = _copied((given.trees, held))
            return Share.of(trees).fetched, held
        # What a callback is given: the device is busy until it returns.
        packed = Share.of(given.trees).fetched()
        return lambda: packed, held

    @staticmethod
    def _copy_of_share(given: Given) -> Callable[[], Packed] | None:
        """The same of what one of several processes writes, by a program on each device, which waits for no other."""
        if (plan := given.plan) is not None:
            arrays = []
            for groups in (_groups(given.leaves, program) for program in plan.programs):
                with _alone(groups):
                    arrays += _ravelled(groups, ())[0]
            layout: Layout | None = plan.layout
        else:
            share = Share.of(given.trees)
            arrays = []
            for value in (each.value for each in share.owned):
                with _alone(value):
                    arrays.append(value.copy())
            layout = share.layout
        return _fetching(layout, arrays)


def _alone(arrays: Any) -> AbstractContextManager[Any]:
    """A mesh of the one device that arrays of this process lie on, where the program has set that of all processes."""
    found = [leaf for leaf in jax.tree.leaves(arrays) if isinstance(leaf, jax.Array)]
    if not found or jax.process_count() == 1 or jax.sharding.get_mesh().empty:
        return nullcontext()
    return jax.set_mesh(Mesh(np.array(list(found[0].devices())), ("device",)))


_copied = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))


@jax.jit
def _ravelled(groups: Sequence[Sequence[jax.Array]], held: Any) -> Any:
    """The arrays of each group as one, and copies of those that are held."""
    # The copy is for a group of one array, which JAX would hand on as it is: the loop may donate it.
    flat = [jnp.copy(jnp.concatenate([array.reshape(-1) for array in group])) for group in groups]
    return flat, jax.tree.map(jnp.copy, held)


def _groups(leaves: Sequence[Any], program: Sequence[Sequence[tuple[int, int | None]]]) -> list[list[jax.Array]]:
    return [
        [leaves[n] if shard is None else leaves[n].addressable_shards[shard].data for n, shard in group]
        for group in program
    ]


def _fetching(layout: Layout | None, arrays: Sequence[Any]) -> Callable[[], Packed] | None:
    """A function that waits for the arrays of a record; None where there is nothing to write."""
    return None if layout is None else partial(_fetched, layout, arrays)


def _fetched(layout: Layout, arrays: Sequence[Any]) -> Packed:
    """The arrays as a record has them."""
    parts = [raw_bytes(stored(np.asarray(array))) for array in arrays]
    return Packed(layout, parts[0] if len(parts) == 1 else memoryview(b"".join(parts)))


def _facts(leaves: Sequence[Any]) -> tuple[list[Any], ...]:
    """Types, shapes, dtypes and places of arrays; another thing among them is known by its type."""
    try:
        return (
            list(map(type, leaves)),
            [x.shape for x in leaves],
            [x.dtype for x in leaves],
            [x.sharding for x in leaves],
        )
    except (AttributeError, RuntimeError):
        return (list(map(type, leaves)),)


def _is_deleted(leaf: Any) -> bool:
    return bool(leaf.is_deleted())


def _planned(leaves: Sequence[Any], trees: Trees) -> Plan | None:
    """The plan for arrays, or pieces of arrays, that lie on one device each, and in one process alone on the same; None
    for others."""
    if not all(isinstance(leaf, jax.Array) for leaf in leaves):
        return None
    number_of = {id(leaf): number for number, leaf in enumerate(leaves)}
    named = {(kind, name): leaf for kind, tree in trees.items() for name, leaf in tree.items()}
    if any(id(leaf) not in number_of for leaf in named.values()):  # they were brought to other axes
        return None
    share = Share.of(trees)
    devices = {each.device for each in share.owned}
    if -1 in devices or (jax.process_count() == 1 and len(devices) != 1):
        return None
    programs = [
        [
            [(number_of[id(each.leaf)], each.shard) for each in group]
            for _, group in groupby(on_device, lambda each: _dtype(each.leaf))
        ]
        for _, on_device in groupby(share.owned, lambda each: each.device)
    ]
    return Plan(_facts(leaves), {key: number_of[id(leaf)] for key, leaf in named.items()}, programs, share.layout)


def _dtype(leaf: Any) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _stored(leaf: Any) -> np.dtype:
    dtype: np.dtype = stored(np.zeros(0, _dtype(leaf))).dtype
    return dtype
