"""Images through a network: fits both to each other, runs them, and keeps the chosen layers' answers.

found = inspect_network(from_model("lenet", weights="lenet.npz"), as_pictures(["7.png"]), layers=["conv*"])
found.maps["conv1"].shape                   # (1, 24, 24, 16)
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import ml_dtypes
import numpy as np

from reportgen.capture import Capture, flat_names, prepare
from reportgen.core.inspection import Inspection, Labelled, Picture
from reportgen.core.network import Layer, Network
from reportgen.core.run import Preprocessing
from reportgen.data import Dataset
from reportgen.data.pictures import resized, stacked, with_channels
from reportgen.errors import DataError, OptionError, ReportgenError
from reportgen.evaluate import Evaluator, Maps
from reportgen.inspection.excite import excitations
from reportgen.inspection.network import LoadedNetwork, cannot_take
from reportgen.inspection.preprocess import Way, preprocessing

BATCH = 2
"""Images in one call."""

Progress = Callable[[str, int, int], Any]


def inspect_network(
    network: LoadedNetwork,
    pictures: Sequence[Picture] | None,
    *,
    layers: Sequence[str] = (),
    channels: Sequence[int] = (),
    preprocess: str | Callable[[np.ndarray], Any] | None = None,
    size: tuple[int, int] | None = None,
    dataset: Dataset | None = None,
    apply: Callable[[Any, Any, Any], Any] | None = None,
    verify: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """What the chosen layers of `network` answer to the pictures.

    `pictures` None takes the probe images of the run that the network comes from. `layers` are glob
    patterns on layer paths (all by default), `channels` numbers to show enlarged, `preprocess` a name of
    PREPROCESS or a function of pixels, `size` (height, width) to bring the pictures to, `dataset` labelled
    images to find what excites each channel. `apply` is for models that need more than images. `verify`
    replays every operation and compares.

    Raises ReportgenError's kinds: pictures of several sizes, a network that can't take them, weights that
    do not fit, unknown layers, channels that a chosen layer does not have.
    """
    pictures, given = _pictures(network, pictures)
    if size is not None:
        pictures = resized(pictures, size)
    stacked(pictures)
    pictures, way, inputs, variables, capture = _fitted(network, pictures, given, preprocess, layers, apply)
    chosen = capture.selected
    asked = replace(capture.network, name=network.name)
    _check_channels([asked.layers[path] for path in chosen], channels, layers)
    capture = replace(capture, selected=_with_partners(asked, chosen))
    maps = _maps(capture, variables, inputs, progress)
    verified, failed = _verified(capture, variables, inputs) if verify else ("", ())
    labelled = None
    if dataset is not None:
        labelled = _labelled(replace(capture, selected=chosen), variables, dataset, way, inputs.shape[-1], progress)
    return Inspection(
        network=asked,
        source=network.source,
        chosen=chosen,
        params={name: np.asarray(value) for name, value in flat_names(variables.get("params", {})).items()},
        pictures=tuple(pictures),
        preprocessing=way.stated,
        inputs=inputs,
        maps=maps,
        channels=tuple(channels),
        labelled=labelled,
        warnings=(*network.warnings, *failed, *_not_finite(maps, chosen)),
        verified=verified,
    )


def _pictures(
    network: LoadedNetwork, pictures: Sequence[Picture] | None
) -> tuple[Sequence[Picture], np.ndarray | None]:
    """The pictures, and what is fed for them where they are a run's own probe images."""
    if pictures is not None:
        return pictures, None
    if network.run is None:
        raise OptionError("no image was given; give --images, or --run for the images that a run recorded")
    run = network.run
    images, labels = np.asarray(run.batch("probe").images), run.batch("probe").labels
    shown = images[..., None] if images.ndim == 3 else images
    if shown.ndim != 4 or shown.shape[3] not in (1, 3):
        raise DataError(f"the run's probe images are {list(images.shape[1:])}: no pictures that can be shown")
    low, high = float(shown.min()), float(shown.max())
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    pixels = ((shown - low) / (high - low) * 255).astype(np.float32)
    names = [f"probe {i}" + (f" ({run.classes[labels[i]]})" if len(labels) else "") for i in range(len(images))]
    return [Picture(name, p) for name, p in zip(names, pixels, strict=True)], images


def _fitted(
    network: LoadedNetwork,
    pictures: Sequence[Picture],
    given: np.ndarray | None,
    preprocess: str | Callable[[np.ndarray], Any] | None,
    layers: Sequence[str],
    apply: Callable[[Any, Any, Any], Any] | None,
) -> tuple[tuple[Picture, ...], Way, np.ndarray, dict[str, Any], Capture]:
    """Pictures with as many channels as the network takes, and the network built for them.

    Where the network does not tell, the pictures' own channels are tried first, then the other kind.
    """
    own = max(picture.pixels.shape[2] for picture in pictures)
    tried = [network.channels] if network.channels is not None else [own, 4 - own]
    problems: list[ReportgenError] = []
    for channels in tried:
        try:
            fitting = with_channels(pictures, channels)
            way = preprocessing(preprocess or network.preprocess, channels)
            if given is not None and preprocess is None:
                way = Way(_as_recorded, Preprocessing("as recorded", "as the run recorded them", way.stated.planes))
            inputs = given if given is not None and preprocess is None else way.apply(stacked(fitting))
            if len(inputs.shape) != 4:
                raise DataError(
                    f"the preprocessing gives {list(inputs.shape)}; [image, height, width, channel] is shown"
                )
            model, variables = network.build(inputs.shape[1:])
            capture = _prepared(network, model, variables, inputs, apply, layers)
            return fitting, way, inputs, variables, capture
        except ReportgenError as problem:
            problems.append(problem)
    raise _hinted(problems[0], network, pictures)


def _as_recorded(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.float32(255)


def _hinted(problem: ReportgenError, network: LoadedNetwork, pictures: Sequence[Picture]) -> ReportgenError:
    """The first problem; where sizes differ from the training's, with the size that it had."""
    shape, size = network.image_shape, pictures[0].pixels.shape[:2]
    if shape is None or tuple(shape[:2]) == size:
        return problem
    hint = f"the run was trained on {shape[0]}x{shape[1]} pixels, these are {size[0]}x{size[1]}"
    return type(problem)(f"{problem}; {hint}: --size {shape[0]}x{shape[1]} resizes them")


def _prepared(
    network: LoadedNetwork,
    model: Any,
    variables: dict[str, Any],
    inputs: np.ndarray,
    apply: Callable[[Any, Any, Any], Any] | None,
    layers: Sequence[str],
) -> Capture:
    try:
        return prepare(model, variables, inputs, apply=apply, layers=tuple(layers) or ("*",))
    except ReportgenError:
        raise
    except Exception as problem:  # whatever the user's model, Flax and jax raise
        raise cannot_take(network.name, inputs.shape[1:], problem) from problem


def _check_channels(layers: Sequence[Layer], channels: Sequence[int], patterns: Sequence[str]) -> None:
    """Of the layers that a pattern names, one at least must have each channel."""
    for pattern in patterns or ("*",):
        named = [layer for layer in layers if fnmatchcase(layer.path, pattern)]
        most = max(named, key=lambda layer: layer.channels, default=None)
        for channel in channels:
            if most is not None and not 0 <= channel < most.channels:
                raise OptionError(
                    f"{most.path} has no channel {channel}: its channels are 0 to {most.channels - 1}, counted from 0"
                )


def _with_partners(network: Network, chosen: Sequence[str]) -> tuple[str, ...]:
    """The chosen paths and, for each, the other side of its activation function, in call order."""
    wanted = set(chosen)
    for layer in network.distinct:
        after = network.activation_of(layer)
        if after is not None and {layer.path, after.path} & set(chosen):
            wanted |= {layer.path, after.path}
    return tuple(path for path in network.layers if path in wanted)


def _maps(capture: Capture, variables: Any, inputs: np.ndarray, progress: Progress | None) -> dict[str, np.ndarray]:
    """Path -> [image, *shape]; a few images at a time, so that XLA's own memory stays that of a few."""
    note = None if progress is None else lambda done, of: progress("images", done, of)
    (maps,) = Evaluator(capture, [Maps()])(variables, inputs, size=BATCH, progress=note)
    half = (ml_dtypes.bfloat16, np.float16)
    return {path: value.astype(np.float32) if value.dtype in half else value for path, value in maps.items()}


def _verified(capture: Capture, variables: Any, inputs: np.ndarray) -> tuple[str, tuple[str, ...]]:
    """ "n of n operations verified", and a warning where some were not."""
    from reportgen.capture.verify import check

    batch = inputs[:2] if len(inputs) > 1 else np.concatenate([inputs, inputs])
    every = replace(capture, selected=tuple(layer.path for layer in capture.network.distinct))
    found = check(every, variables, batch)
    failed = tuple(f"{path}: {text}" for path, text in found.failed.items())
    warning = f"Verification failed: {'; '.join(failed[:3])}" + (
        f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    )
    return str(found), ((f"{warning}.",) if failed else ())


def _labelled(
    capture: Capture, variables: Any, dataset: Dataset, way: Way, channels: int, progress: Progress | None
) -> Labelled:
    images = dataset.test_images
    if images.shape[-1] != channels:
        names = [Picture("", image * 255) for image in images]
        images = np.stack([picture.pixels for picture in with_channels(names, channels)]) / np.float32(255)
    note = None if progress is None else lambda done, of: progress("dataset", done, of)
    try:
        return excitations(capture, variables, dataset, images, way.apply, note)
    except ReportgenError:
        raise
    except Exception as problem:  # whatever the user's model, Flax and jax raise
        raise cannot_take(f"the network, from {dataset.name},", images.shape[1:], problem) from problem


def _not_finite(maps: dict[str, np.ndarray], chosen: Sequence[str]) -> tuple[str, ...]:
    broken = {path: int((~np.isfinite(maps[path])).sum()) for path in chosen}
    named = [f"{path} ({count:,} of {maps[path].size:,} values)" for path, count in broken.items() if count]
    if not named:
        return ()
    rest = len(named) - 3
    more = f" and {rest} more layer{'s' * (rest > 1)}" if rest > 0 else ""
    return (f"NaN or infinite activations in {', '.join(named[:3])}{more}; they are violet in the figures.",)
