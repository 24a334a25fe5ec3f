"""What every section is given: one moment of a run or two, what the reader asked for, and shared analyses.

context = PageContext(Moment(run, 400), Moment(run, 0), Options())
context.confusion.accuracy                     # computed when first asked for, once
context.stats["conv1"].maximum[0]              # of every channel on the first probe example
"""

import copy
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np

from reportgen.analysis.changes import Changes, changes
from reportgen.analysis.channels import ChannelStats, channel_stats
from reportgen.analysis.checkup import Checkup, checkup
from reportgen.analysis.confusion import Confusion, confusion
from reportgen.analysis.diffs import ParamDiff, differences
from reportgen.analysis.embedding import Embedding, embed
from reportgen.analysis.score import Lane, similar_to_last
from reportgen.core.network import Layer, Network, Role, matches
from reportgen.core.outcome import MOST_CLASSES, Classification, Outcome
from reportgen.core.pictures import image_range, pictures_of, to_pixels
from reportgen.core.run import Batch, LazyArray, Observation, numbered_names
from reportgen.errors import OptionError, ReportgenError, choices
from reportgen.sections.beside import computed_beside
from reportgen.sections.crowd import Crowd, crowd_of
from reportgen.sections.limits import Limits, in_turns
from reportgen.sections.options import Moment, Need, Options
from reportgen.sections.shared import shared
from reportgen.sections.words import ranges, slug


class PageContext:
    """The moments with the analyses on them. Raises OptionError for steps, layers or channels that there are not."""

    def __init__(self, now: Moment, before: Moment | None, options: Options):
        self.run = now.run
        self.now = now
        self.before = before
        self.options = options
        for moment in (before, now):
            if moment is not None and moment.step not in moment.run.snapshots:
                steps = ranges(list(moment.run.snapshots))
                raise OptionError(f"no snapshot of {moment.name} was recorded; recorded: {steps}", code="O104")
        for pattern in self.network.separate(options.layers):
            layers = self.network.select((pattern,))
            if not layers:
                raise OptionError(f"no layer matches {pattern!r}; {choices(pattern, self.network.layers)}", code="O105")
            widest = max(layers, key=lambda layer: layer.channels)
            for channel in options.channels:
                if not 0 <= channel < widest.channels:
                    raise OptionError(
                        f"{widest.path} has no channel {channel}: its channels are 0 to {widest.channels - 1}, "
                        "counted from 0",
                        code="O105",
                    )
        self.found: dict[str, Any] = {}
        self._slugs: dict[str, str] = {}
        self._embedding: Future[Embedding | str | None] | None = None

    # What there is.

    @property
    def network(self) -> Network:
        """The network of the page."""
        return self.run.network

    @property
    def limits(self) -> Limits:
        """How much of the run the page may show."""
        return self.options.limits

    def limited(self, limits: Limits) -> "PageContext":
        """The same moments, options and analyses under other limits: what either computes, the other has."""
        other = copy.copy(self)
        other.options = replace(self.options, limits=limits)
        return other

    @shared
    def offers(self) -> frozenset[Need]:
        """Which needs of sections the run meets."""
        met = {
            Need.MAPS: bool(self.layers) and self.observation is not None,
            Need.PICTURES: self.pixels is not None,
            Need.COMPARABLE: self.pixels is not None and self.before is None and len(self.names) > 1,
            Need.OUTCOME: self.classification is not None,
            Need.METRICS: len(self.run.metrics.epochs) > 1,
            Need.BEFORE: self.before is not None,
            Need.VECTORS: self.run.embed_layer is not None and bool(self.run.observations),
            Need.CHANNELS: bool(self.options.channels),
        }
        return frozenset(need for need, is_met in met.items() if is_met)

    def chosen(self, name: str) -> bool:
        """Whether a parameter, by its own name or its layer's path, is among those to show."""
        patterns = self.network.separate(self.options.layers)
        return any(matches(name, pattern) or matches(name.rpartition("/")[0], pattern) for pattern in patterns)

    def draws(self, path: str) -> bool:
        """Whether a layer has figures of its own: each has, but on a page that has room for some alone."""
        few = self.limits.layers
        return few is None or path in self._ranked[:few]

    @shared
    def _ranked(self) -> tuple[str, ...]:
        """The layers, those first whose parameters changed most and that have the largest share of dead channels."""
        dead = {path: len(last.dead) / max(last.channels, 1) for path, (*_, last) in self.checkup.channels.items()}
        moved: dict[str, float] = {}
        for diff in self.diffs:
            holder = self.holders.get(diff.name, diff.name)
            moved[holder] = max(moved.get(holder, 0.0), diff.relative or 0.0)
        return in_turns([layer.path for layer in self.layers], moved, dead)

    def slug(self, path: str) -> str:
        """A stable part of an anchor for a path; paths that differ get slugs that differ."""
        if path not in self._slugs:
            base, count = slug(path), 1
            while (name := base if count == 1 else f"{base}-{count}") in self._slugs.values():
                count += 1
            self._slugs[path] = name
        return self._slugs[path]

    @shared
    def observation(self) -> Observation | None:
        """The observation recorded last, None for a run without any."""
        steps = list(self.run.observations)
        return self.run.observations[steps[-1]] if steps else None

    @property
    def outcome(self) -> Outcome | None:
        """How the network's outputs compare with the targets of the evaluation; None where nothing is compared."""
        return None if self.observation is None else self.observation.outcome

    @property
    def classification(self) -> Classification | None:
        """The outcome of a network that classifies, or the sums by label of one that does not."""
        return self.outcome if isinstance(self.outcome, Classification) else None

    @shared
    def layers(self) -> tuple[Layer, ...]:
        """The layers to show, in call order, each value once: those whose activations were recorded."""
        recorded = None if self.observation is None else self.observation.maps
        return tuple(
            layer
            for layer in self.network.select(self.options.layers)
            # A layer of no channels gives nothing to show.
            if layer.alias_of is None and all(layer.shape) and (recorded is None or layer.path in recorded)
        )

    @shared
    def map_layers(self) -> tuple[Layer, ...]:
        """Those of them that give 2-D feature maps."""
        return tuple(layer for layer in self.layers if layer.has_maps)

    @shared
    def convolutions(self) -> tuple[Layer, ...]:
        """The convolutions that give feature maps."""
        return tuple(layer for layer in self.map_layers if layer.role is Role.CONV)

    @shared
    def pairs(self) -> tuple[tuple[Layer | None, Layer], ...]:
        """The layers with feature maps, each activation function together with the layer whose values it takes.

        (before, after) where one of the two is to be shown and both have one shape, else (None, layer).
        """
        assert self.observation is not None
        recorded = [x for x in self.network.distinct if x.path in self.observation.maps and x.has_maps]
        before = {}
        for layer in recorded:
            after = self.network.activation_of(layer)
            if after in recorded and after.shape == layer.shape and after.path not in before:
                before[after.path] = layer
        shown = {layer.path for layer in self.map_layers}
        paired = {layer.path for layer in before.values()}
        pairs: list[tuple[Layer | None, Layer]] = []
        for layer in recorded:
            other = before.get(layer.path)
            if other is not None and {layer.path, other.path} & shown:
                pairs.append((other, layer))
            elif other is None and layer.path in shown and layer.path not in paired:
                pairs.append((None, layer))
        return tuple(pairs)

    # The probe: the few examples whose activations are shown whole.

    @property
    def probe(self) -> Batch:
        """The examples whose activations were recorded whole."""
        return self.run.batch("probe")

    @shared
    def names(self) -> tuple[str, ...]:
        """A name per probe example."""
        if self.probe.names:
            return self.probe.names
        maps = {} if self.observation is None else self.observation.maps
        # Without the file that holds them, the examples are known by their maps alone.
        count = self.probe.size or len(next(iter(maps.values()), ()))
        return numbered_names(count, self.probe.labels, self.run.classes)

    @shared
    def pixels(self) -> np.ndarray | None:
        """The probe as pictures [example, height, width, 1 or 3] from 0 to 255; None where it holds none."""
        images = np.asarray(pictures_of(self.run, self.probe))
        if self.probe.pictures is not None:
            return images
        return to_pixels(images, self.probe_range) if len(images) else None

    def evaluation_pixels(self, example: int) -> np.ndarray | None:
        """One evaluation input as a picture, as `pixels` has those of the probe; None where it was not kept."""
        images, shades = self.evaluation_pictures
        if example >= len(images):
            return None
        pixels: np.ndarray = to_pixels(images[example : example + 1], shades)[0]
        return pixels

    @shared
    def evaluation_pictures(self) -> tuple[np.ndarray | LazyArray, tuple[float, float]]:
        """The evaluation's pictures, empty where it has none, with the values of black and of white."""
        batch = self.run.batch("evaluation")
        images = pictures_of(self.run, batch)
        return images, (0.0, 255.0) if batch.pictures is not None else image_range(images)

    @shared
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the network's input where it is pictures."""
        return (self.probe.images.shape[1], self.probe.images.shape[2]) if self.pixels is not None else None

    @shared
    def probe_range(self) -> tuple[float, float]:
        """What is black and what is white in a picture of a probe input."""
        return image_range(self.probe.images)

    def maps(self, layer: Layer) -> np.ndarray:
        """[example, *layer.positions, channel]: the layer's activations for the probe.

        Read from disk once per layer in a row.
        """
        path, maps = self._maps
        if path != layer.path:
            assert self.observation is not None
            maps = layer.by_channel(np.asarray(self.observation.maps[layer.path]))
            maps = maps[:, None] if maps.ndim == 1 else maps  # one number per example is one channel
            self._maps = layer.path, maps
        return maps

    _maps: tuple[str | None, np.ndarray] = (None, np.zeros(0))

    @shared
    def stats(self) -> dict[str, ChannelStats]:
        """For each recorded layer, the statistics of every channel on every probe example."""
        maps = {} if self.observation is None else self.observation.maps
        return {x.path: channel_stats(self.maps(x)) for x in self.network.distinct if x.path in maps}

    @shared
    def changes(self) -> dict[str, tuple[Changes, ...]]:
        """For each recorded layer, every further probe example against the first."""
        found = {}
        for path in self.stats:
            first, *others = self.maps(self.network.layers[path])
            found[path] = tuple(changes(first, other) for other in others)
        return found

    # Analyses.

    @shared
    def confusion(self) -> Confusion | None:
        """Predictions of the final network against the evaluation labels; None where either is missing, or
        for more classes than a matrix of them fits into memory."""
        outcome, targets = self.classification, self.run.batch("evaluation").labels
        if outcome is None or len(self.run.classes) > MOST_CLASSES:
            return None
        if not len(outcome.predictions) or not len(targets):
            return None
        return confusion(targets, outcome.predictions, self.run.classes, outcome.logit_gap)

    @shared
    def kernels(self) -> tuple[str, ...]:
        """Names of the chosen parameters in the layers' order, a layer's kernel before its bias."""
        placed = {name: i for i, layer in enumerate(self.network.layers.values()) for name in layer.params}
        names = [name for name, form in self.now.forms.items() if self.chosen(name) and form.size]
        return tuple(sorted(names, key=lambda n: (placed.get(n, len(placed)), n.endswith("bias"), n)))

    @shared
    def holders(self) -> dict[str, str]:
        """Name of each parameter -> path of the layer that holds it."""
        return {name: layer.path for layer in self.network.layers.values() for name in layer.params}

    @shared
    def diffs(self) -> tuple[ParamDiff, ...]:
        """Change of each chosen parameter from the moment before; () without one."""
        if self.before is None:
            return ()
        return differences(self.before.snapshot, self.now.snapshot, self.kernels, self.checkup.compared)

    @shared
    def checkup(self) -> Checkup:
        """Health of all parameters and layers, whatever was chosen to be shown."""
        before = self.before
        steps = (before.step, self.now.step) if before is not None and before.run is self.run else None
        return checkup(self.run, steps, self.kernels)

    @shared
    def similarity(self) -> Lane | None:
        """How similar the embedded layer is to itself at the last observation, over the training."""
        return similar_to_last(self.run)

    @shared
    def embedding(self) -> Embedding | str | None:
        """The embedding over all recorded steps; a sentence where it can't be had; None without a layer."""
        return self._embed(Event()) if self._embedding is None else self._embedding.result()

    @shared
    def crowd(self) -> Crowd | None:
        """The examples that the page knows one by one, with their places in the embedding."""
        found = self.embedding
        return crowd_of(self.run, found if isinstance(found, Embedding) else None)

    @contextmanager
    def embedding_begun(self) -> Iterator[None]:
        """Within, UMAP's embedding is computed on another core; who asks for it waits until it is there."""
        if self.options.embedding == "pca" or Need.VECTORS not in self.offers:
            yield
            return
        # Imports and compilers change the process's warning filters: done here, no other thread sees it half-way.
        embed([np.eye(4)], np.zeros(0, np.int64))
        with computed_beside(self._embed, "reportgen-embedding") as self._embedding:
            yield

    def _embed(self, given_up: Event) -> Embedding | str | None:
        if Need.VECTORS not in self.offers:
            return None

        def progress(done: int, of: int) -> None:
            if given_up.is_set() and done < of:
                raise CancelledError
            if self.options.progress is not None:
                self.options.progress("embedding", done, of)

        vectors = [self.run.observations[step].vectors["embedding"] for step in self.run.observations]
        labels = self.run.batch("embedding").labels
        try:
            return embed(vectors, labels, self.options.embedding, progress=progress)
        except ReportgenError as error:
            return str(error)
