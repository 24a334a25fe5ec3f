"""Runs a network on chosen images and keeps what its layers answer. The half of `reportgen inspect` that needs jax.

from reportgen.inspection import from_model, inspect_network
found = inspect_network(from_model("squeezenet", weights="squeezenet.safetensors"), pictures)
"""

from reportgen.inspection.look import inspect_network
from reportgen.inspection.network import LoadedNetwork, from_model, from_run
from reportgen.inspection.preprocess import PREPROCESS

__all__ = ["PREPROCESS", "LoadedNetwork", "from_model", "from_run", "inspect_network"]
