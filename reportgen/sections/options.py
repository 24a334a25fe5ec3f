"""What a page is of, and what the reader asked for: moments of runs, and options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np

from reportgen.core.progress import Progress
from reportgen.core.run import Run
from reportgen.sections.limits import Limits
from reportgen.sections.scale import Normalize


class Need(StrEnum):
    """What a section needs of a run; without it the section is not on the page."""

    MAPS = "feature maps of the probe"
    PICTURES = "probe inputs that are pictures"
    COMPARABLE = "several versions of one picture"
    OUTCOME = "predictions for targets"
    METRICS = "metrics of at least one epoch"
    BEFORE = "an earlier moment to compare with"
    VECTORS = "vectors of an embedded layer"
    CHANNELS = "channels that were asked for"


@dataclass(frozen=True)
class Moment:
    """A run after `step` updates."""

    run: Run
    step: int

    @property
    def name(self) -> str:
        """As a sentence has it: "step 400"."""
        return f"step {self.step}"

    @property
    def params(self) -> Mapping[str, np.ndarray]:
        """The parameters by name, read from disk when asked for."""
        return self.run.snapshots[self.step].params


@dataclass(frozen=True)
class Options:
    """What the reader chose: layers by glob, channels by number, the scale of feature maps, the embedding's method.

    `umap_is_missing` says that "pca" was taken in place of it. `progress(what, done, of)` is called by the thread
    that does it.
    """

    layers: tuple[str, ...] = ("*",)
    channels: tuple[int, ...] = ()
    normalize: Normalize = field(default_factory=Normalize)
    embedding: Literal["umap", "pca"] = "umap"
    umap_is_missing: bool = False
    limits: Limits = field(default_factory=Limits)
    progress: Progress | None = field(default=None, compare=False)
