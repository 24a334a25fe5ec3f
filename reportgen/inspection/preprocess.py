"""Preprocessing of pictures for a network, by name.

    preprocessor = preprocessing("caffe", channels=3)
    inputs = preprocessor.apply(pixels)              # pixels float32 [image, h, w, 3], RGB, 0 to 255
    preprocessor.stated                              # core.run.Preprocessing: name, words, planes

caffe     BGR, 0 to 255, minus the ImageNet mean (103.939, 116.779, 123.68), as Caffe's and Keras' VGG
imagenet  RGB, 0 to 1, minus the mean and divided by the deviation of ImageNet, as torchvision
unit      0 to 1: what `reportgen train` feeds
none      0 to 255, as they are
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.run import Preprocessing
from reportgen.errors import DataError, OptionError, choices, expect

CAFFE_MEAN = (103.939, 116.779, 123.68)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

Function = Callable[[np.ndarray], np.ndarray]


def _caffe(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., ::-1] - np.array(CAFFE_MEAN, np.float32)


def _imagenet(pixels: np.ndarray) -> np.ndarray:
    mean, deviation = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_DEVIATION, np.float32)
    return (pixels / np.float32(255) - mean) / deviation


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.float32(255)


def _none(pixels: np.ndarray) -> np.ndarray:
    return pixels


PREPROCESS: Mapping[str, tuple[Function, str, str]] = {
    "caffe": (_caffe, "BGR", "BGR, 0 to 255, minus the mean (103.939, 116.779, 123.68)"),
    "imagenet": (
        _imagenet,
        "RGB",
        "RGB, 0 to 1, minus the mean (0.485, 0.456, 0.406), divided by the deviation (0.229, 0.224, 0.225)",
    ),
    "unit": (_unit, "", "0 to 1"),
    "none": (_none, "", "0 to 255"),
}
"""Name -> function of RGB or grey pixels, the colour order that it needs and gives ("": as it is), words."""


@dataclass(frozen=True)
class Preprocessor:
    """A preprocessing: the function, and what it does in words."""

    function: Function
    stated: Preprocessing

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """float32 [image, height, width, channel] for the network. Raises DataError when a user's function fails."""
        try:
            inputs = np.asarray(self.function(pixels))
        except Exception as problem:  # whatever the user's function raises
            raise DataError(
                f"the preprocessing {self.stated.name} failed: {type(problem).__name__}: {problem}", code="D113"
            ) from problem
        if inputs.shape[:1] != pixels.shape[:1] or inputs.dtype.kind not in "fiu":
            raise DataError(
                f"the preprocessing {self.stated.name} made {inputs.dtype} {list(inputs.shape)} of images "
                f"{list(pixels.shape)}; it must give numbers, one array for each image",
                code="D113",
            )
        return inputs.astype(np.float32) if inputs.dtype == np.float64 else inputs


def preprocessing(asked: str | Callable[[np.ndarray], Any], channels: int) -> Preprocessor:
    """The preprocessor called `asked`, or a user's function of pixels [image, h, w, channel], RGB or grey, 0 to 255.

    Raises OptionError for an unknown name, and for caffe or imagenet where images have 1 channel.
    """
    if callable(asked):
        name = getattr(asked, "__name__", type(asked).__name__)
        return Preprocessor(asked, Preprocessing(name, f"by the function {name}"))
    expect("preprocess", asked, str, "a function, or a name of a preprocessing")
    if asked not in PREPROCESS:
        raise OptionError(f"no preprocessing {asked!r}; {choices(asked, PREPROCESS)}", code="O102")
    function, order, words = PREPROCESS[asked]
    if order and channels != 3:
        raise OptionError(
            f"the preprocessing {asked} is for images of 3 channels, the network takes {channels}; "
            f"{choices('', [name for name, (_, needs, _w) in PREPROCESS.items() if not needs])}",
            code="D113",
        )
    planes = tuple(order or ("RGB" if channels == 3 else ""))
    colour = "" if order else "RGB, " if channels == 3 else "grey, "
    return Preprocessor(function, Preprocessing(asked, colour + words, planes or ("grey",) * (channels == 1)))
