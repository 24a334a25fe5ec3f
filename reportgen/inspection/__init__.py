"""Runs a network on chosen images and records how its layers respond. The half of `reportgen inspect` that needs jax.

from reportgen.inspection import from_model, inspect_network
found = inspect_network(from_model("squeezenet", weights="squeezenet.safetensors"), pictures)
"""

from reportgen.inspection.network import LoadedNetwork, from_model, from_run
from reportgen.inspection.preprocess import PREPROCESS
from reportgen.inspection.runner import inspect_network

__all__ = ["PREPROCESS", "LoadedNetwork", "from_model", "from_run", "inspect_network"]
