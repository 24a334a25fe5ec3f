"""What every section of an inspection is given: the inspection, the normalisation, and what they share.

view = View(found, Normalize("images"))
view.stats["conv1"].maximum[0]               # statistics of every channel, computed when first asked for
"""

from functools import cached_property

import numpy as np

from reportgen.analysis.changes import Changes, changes
from reportgen.analysis.channels import ChannelStats, channel_stats
from reportgen.core.inspection import Inspection
from reportgen.core.network import Layer
from reportgen.sections.inspection.scale import Normalize
from reportgen.sections.words import slug

FEW_GRIDS = 16
"""Grids (layers x images) up to which the ten strongest channels are drawn enlarged, too."""

UNFOLDED_LAYERS = 12
"""Layers up to which all stand open; of more, each module is a fold."""


OPEN_IMAGES = 4
"""Images of a layer that stand open; of more, the rest are in a fold."""


class View:
    """An inspection with the analyses on it."""

    def __init__(self, found: Inspection, how: Normalize):
        self.found = found
        self.how = how
        self._slugs: dict[str, str] = {}

    def slug(self, text: str) -> str:
        """A stable part of an anchor for a path or image name; texts that differ get slugs that differ."""
        if text not in self._slugs:
            base, count = slug(text)[:80], 1
            while (name := base if count == 1 else f"{base}-{count}") in self._slugs.values():
                count += 1
            self._slugs[text] = name
        return self._slugs[text]

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(picture.name for picture in self.found.pictures)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The chosen layers, in call order."""
        return tuple(layer for layer in self.found.network.layers.values() if layer.path in self.found.chosen)

    @cached_property
    def map_layers(self) -> tuple[Layer, ...]:
        """Those of them that give feature maps."""
        return tuple(layer for layer in self.layers if layer.has_maps)

    @property
    def few(self) -> bool:
        """Whether there is room to show more than the grids."""
        return len(self.map_layers) * len(self.images) <= FEW_GRIDS

    @cached_property
    def stats(self) -> dict[str, ChannelStats]:
        """Statistics of every channel for every image, by layer path."""
        return {path: channel_stats(maps) for path, maps in self.found.maps.items()}

    @cached_property
    def changes(self) -> dict[str, tuple[Changes, ...]]:
        """For each layer with maps, every further image against the first."""
        return {path: tuple(changes(maps[0], other) for other in maps[1:]) for path, maps in self.found.maps.items()}

    @cached_property
    def befores(self) -> dict[str, Layer]:
        """Path of an activation function -> the layer whose values it takes, of the same shape."""
        kept = [layer for layer in self.found.network.distinct if layer.path in self.found.maps]
        pairs = [(layer, self.found.network.activation_of(layer)) for layer in kept]
        return {
            after.path: layer
            for layer, after in pairs
            if after is not None and after.path in self.found.maps and after.shape == layer.shape
        }

    @cached_property
    def pairs(self) -> tuple[tuple[Layer | None, Layer], ...]:
        """The chosen layers with feature maps, each activation function together with what it takes.

        (before, after), or (None, layer) for a layer without an activation function of its own.
        """
        kept = [
            layer for layer in self.found.network.layers.values() if layer.path in self.found.maps and layer.has_maps
        ]
        paired = {before.path for before in self.befores.values()}
        chosen = {layer.path for layer in self.map_layers}
        pairs: list[tuple[Layer | None, Layer]] = []
        for layer in kept:
            before = self.befores.get(layer.path)
            if before is not None and {layer.path, before.path} & chosen:
                pairs.append((before, layer))
            elif before is None and layer.path not in paired and layer.path in chosen:
                pairs.append((None, layer))
        return tuple(pairs)

    def kernel(self, layer: Layer) -> tuple[str, np.ndarray] | None:
        """Name and values of the layer's kernel: its largest parameter of two axes or more."""
        own = [(name, self.found.params[name]) for name in layer.params if name in self.found.params]
        kernels = [pair for pair in own if pair[1].ndim >= 2 and pair[1].size]
        return max(kernels, key=lambda pair: pair[1].size) if kernels else None
