"""Parameters for tests, drawn by NumPy: compiling a network's own initialisers takes seconds."""

from typing import Any

import jax
import numpy as np


def random_variables(model: Any, images: np.ndarray, seed: int = 0) -> dict:
    """Linen variables of the model's shapes: normal, scaled so that activations keep their size."""
    rng = np.random.default_rng(seed)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        inputs = int(np.prod(leaf.shape[:-1])) if len(leaf.shape) > 1 else 100
        return (rng.normal(size=leaf.shape) * np.sqrt(2 / inputs)).astype(leaf.dtype)

    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), images))
