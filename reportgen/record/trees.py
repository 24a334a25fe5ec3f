"""Check the variables that a training loop hands over: arrays with values, of the network that is recorded.

shapes = shapes_of(variables["params"])
variables = taken(model, state)                          # refuses what can't be recorded, by its name
check_same(variables["params"], shapes)                  # refuses another network's
"""

from collections.abc import Mapping, Set
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from reportgen.capture import Capture, flat_names, on_one_mesh, variables_of
from reportgen.capture.program import needed
from reportgen.errors import OptionError

Shapes = Mapping[str, tuple[int, ...]]


def taken(model: Any, source: Any) -> dict[str, Any]:
    """The variables by collection, with arrays that the model can be called on. Raises OptionError as `checked`."""
    return on_one_mesh(checked(model, source))  # type: ignore[no-any-return]


def checked(model: Any, source: Any) -> dict[str, Any]:
    """The variables by collection, as `variables_of` has them.

    Raises OptionError, naming the leaf, for what is no array of numbers, or has no values: of a trace, or deleted.
    """
    if source is None and isinstance(model, nn.Module):
        if model.scope is not None:
            raise OptionError(
                "the model is bound to its variables: give both, model, variables = model.unbind()", code="C104"
            )
        raise OptionError(
            "the variables are missing: a Linen model is recorded with its variables or a TrainState", code="C104"
        )
    variables = variables_of(model, source)
    for kind, tree in variables.items():
        for name, leaf in flat_names(tree).items():
            if problem := _problem(leaf):
                raise OptionError(f"{kind}/{name} {problem}", code="C104")
    if not jax.tree.leaves(variables["params"]):
        raise OptionError(
            "the parameters hold no array: give the variables that model.init returned, or a TrainState", code="C104"
        )
    return variables


def _problem(leaf: Any) -> str | None:
    if isinstance(leaf, jax.core.Tracer):
        return "is traced: call the recorder outside of jit, grad and scan, with what these return"
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return "is a shape without values, as jax.eval_shape gives it; initialise the model"
    if isinstance(leaf, jax.Array):
        return "was deleted or donated; hand it over before the update that donates it" if leaf.is_deleted() else None
    if isinstance(leaf, np.ndarray | np.generic | bool | int | float | complex):
        dtype = np.asarray(leaf).dtype
        if jnp.issubdtype(dtype, np.number) or dtype.kind == "b":
            return None
        return f"is an array of type {dtype}, not of numbers"
    return f"is a {type(leaf).__name__}, not an array"


def recordable(tree: Any) -> dict[str, Any]:
    """Name -> array of one collection, without random keys, which are no state that a network has learned."""
    return {name: leaf for name, leaf in flat_names(tree).items() if not _is_key(leaf)}


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def shapes_of(tree: Any) -> Shapes:
    """Name -> shape of one collection's arrays, as they are recorded."""
    return {name: tuple(map(int, np.shape(leaf))) for name, leaf in recordable(tree).items()}


def differing(shapes: Shapes, expected: Shapes) -> str | None:
    """The first difference between two networks' arrays, in words; None where they are the same."""
    for name in (*expected, *shapes):
        if shapes.get(name) != expected.get(name):
            return f"{name} is {shapes.get(name, 'missing')}, not {expected.get(name, 'missing')}"
    return None


def check_same(kind: str, tree: Any, expected: Shapes) -> None:
    """Raise OptionError where a collection's arrays are not those that the recording began with."""
    shapes = shapes_of(tree)
    if (difference := differing(shapes, expected)) is None:
        return
    hint = ""
    copies = {shape[:1] for shape in shapes.values()}
    if len(copies) == 1 and {name: shape[1:] for name, shape in shapes.items()} == expected:
        hint = f"; all have {next(iter(copies))[0]} copies, as for jax.pmap: give flax.jax_utils.unreplicate(tree)"
    raise OptionError(f"{kind} are of another network than the recording began with: {difference}{hint}", code="C104")


def needed_collections(capture: Capture, variables: Mapping[str, Any], example: Any) -> Set[str]:
    """The collections that the model reads when it is evaluated; others need not be handed over for it."""
    if set(variables) == {"params"}:
        return {"params"}
    program, layers = capture.program(variables, example)
    wanted = [*program.outputs, *(layer.variable for layer in layers)]
    equations = needed(program.equations, wanted, effects=True)
    read = {v for v in (*wanted, *(v for x in equations for v in x.invars)) if not isinstance(v, Literal)}
    kinds = [kind for kind in sorted(variables) for _ in jax.tree.leaves(variables[kind])]  # as JAX orders them
    must = {"params", *(kind for kind, v in zip(kinds, program.variables, strict=True) if v in read)}
    kept = dict(variables)
    for kind in sorted(set(variables) - must):
        fewer = {name: tree for name, tree in kept.items() if name != kind}
        try:  # what is not read may still have to be there
            jax.eval_shape(capture.forward.plain, fewer, example)
        except Exception:  # whatever the user's model raises without it
            continue
        kept = fewer
    return set(kept)
