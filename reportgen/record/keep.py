"""Options of a recorder: what to record, and how a recording begins.

Recorder(path, model, variables, probe=probe, keep=Keep(every="epoch", layers=("conv*",)))
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reportgen.core.arguments import count, texts, truth, whole
from reportgen.errors import OptionError, expect, warn

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Keep:
    """Selects what is recorded of a training.

    every     after which updates variables are kept: "batch" for each, "epoch" for the last of each epoch, or a
              number n for every n-th; None: each, as long as that keeps to `share_of_time`
    bytes     how much snapshots may take: a number of bytes or a text such as "2GB", and never more than half of what
              is free where the run lies; None: any. When it is reached, every other snapshot is given up, and again,
              so that multiples of a power of two are left. Ends of epochs always stay
    share_of_time   of the loop's time, at most, that recording may take where `every` is None, from a second on;
              beyond it every other update is kept, and so on. None: any
    layers    glob patterns on layer paths: whose activations are kept
    embed     path of the layer to embed; None: the last hidden vector before the output
    top       also the examples with the largest activations of each channel; evaluating then takes up to twice as long
    loss      also the mean cross-entropy of the evaluation examples in nats, as val_loss, where there is a score per
              class: of outputs that are there anyway, so that a loop needs no forward pass of its own
    compare   also what `reportgen compare` needs to look inside: fingerprints of examples whose inputs are not kept,
              and the layers' values for some evaluation examples after the last epoch, as many as fit into 2 % of
              the run's size, at most 512
    """

    every: str | int | None = None
    layers: Sequence[str] = ("*",)
    embed: str | None = None
    top: bool = False
    loss: bool = False
    compare: bool = True
    bytes: int | str | None = "2GB"
    share_of_time: float | None = 0.03

    def __post_init__(self) -> None:
        _bytes(self.bytes)
        share = self.share_of_time
        if share is not None and not (isinstance(share, float | int) and 0 < share <= 1):
            raise OptionError(f"share_of_time must be a share from above 0 to 1, or None, not {share!r}", code="O101")
        words = "glob patterns on layer paths, such as ('conv*',)"
        object.__setattr__(self, "layers", texts("layers", self.layers, words))
        if not self.layers:
            raise OptionError(f"layers must be {words}; there is none", code="O101")
        expect("embed", self.embed, str | None, "the path of a layer")
        for name in ("top", "loss", "compare"):
            object.__setattr__(self, name, truth(name, getattr(self, name)))

    @property
    def most(self) -> int | None:
        """`bytes` as a number."""
        return _bytes(self.bytes)


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
            raise OptionError(f"at must be a step and an epoch, (0, 0) before training, not {self.at!r}", code="O101")
        for name in ("facts", "initial"):
            if not isinstance(getattr(self, name), Mapping):
                raise OptionError(
                    f"{name} must be a mapping of names to values, not {getattr(self, name)!r}", code="O101"
                )


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
            raise OptionError(f"{kind.__name__.lower()} must be a {kind.__name__}(...), not {option!r}", code="O101")
    for name, value in earlier.items():
        if name not in _EARLIER:
            raise TypeError(f"Recorder() got an unexpected keyword argument {name!r}")
        warn(f"Recorder({name}=...) is {_EARLIER[name]} now", DeprecationWarning, code="N101")
        if value is None:
            continue
        if "Keep" in _EARLIER[name]:
            keep = replace(keep, **{_FIELD.get(name, name): value})
        else:
            start = replace(start, **{name: value})
    return keep, start


def _bytes(value: Any) -> int | None:
    """A number of bytes, perhaps with a unit. Raises OptionError for what is none."""
    if value is None:
        return None
    number = whole(value)
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", value, re.IGNORECASE)):
        number = round(float(match[1]) * UNITS[match[2].upper()])
    if number is None or number < 0:
        raise OptionError(
            f"bytes must be a number of bytes or a text such as '500MB' or '2GB', not {value!r}", code="O101"
        )
    return number


def interval(every: str | int | None) -> int:
    """Keep every n-th update; 0 keeps the ends of epochs alone."""
    named = {None: 1, "batch": 1, "epoch": 0}
    if isinstance(every, str | None) and every in named:
        return named[every]
    number = whole(every)
    if number is None or number < 1:
        raise OptionError(
            f"snapshots can't be kept every {every!r}: give batch, epoch, or a number of batches", code="O101"
        )
    return number
