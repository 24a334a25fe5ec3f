"""JAX as a capture needs it, whatever the program around it has set.

    with own_modes():
        observation = observe(on_this_process(variables))

A training may forbid implicit transfers, stop at the first NaN, run without jit, or have its parameters on a mesh
whose axes are part of their types. That is for its own computations: a recording hands over images and fetches
results, records the NaN of a network that diverged, compiles, and calls the model on batches that are on no mesh.
What is set here is the calling thread's, and is put back.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding

from reportgen.errors import OptionError

_WAYS = ("host_to_device", "device_to_device", "device_to_host")


@contextmanager
def own_modes() -> Iterator[None]:
    """While open, JAX's modes are those of a program that sets none; a mesh that is set has automatic axes."""
    with ExitStack() as stack:
        # Entering them takes longer than a small training's step.
        if any(getattr(jax.config, f"jax_{mode}") for mode in ("debug_nans", "debug_infs", "disable_jit")):
            for mode in (jax.debug_nans, jax.debug_infs, jax.disable_jit):
                stack.enter_context(mode(False))
        if any(getattr(jax.config, f"jax_transfer_guard_{way}") not in (None, "allow") for way in _WAYS):
            stack.enter_context(jax.transfer_guard("allow"))
        try:
            mesh = jax.sharding.get_mesh()
        except ValueError as error:  # what it raises while JAX traces
            raise OptionError(
                "a recording can't be made inside a function that JAX traces: call it outside of jit, grad and scan, "
                "with what these return",
                code="C109",
            ) from error
        if AxisType.Explicit in mesh.axis_types:
            stack.enter_context(jax.set_mesh(automatic(mesh)))
        yield


def on_this_process(tree: Any) -> Any:
    """The tree with arrays that any model can be called on: where they are, but with no explicit axes in their types,
    and of a copy in each of several processes, this process's.

    Raises OptionError for an array of which parts lie in other processes alone.
    """
    return jax.tree_util.tree_map_with_path(_on_this_process, tree)


def _on_this_process(place: Any, leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
        return leaf
    if not leaf.is_fully_addressable:
        if not leaf.is_fully_replicated:
            raise OptionError(
                f"{jax.tree_util.keystr(place, simple=True, separator='/')} {leaf.shape} is spread over "
                f"{jax.process_count()} processes, which are not waited for here; gather it in all of them first: "
                "jax.experimental.multihost_utils.process_allgather(tree, tiled=True)",
                code="C110",
            )
        return leaf.addressable_data(0)
    sharding = leaf.sharding
    if isinstance(sharding, NamedSharding) and AxisType.Explicit in sharding.mesh.axis_types:
        placed = NamedSharding(automatic(sharding.mesh), sharding.spec, memory_kind=sharding.memory_kind)
        return jax.device_put(leaf, placed)
    return leaf


def automatic(mesh: Any) -> Mesh:
    """The same devices under the same names, placed by the compiler: any model runs on them as it is."""
    return Mesh(mesh.devices, mesh.axis_names)
