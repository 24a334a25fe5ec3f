"""Why a model can't be called on its inputs, in one sentence that says what to give instead.

raise ModelError(cannot_be_called(error, forward.plain, variables, inputs))
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import errors

PLACE = "give apply=(model, variables, inputs) -> output if it needs other arguments"


def cannot_be_called(error: Exception, plain: Callable[[Any, Any], Any], variables: Any, inputs: Any) -> str:
    """The sentence for what `plain(variables, inputs)` raised."""
    shown = ", ".join(f"{x.dtype}{list(x.shape)}" for x in jax.tree.leaves(inputs))
    # Flax ends its messages with an address.
    said = str(error).partition(" (https://")[0]
    text = f"the model can't be called on inputs {shown}: {type(error).__name__}: {said}"
    return f"{text.rstrip('.')}; {_advice(error, plain, variables, inputs)}"


def _advice(error: Exception, plain: Callable[[Any, Any], Any], variables: Any, inputs: Any) -> str:
    if (copies := _copies(plain, variables, inputs)) is not None:
        return f"the variables have {copies} copies, as for jax.pmap: give flax.jax_utils.unreplicate(variables)"
    if isinstance(inputs, Mapping):
        named = ", ".join(map(str, inputs))
        return f"the inputs are a dict of {named}: give what the model takes, with targets beside it: (inputs, targets)"
    if isinstance(error, errors.InvalidRngError):
        return (
            "it draws random numbers, as dropout does in training: give apply=(model, variables, inputs) -> output "
            "that calls it as in evaluation"
        )
    if isinstance(error, errors.ScopeParamShapeError):
        return "give inputs of the shape that the variables were made for, with the examples first"
    return PLACE


def _copies(plain: Callable[[Any, Any], Any], variables: Any, inputs: Any) -> int | None:
    """How many copies of a model's variables these are; None where their first axis is no such."""
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(variables)}
    if len(sizes) != 1 or sizes == {()}:
        return None
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), variables)
    try:
        jax.eval_shape(plain, one, inputs)
    except Exception:  # whatever the user's model raises
        return None
    return int(sizes.pop()[0])
