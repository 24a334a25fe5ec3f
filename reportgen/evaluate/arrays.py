"""Names for shapes of arrays on the device, as `core.arrays` has them for NumPy's; some are NumPy's once fetched."""

from typing import Annotated

import jax
import numpy as np

Scores = Annotated[jax.Array | np.ndarray, "Shaped *place class"]
"""Scores of classes for each example, or for each position of each."""

PerPlace = Annotated[jax.Array | np.ndarray, "Shaped *place"]
PerExample = Annotated[jax.Array, "Shaped example"]
LayerValues = Annotated[jax.Array, "Shaped example ..."]
"""A layer's output for a batch."""

Wide = Annotated[jax.Array, "Float32 example ... channel"]
ByExample = Annotated[jax.Array, "Float32 example channel"]
Ranked = Annotated[jax.Array, "Shaped rank channel"]
Lists = Annotated[jax.Array, "Float32 list place channel"]
