"""Options of a recorder: what to record, and how a recording begins.

Recorder(path, model, variables, probe=probe, keep=Keep(every="epoch", layers=("conv*",)))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from reportgen.core.arguments import count, texts, truth, whole
from reportgen.errors import OptionError, expect, warn

EVERY_BATCH_UP_TO = 1_000_000
"""Parameters up to which every update is kept by default; of a larger model every k-th, such that at most this
many numbers are written per update on average."""


@dataclass(frozen=True)
class Keep:
    """Selects what is recorded of a training.

    every     after which updates variables are kept: "batch" for each, "epoch" for the last of each epoch, or a
              number n for every n-th; None: each, and fewer of a model with more than a million parameters
    layers    glob patterns on layer paths: whose activations are kept
    embed     path of the layer to embed; None: the last hidden vector before the output
    top       also the examples with the largest activations of each channel; evaluating then takes about twice as long
    compare   also what `reportgen compare` needs to look inside: fingerprints of examples whose inputs are not kept,
              and the layers' values for some evaluation examples after the last epoch, as many as fit into 2 % of
              the run's size, at most 512
    """

    every: str | int | None = None
    layers: Sequence[str] = ("*",)
    embed: str | None = None
    top: bool = False
    compare: bool = True

    def __post_init__(self) -> None:
        words = "glob patterns on layer paths, such as ('conv*',)"
        object.__setattr__(self, "layers", texts("layers", self.layers, words))
        if not self.layers:
            raise OptionError(f"layers must be {words}; there is none", code="O101")
        expect("embed", self.embed, str | None, "the path of a layer")
        for name in ("top", "compare"):
            object.__setattr__(self, name, truth(name, getattr(self, name)))


@dataclass(frozen=True)
class Start:
    """How a recording begins, for a training that knows more than its loop.

    resume_at   step to go on from, of the run that is there: later snapshots and rows are dropped
    at          (step, epoch) of the network that is handed over; (0, 0): before training
    facts       further provenance: JSON values that are known of data and place
    initial     metrics of the network before training (val_loss=...)
    """

    resume_at: int | None = None
    at: tuple[int, int] = (0, 0)
    facts: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.resume_at is not None:
            object.__setattr__(self, "resume_at", count("resume_at", self.resume_at))
        at = [whole(number) for number in self.at] if isinstance(self.at, tuple | list) else []
        if len(at) != 2 or any(number is None or number < 0 for number in at):
            raise OptionError(f"at must be a step and an epoch, (0, 0) before training, not {self.at!r}")
        for name in ("facts", "initial"):
            if not isinstance(getattr(self, name), Mapping):
                raise OptionError(f"{name} must be a mapping of names to values, not {getattr(self, name)!r}")


_EARLIER = {
    "layers": "keep=Keep(layers=...)",
    "embed_layer": "keep=Keep(embed=...)",
    "snapshot_every": "keep=Keep(every=...)",
    **{name: f"start=Start({name}=...)" for name in ("resume_at", "facts", "initial")},
}
_FIELD = {"embed_layer": "embed", "snapshot_every": "every"}


def with_earlier(earlier: Mapping[str, Any], keep: Keep, start: Start) -> tuple[Keep, Start]:
    """The options with those that were given by the names of the release before, which are warned about."""
    for option, kind in ((keep, Keep), (start, Start)):
        if not isinstance(option, kind):
            raise OptionError(f"{kind.__name__.lower()} must be a {kind.__name__}(...), not {option!r}")
    for name, value in earlier.items():
        if name not in _EARLIER:
            raise TypeError(f"Recorder() got an unexpected keyword argument {name!r}")
        warn(f"Recorder({name}=...) is {_EARLIER[name]} now", DeprecationWarning)
        if value is None:
            continue
        if "Keep" in _EARLIER[name]:
            keep = replace(keep, **{_FIELD.get(name, name): value})
        else:
            start = replace(start, **{name: value})
    return keep, start


def interval(every: str | int | None, variables: Mapping[str, Any]) -> int:
    """Keep every n-th update; 0 keeps the ends of epochs alone."""
    if every is None:
        count = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"]))
        return max(1, -(-count // EVERY_BATCH_UP_TO))
    named = {"batch": 1, "epoch": 0}
    if isinstance(every, str) and every in named:
        return named[every]
    number = whole(every)
    if number is None or number < 1:
        raise OptionError(f"snapshots can't be kept every {every!r}: give batch, epoch, or a number of batches")
    return number
