"""What every section is given: the run, what was asked for, and analyses that several sections share.

context = Context(run, Options(from_step=0, to_step=400))
context.confusion.accuracy                     # computed when first asked for, once
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from threading import Event, Thread
from typing import Any, Literal

import numpy as np

from reportgen.analysis.channels import ChannelStats, channel_stats
from reportgen.analysis.checkup import Checkup, checkup
from reportgen.analysis.confusion import Confusion, confusion
from reportgen.analysis.diffs import ParamDiff, differences
from reportgen.analysis.embedding import Embedding, embed
from reportgen.core.network import Layer, Role
from reportgen.core.report import Mosaic
from reportgen.core.run import Classification, LazyArray, Observation, Run
from reportgen.errors import OptionError, ReportgenError, choices
from reportgen.figures.mosaic import mosaic
from reportgen.sections.limits import Limits
from reportgen.sections.words import slug

MOST_CLASSES = 4096
"""Classes up to which predictions are compared class by class: 128 MB of counts."""


@dataclass(frozen=True)
class Options:
    """What the reader chose: two steps to compare, layers by glob, the embedding's method.

    `progress(what, done, of)` is called by the thread that does it.
    """

    from_step: int
    to_step: int
    layers: tuple[str, ...] = ("*",)
    embedding: Literal["umap", "pca"] = "umap"
    title: str | None = None
    limits: Limits = field(default_factory=Limits)
    progress: Callable[[str, int, int], Any] | None = field(default=None, compare=False)


class Context:
    """The run with the analyses on it. Raises OptionError for steps or layers that it does not have."""

    def __init__(self, run: Run, options: Options):
        self.run = run
        self.options = options
        for step in (options.from_step, options.to_step):
            if step not in run.snapshots:
                raise OptionError(f"no snapshot of step {step} was kept; kept: {_ranges(list(run.snapshots))}")
        for pattern in options.layers:
            if not run.network.select((pattern,)):
                raise OptionError(f"no layer matches {pattern!r}; {choices(pattern, run.network.layers)}")
        self._slugs: dict[str, str] = {}
        self._begun: Future[Embedding | str | None] | None = None

    @contextmanager
    def embedding_begun(self) -> Iterator[None]:
        """Within, UMAP's embedding is computed on another core; who asks for it waits until it is there.

        Where what is within fails, it ends with the frame that it is at.
        """
        if self.options.embedding == "pca" or self.run.embed_layer is None or not self.run.observations:
            yield
            return
        # Imports and compilers change the filters of warnings for all threads: let them be done before.
        embed([np.eye(4)], np.zeros(0, np.int64))
        begun: Future[Embedding | str | None] = Future()
        self._begun = begun
        left = Event()

        def compute() -> None:
            try:
                begun.set_result(self._embed(left))
            except BaseException as error:
                begun.set_exception(error)

        # Of a thread pool, or one that is no daemon, the interpreter would wait for the end.
        Thread(target=compute, name="reportgen-embedding", daemon=True).start()
        try:
            yield
        except BaseException:
            left.set()
            raise

    def limited(self, limits: Limits) -> "Context":
        """The same run, options and analyses under other limits; what was computed is not computed again."""
        other = copy.copy(self)
        other.options = replace(self.options, limits=limits)
        return other

    @property
    def limits(self) -> Limits:
        """How much of the run the page may show."""
        return self.options.limits

    def chosen(self, path: str) -> bool:
        """Whether a layer, or a parameter by its layer, is among those to show."""
        patterns = self.options.layers
        return any(fnmatchcase(path, p) or fnmatchcase(path.rpartition("/")[0], p) for p in patterns)

    def slug(self, path: str) -> str:
        """A stable part of an anchor for a path; paths that differ get slugs that differ."""
        if path not in self._slugs:
            base, count = slug(path), 1
            while (name := base if count == 1 else f"{base}-{count}") in self._slugs.values():
                count += 1
            self._slugs[path] = name
        return self._slugs[path]

    @cached_property
    def final(self) -> Observation | None:
        """The observation recorded last, None for a run without any."""
        steps = list(self.run.observations)
        return self.run.observations[steps[-1]] if steps else None

    @property
    def outcome(self) -> Classification | None:
        """What the final network predicted for the evaluation batch, None where that was not compared."""
        return None if self.final is None else self.final.outcome

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers to show, in call order, each value once: those whose activations were kept."""
        kept = None if self.final is None else self.final.maps
        return tuple(
            layer
            for layer in self.run.network.distinct
            if self.chosen(layer.path) and (kept is None or layer.path in kept)
        )

    @cached_property
    def convolutions(self) -> tuple[Layer, ...]:
        """The convolutions that give feature maps."""
        return tuple(layer for layer in self.layers if layer.has_maps and layer.role is Role.CONV)

    @cached_property
    def pooling(self) -> tuple[Layer, ...]:
        """The pooling operations that give feature maps."""
        return tuple(layer for layer in self.layers if layer.has_maps and layer.role is Role.POOL)

    @cached_property
    def shades(self) -> tuple[float, float]:
        """What is black and what is white in a picture of the evaluation set."""
        return image_range(self.run.batch("evaluation").images)

    @cached_property
    def probe_shades(self) -> tuple[float, float]:
        """The same in a picture of a probe image."""
        return image_range(self.run.batch("probe").images)

    @cached_property
    def confusion(self) -> Confusion | None:
        """Predictions of the final network against the evaluation labels; None where either is missing, or
        for more classes than a matrix of them fits into memory."""
        outcome, labels = self.outcome, self.run.batch("evaluation").labels
        if outcome is None or not len(labels) or len(self.run.classes) > MOST_CLASSES:
            return None
        return confusion(labels, outcome.predictions, self.run.classes, outcome.logit_gap)

    @cached_property
    def diffs(self) -> tuple[ParamDiff, ...]:
        """Change of each chosen parameter between the two steps, in the layers' order."""
        before, after = (self.run.snapshots[s] for s in (self.options.from_step, self.options.to_step))
        placed = {name: i for i, layer in enumerate(self.run.network.layers.values()) for name in layer.params}
        names = [name for name in before.params if self.chosen(name)]
        # A layer's kernel before its bias, whatever the alphabet says.
        names.sort(key=lambda n: (placed.get(n, len(placed)), n.endswith("bias"), n))
        return differences(before, after, names)

    @cached_property
    def checkup(self) -> Checkup:
        """Health of all parameters and layers, whatever was chosen to be shown."""
        return checkup(self.run)

    @cached_property
    def embedding(self) -> Embedding | str | None:
        """The embedding over all recorded steps; a sentence where it can't be had; None without a layer."""
        return self._embed(Event()) if self._begun is None else self._begun.result()

    def _embed(self, left: Event) -> Embedding | str | None:
        if self.run.embed_layer is None or not self.run.observations:
            return None
        recorded = [self.run.observations[step] for step in self.run.observations]
        if not all("embedding" in observation.vectors for observation in recorded):
            return None

        def progress(done: int, of: int) -> None:
            if left.is_set() and done < of:
                raise CancelledError  # the report was given up meanwhile
            if self.options.progress is not None:
                self.options.progress("embedding", done, of)

        try:
            return embed(
                [observation.vectors["embedding"] for observation in recorded],
                self.run.batch("embedding").labels,
                self.options.embedding,
                progress=progress,
            )
        except ReportgenError as error:
            return str(error)

    @cached_property
    def channel_stats(self) -> dict[str, ChannelStats]:
        """For each layer, the statistics of every channel on every probe image of the final network."""
        final = self.final
        return {} if final is None else {layer.path: channel_stats(final.maps[layer.path]) for layer in self.layers}


def image_mosaic(
    images: np.ndarray | LazyArray, chosen: Sequence[int] | np.ndarray, shades: tuple[float, float], **layout: Any
) -> Mosaic | None:
    """The chosen images as tiles, the least of `shades` black and the largest white; None for what is no picture."""
    if not are_pictures(images.shape) or not len(chosen):
        return None
    tiles, (low, high) = images[chosen], shades
    if tiles.ndim == 4 and tiles.shape[3] == 1:
        tiles = tiles[..., 0]
    if tiles.ndim == 3:
        return mosaic(tiles, low, high, **layout)
    # A mosaic takes colours from 0 to 255.
    return mosaic((tiles - low) / (high - low) * 255, 0, 255, **layout)


def are_pictures(shape: tuple[int, ...]) -> bool:
    """Whether data of that shape can be shown: [n, h, w], [n, h, w, 1] or [n, h, w, 3]."""
    return len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))


def image_range(images: np.ndarray | LazyArray) -> tuple[float, float]:
    """(black, white): 0 and 1 for images within these, else the least and the largest finite value."""
    low, high = np.inf, -np.inf
    for start in range(0, len(images), 1000):  # 60,000 at once, their mask and a copy would be 420 MB
        block = images[start : start + 1000]
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1)


def _ranges(steps: Sequence[int], most: int = 12) -> str:
    """Steps as text, runs of neighbours as "0-400": what is kept at every batch stays short."""
    parts: list[str] = []
    start = previous = None
    for step in [*sorted(steps), None]:
        if previous is not None and step != previous + 1:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = step
        elif previous is None:
            start = step
        previous = step
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")
