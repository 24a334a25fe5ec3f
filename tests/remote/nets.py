"""A training of a network of one layer, which is recorded anywhere."""

import flax.linen as nn
import jax
import numpy as np

from reportgen import Recorder

MODEL = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
IMAGES = np.random.default_rng(0).random((24, 6)).astype(np.float32)
DATA = {"probe": (IMAGES[:3], np.arange(3)), "evaluation": (IMAGES, np.arange(24) % 3)}
VARIABLES = MODEL.init(jax.random.key(0), IMAGES[:1])


def scaled(step: int):
    """The parameters after so many updates."""
    return jax.tree.map(lambda array: array * (1 + step / 10), VARIABLES["params"])


def recorded(path, steps: int = 5, **how) -> None:
    """Record an epoch of so many steps."""
    with Recorder(path, MODEL, VARIABLES, **DATA, **how) as recorder:
        params = VARIABLES["params"]
        for step in range(1, steps + 1):
            params = scaled(step)
            recorder.step(params, loss=0.5)
        recorder.epoch({"params": params})
