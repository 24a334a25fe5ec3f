"""Copies of a training's variables, made on the device behind the update that made them.

    copier = Copier(model, collections, needed, shapes)
    given = copier.take(params)                      # refuses what is not of the network that is recorded
    copy, metrics = copier.copy(given, metrics)      # returns at once
    writer.record(step, epoch, copy())               # in the writer thread, which waits for the values

Arrays that lie on one device are copied as one for each type: what that costs hardly depends on their number. What is
known of them is found once, and compared with those of the next call.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import on_this_process, variables_of
from reportgen.errors import OptionError
from reportgen.record.trees import Shapes, check_same, differing, recordable, shapes_of, taken
from reportgen.store import Layout, Packed, Piece, order, raw_bytes, stored, variable_tensors

Trees = dict[str, dict[str, Any]]
"""Collection -> name -> array."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How the arrays of a tree are copied as one for each type.

    `facts` are what the leaves must be, see `_facts`; `names` say what is recorded, (collection, name) -> the leaf's
    number; `groups` are the numbers of the leaves of each type.
    """

    facts: tuple[list[Any], ...]
    names: Mapping[tuple[str, str], int]
    groups: Sequence[Sequence[int]]
    layout: Layout


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
        checked = taken(self._model, variables)
        check_same("params", checked["params"], self._shapes)
        trees = self.recorded(checked)
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

    def stacked(self, source: Any) -> tuple[int, Trees]:
        """How many updates the variables are of, and all that is recorded of them, on the host: [update, ...].

        Raises OptionError for parameters of another network or without that axis.
        """
        checked = taken(self._model, source)
        shapes = shapes_of(checked["params"])
        counts = {shape[:1] for shape in shapes.values()}
        if len(counts) != 1 or counts == {()}:
            name, shape = next(iter(shapes.items()))
            raise OptionError(
                f"steps() takes parameters with a further first axis, one entry for each update; {name} is {shape}, "
                f"where one update's is {self._shapes.get(name, 'not known')}",
                code="C104",
            )
        if difference := differing({name: shape[1:] for name, shape in shapes.items()}, self._shapes):
            raise OptionError(f"the parameters of each update are of another network: {difference}", code="C104")
        return next(iter(counts))[0], jax.tree.map(np.array, self.recorded(checked))  # the loop may donate them

    @staticmethod
    def copy(given: Given | None, held: Any) -> tuple[Callable[[], Packed] | None, Any]:
        """A function that waits for a copy of what was given, and a copy of the arrays in `held`, by one program."""
        held = on_this_process(held)
        if given is None:
            return None, _copied(held) if held else held
        if given.plan is not None:
            layout = given.plan.layout
            groups = [[given.leaves[number] for number in group] for group in given.plan.groups]
            arrays, held = _ravelled(groups, held)
            return lambda: _fetched(layout, arrays), held
        if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(given.trees)):
            # What a callback is given: the device is busy until it returns.
            packed = Packed.of(variable_tensors(given.trees))
            return lambda: packed, held
        trees, held = _copied((given.trees, held))
        return lambda: Packed.of(variable_tensors(jax.tree.map(np.asarray, trees))), held


def one_of(stacked: Trees, number: int) -> Packed:
    """The variables of one of several updates."""
    return Packed.of({name: array[number] for name, array in variable_tensors(stacked).items()})


_copied = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))


@jax.jit
def _ravelled(groups: Sequence[Sequence[jax.Array]], held: Any) -> Any:
    """The arrays of each group as one, and copies of those that are held."""
    # The copy is for a group of one array, which JAX would hand on as it is: the loop may donate it.
    flat = [jnp.copy(jnp.concatenate([array.reshape(-1) for array in group])) for group in groups]
    return flat, jax.tree.map(jnp.copy, held)


def _fetched(layout: Layout, arrays: Sequence[jax.Array]) -> Packed:
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
    """The plan for arrays of this process that lie on one device; None for others."""
    arrays = all(isinstance(leaf, jax.Array) and leaf.is_fully_addressable for leaf in leaves)
    if not arrays or len({device for leaf in leaves for device in leaf.sharding.device_set}) != 1:
        return None
    number_of = {id(leaf): number for number, leaf in enumerate(leaves)}
    named = {(kind, name): leaf for kind, tree in trees.items() for name, leaf in tree.items()}
    if any(id(leaf) not in number_of for leaf in named.values()):  # they were brought to other axes
        return None
    groups: dict[np.dtype, list[tuple[str, str]]] = {}
    for key in sorted(named, key=lambda key: order("/".join(key), named[key].dtype)):
        groups.setdefault(named[key].dtype, []).append(key)
    layout = Layout.of(
        Piece.all_of("/".join(key), _stored(named[key]), named[key].shape) for group in groups.values() for key in group
    )
    names = {key: number_of[id(leaf)] for key, leaf in named.items()}
    return Plan(_facts(leaves), names, [[names[key] for key in group] for group in groups.values()], layout)


def _stored(leaf: Any) -> np.dtype:
    dtype: np.dtype = stored(np.zeros(0, leaf.dtype)).dtype
    return dtype
