"""Layers in the short form that tests compare."""

from reportgen.capture.operations import CALLED, JOINS, PRIMITIVES
from reportgen.core.network import Layer

FUNCTIONAL = {*CALLED, *JOINS, *PRIMITIVES.values(), "flatten"}


def letters(layer: Layer) -> str:
    """A letter per axis: "yxc"."""
    return "".join({"channel": "c", "head": "h", "query": "q", "key": "k"}.get(axis, axis) for axis in layer.axes)


def is_module(layer: Layer) -> bool:
    """Whether it is a module's result, not a functional operation's."""
    return layer.op not in FUNCTIONAL
