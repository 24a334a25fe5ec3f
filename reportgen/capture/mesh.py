"""Computations on arrays that lie on the devices of several processes, in all of these processes alike.

    variables = on_one_mesh(variables)
    output = jitted(apply)(variables, images)

Every process calls the same in the same order. What a computation gives is whole in each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from reportgen.capture.modes import automatic, on_this_process
from reportgen.errors import OptionError


def mesh_of(tree: Any) -> Mesh | None:
    """The mesh of several processes that arrays of a tree lie on, placed by the compiler; None where all are this
    process's own. Raises OptionError for those that lie on no mesh."""
    found = [leaf.sharding for leaf in jax.tree.leaves(tree) if is_shared(leaf)] if jax.process_count() > 1 else []
    meshes = [sharding.mesh if isinstance(sharding, NamedSharding) else None for sharding in found]
    for sharding, mesh in zip(found, meshes, strict=True):
        if mesh is None or meshes[0] is None or not np.array_equal(mesh.device_ids, meshes[0].device_ids):
            raise OptionError(
                f"an array lies on several processes by {sharding}, another one by {found[0]}; place all by a "
                "jax.sharding.NamedSharding on one mesh",
                code="C110",
            )
    return automatic(meshes[0]) if found else None


def is_shared(leaf: Any) -> bool:
    """Whether it is an array that lies on devices of several processes."""
    return isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and not leaf.is_fully_addressable


def on_one_mesh(tree: Any) -> Any:
    """The tree with arrays that any model can be called on in all processes together; of arrays that each process has
    of its own, which must be the same in all, as `on_this_process`."""
    mesh = mesh_of(tree)
    return on_this_process(tree) if mesh is None else jax.tree.map(partial(_on_mesh, mesh), tree)


def _on_mesh(mesh: Mesh, leaf: Any) -> Any:
    if isinstance(leaf, jax.core.Tracer) or not isinstance(leaf, jax.Array | np.ndarray):
        return leaf
    if isinstance(leaf, jax.Array) and is_shared(leaf):
        assert isinstance(leaf.sharding, NamedSharding)  # as `mesh_of` has seen
        placed = NamedSharding(mesh, leaf.sharding.spec)
        return leaf if leaf.sharding == placed else jax.device_put(leaf, placed)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _on_mesh(mesh, np.asarray(jax.random.key_data(leaf)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return _placed(mesh, PartitionSpec(), leaf)


def _placed(mesh: Mesh, spec: PartitionSpec, array: Any) -> jax.Array:
    values = np.asarray(array)
    values = values.astype(jax.dtypes.canonicalize_dtype(values.dtype), copy=False)
    return jax.make_array_from_callback(values.shape, NamedSharding(mesh, spec), lambda place: values[place])


@dataclass(frozen=True)
class Division:
    """How examples are divided among the devices of a mesh: along which of its axes."""

    mesh: Mesh
    axes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Among how many devices."""
        return int(np.prod([self.mesh.shape[name] for name in self.axes]))

    def of(self, tree: Any) -> Any:
        """Arrays [example, ...] so divided; whole on each device where their number is no divisor."""
        return jax.tree.map(
            lambda leaf: _placed(self.mesh, PartitionSpec(None if len(leaf) % self.count else self.axes), leaf), tree
        )


def dividing(variables: Any) -> Division | None:
    """How examples are divided where variables lie on a mesh of several processes: along the axes that none of them is
    spread over, or all where there are none. None on no such mesh."""
    if (mesh := mesh_of(variables)) is None:
        return None
    used: set[str] = set()
    for leaf in filter(is_shared, jax.tree.leaves(variables)):
        for part in leaf.sharding.spec:
            used.update(part if isinstance(part, tuple) else () if part is None else (part,))
    names = tuple(map(str, mesh.axis_names))
    return Division(mesh, tuple(name for name in names if name not in used and mesh.shape[name] > 1) or names)


def jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit(function)`, of which every process has the results whole: the first argument says on which mesh."""
    alone = jax.jit(function)
    together: dict[Mesh, Callable[..., Any]] = {}

    def call(first: Any, *rest: Any) -> Any:
        if (mesh := mesh_of(first)) is None:
            return alone(first, *rest)
        if mesh not in together:
            together[mesh] = jax.jit(function, out_shardings=NamedSharding(mesh, PartitionSpec()))
        return together[mesh](first, *rest)

    return call
