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
class Preprocessing:
    """What is done to a picture before the network sees it.

    `name` is what was asked for; `words` state it: colour order, mean, scale. `planes` names the input's
    channels in their order ("B", "G", "R"), () where that is not known.
    """

    name: str
    words: str
    planes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Excitation:
    """How one layer answers to a dataset.

    values       [rank, channel] float32: the largest values of each channel, one per image, falling; NaN
                 where there are fewer images
    images       [rank, channel] int64: the image of each, -1 where there is none
    positions    [rank, channel, axis] int64: where in the feature map the value stands
    label_sums   [label, channel] float64: each channel summed over positions and over the label's images
    """

    values: np.ndarray
    images: np.ndarray
    positions: np.ndarray
    label_sums: np.ndarray


@dataclass(frozen=True)
class Labelled:
    """The labelled images that the channels were tried on.

    `images` are pictures [image, height, width, 1 or 3] from 0 to 1, `layers` has an `Excitation` per
    layer path. `label_counts` and `input_sums` [label] are what `analysis.activity` takes; they and the
    sums are over the correctly predicted images where `predicted` holds their number, over all where the
    network gives no score per class (None).
    """

    name: str
    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    layers: Mapping[str, Excitation]
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
