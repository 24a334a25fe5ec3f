"""What keeps tests quick that compile much and run it once.

from tests.architectures.quick import quick_compilation, variables_for  # noqa: F401
"""

import jax
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import variables_of


@pytest.fixture(autouse=True, scope="package")
def quick_compilation():
    """XLA's optimisations would cost more than they save; imported by a package's conftest, it is switched for all."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def variables_for(model, images, seed=0):
    """The variables of a model; for Linen, random numbers of the right shapes, which need no compiled initialiser.

    Parameters of both signs, so that relu does something everywhere; statistics are positive.
    """
    if isinstance(model, nnx.Module):
        return variables_of(model)
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    return {
        collection: jax.tree.map(
            lambda x, params=collection == "params": (
                0.3 * random.normal(size=x.shape) if params else 0.1 + random.random(x.shape)
            ).astype(x.dtype),
            tree,
        )
        for collection, tree in shapes.items()
        if collection != "intermediates"
    }
