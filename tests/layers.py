"""Layers in the short form that tests compare."""

from reportgen.capture.functions import KNOWN
from reportgen.capture.operations import ATTENTION_WEIGHTS, CALLED, PRIMITIVES
from reportgen.capture.structure import NAMES, OWN_NAMES, TAILS
from reportgen.core.network import Layer

FUNCTIONAL = {
    *CALLED,
    *PRIMITIVES.values(),
    *KNOWN,
    *(name for name, _ in NAMES.values()),
    ATTENTION_WEIGHTS,
    *TAILS,
    *OWN_NAMES,
    "flatten",
}


def letters(layer: Layer) -> str:
    """A letter per axis: "yxc"."""
    return "".join({"channel": "c", "head": "h", "query": "q", "key": "k"}.get(axis, axis) for axis in layer.axes)


def is_module(layer: Layer) -> bool:
    """Whether it is a module's result, not a functional operation's."""
    return layer.op not in FUNCTIONAL
