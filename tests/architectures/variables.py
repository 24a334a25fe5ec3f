"""Variables without compiled initialisers: these tests make many networks and run each once."""

import jax
import numpy as np
from flax import nnx

from reportgen.capture import variables_of


def variables_for(model, *arguments, seed=0):
    """The variables of a model; for Linen, random numbers of the right shapes, which need no compiled initialiser.

    Parameters of both signs, so that relu does something everywhere; statistics are positive. Complex ones have both
    parts, and what is boxed stays boxed.
    """
    if isinstance(model, nnx.Module):
        return variables_of(model)
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *arguments)

    def drawn(shape, params):
        values = 0.3 * random.normal(size=shape.shape) if params else 0.1 + random.random(shape.shape)
        if np.issubdtype(shape.dtype, np.complexfloating):
            values = values + 0.3j * random.normal(size=shape.shape)
        return values.astype(shape.dtype)

    return {
        collection: jax.tree.map(lambda x, params=collection == "params": drawn(x, params), tree)
        for collection, tree in shapes.items()
        if collection != "intermediates"
    }
