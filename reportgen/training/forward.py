"""A Linen or NNX model as functions of its variables: one for training, one for evaluation.

    forward = forward_of(model)
    variables = forward.init(key, images)                          # {"params": ..., further collections}
    scores, others = forward.train(params, others, images, key)    # others with new batch statistics
    scores = forward.evaluate(variables, images)

All are pure and can be traced. The arguments by which models tell training from evaluation (`train`,
`deterministic`, ...) are set where `__call__` has them; NNX modules are told by `train()` and `eval()` too.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from reportgen.capture import variables_of
from reportgen.capture.linen import evaluation_arguments
from reportgen.capture.nnx import copier


class Forward(NamedTuple):
    """(key, images) -> variables; (params, others, images, key) -> (output, others); (variables, images) -> output."""

    init: Callable[[jax.Array, Any], dict[str, Any]]
    train: Callable[[Any, Mapping[str, Any], Any, jax.Array], tuple[Any, dict[str, Any]]]
    evaluate: Callable[[Mapping[str, Any], Any], Any]


def forward_of(model: Any) -> Forward:
    """The functions of a flax.linen.Module or an nnx.Module, which is not changed."""
    evaluation = evaluation_arguments(type(model).__call__)
    training = {name: not value for name, value in evaluation.items()}
    return (_nnx if isinstance(model, nnx.Module) else _linen)(model, training, evaluation)


def _linen(model: Any, training: dict[str, bool], evaluation: dict[str, bool]) -> Forward:
    def train(params: Any, others: Mapping[str, Any], images: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        scores, changed = model.apply(
            {"params": params, **others}, images, **training, rngs={"dropout": key}, mutable=list(others)
        )
        return scores, dict(changed)

    return Forward(
        # As one program the pass that init makes is left out, and half as long goes into compiling.
        jax.jit(lambda key, images: dict(model.init(key, images, **evaluation))),
        train,
        lambda variables, images: model.apply(variables, images, **evaluation),
    )


def _nnx(model: nnx.Module, training: dict[str, bool], evaluation: dict[str, bool]) -> Forward:
    copied = copier(model)

    def train(params: Any, others: Mapping[str, Any], images: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        copy = copied({"params": params, **others}, key)
        copy.train()
        scores = copy(images, **training)
        changed = variables_of(copy)
        # A module may make variables while it runs; what is carried on keeps its form.
        return scores, {kind: _alike(changed[kind], tree) for kind, tree in others.items()}

    def evaluate(variables: Mapping[str, Any], images: Any) -> Any:
        copy = copied(variables)
        copy.eval()
        return copy(images, **evaluation)

    # An NNX module has its values already; copies, for an update may take its arguments' memory.
    return Forward(lambda key, images: jax.tree.map(jnp.array, variables_of(model)), train, evaluate)


def _alike(tree: Any, like: Any) -> Any:
    """The parts of `tree` that `like` has."""
    return {name: _alike(tree[name], part) for name, part in like.items()} if isinstance(like, Mapping) else tree
