"""What a look inside a network found, as types: all that the sections of an inspection know of it.

    found = inspect_network(...)                        # reportgen.inspection, which needs jax
    found.maps["fire6/squeeze1x1/relu"][0]              # [height, width, channel] of the first image
    found.network.layers["fire6/squeeze1x1/relu"].field  # a ReceptiveField

Images and channels count from 0; all arrays are NumPy's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reportgen.core.network import Network
from reportgen.core.run import Preprocessing, TopExamples


@dataclass(frozen=True)
class Picture:
    """One image as it was given, before preprocessing.

    `pixels` is float32 [height, width, 1 or 3], grey or RGB from 0 to 255; `notes` say what was converted
    to make it so ("16 bits a channel, divided by 257").
    """

    name: str
    pixels: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """The labelled images that the channels were tried on.

    `images` are pictures [image, height, width, 1 or 3] from 0 to 1, `layers` has the top-activating images
    per layer path. `label_sums` (layer path -> [label, channel] float64), `label_counts` and `input_sums`
    [label] are what `analysis.activity` takes; they are over the correctly predicted images where `predicted`
    holds their number, over all where the network gives no score per class (None).
    """

    name: str
    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    layers: Mapping[str, TopExamples]
    label_sums: Mapping[str, np.ndarray]
    label_counts: np.ndarray
    input_sums: np.ndarray
    predicted: int | None


@dataclass(frozen=True)
class Inspection:
    """A network, its parameters, and what it answered to chosen images.

    network      all captured layers; `chosen` are the paths whose maps were kept
    params       parameters by name, those of the chosen layers and of the first convolution
    source       where the parameters come from, in words
    inputs       [image, ...] as the network took them
    maps         path -> [image, *layer.shape]
    channels     channel numbers asked for, in that order
    """

    network: Network
    source: str
    chosen: tuple[str, ...]
    params: Mapping[str, np.ndarray]
    pictures: tuple[Picture, ...]
    preprocessing: Preprocessing
    inputs: np.ndarray
    maps: Mapping[str, np.ndarray]
    channels: tuple[int, ...] = ()
    labelled: Labelled | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    verified: str = ""
