"""What a page is of, and what the reader asked for: moments of runs, and options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from numbers import Integral
from typing import Literal

import numpy as np

from reportgen.core.progress import Progress
from reportgen.core.run import Run, Snapshot
from reportgen.errors import OptionError, expect
from reportgen.sections.limits import Limits
from reportgen.sections.scale import Normalize, normalization


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
        return f"step {self.step:,}"

    @property
    def snapshot(self) -> Snapshot:
        """The state that was recorded then."""
        return self.run.snapshots[self.step]

    @property
    def params(self) -> Mapping[str, np.ndarray]:
        """The parameters by name, read from disk when asked for."""
        return self.snapshot.params

    @property
    def forms(self) -> Mapping[str, np.ndarray]:
        """Arrays of their shapes and types, whose values say nothing."""
        return self.snapshot.forms


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


def chosen(
    layers: str | Sequence[str],
    channels: Sequence[int],
    normalize: str | tuple[float, float] | None,
    embedding: Literal["umap", "pca"] | None,
) -> Options:
    """What the reader chose, checked. Raises OptionError for what is no such option."""
    patterns = tuple([layers] if isinstance(layers, str) else layers) if isinstance(layers, Iterable) else (layers,)
    numbers = tuple(channels) if isinstance(channels, Iterable) else (channels,)
    for name, each, kind in (("layers", patterns, str), ("channels", numbers, Integral)):
        for value in each:
            expect(
                name,
                None if isinstance(value, bool) else value,
                kind,
                "glob patterns on paths" if kind is str else "numbers of channels",
            )
    expect("normalize", normalize, str | tuple | None, "layer, channel, images, or a pair of numbers")
    if embedding is not None and str(embedding) not in ("umap", "pca"):
        raise OptionError(f"embedding must be umap or pca, not {embedding!r:.80}", code="O102")
    fixed = normalize if isinstance(normalize, tuple) else None
    has_umap = find_spec("numba") is not None
    return Options(
        layers=patterns or ("*",),
        channels=numbers,
        normalize=normalization(normalize if isinstance(normalize, str) else None, fixed),
        embedding=embedding or ("umap" if has_umap else "pca"),
        umap_is_missing=embedding is None and not has_umap,
    )
