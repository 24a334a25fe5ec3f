"""Images through a network: fits both to each other, runs them, and keeps the chosen layers' responses as a run.

run = inspect_network(from_model("lenet", weights="lenet.npz"), as_pictures(["7.png"]), layers=["conv*"])
run.observations[0].maps["conv1"].shape     # (1, 24, 24, 16)
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.capture import Capture, check_all, flat_names, on_this_process, own_modes, prepare
from reportgen.core.arguments import count
from reportgen.core.network import Network
from reportgen.core.outcome import Kind, Task
from reportgen.core.pictures import Picture, image_range, pictures_of, to_pixels
from reportgen.core.progress import Progress
from reportgen.core.run import Batch, LazyArray, Metrics, Preprocessing, Run, Snapshot, numbered_names
from reportgen.data import Dataset
from reportgen.data.pictures import resized, stacked, with_channels
from reportgen.errors import DataError, OptionError, ReportgenError
from reportgen.evaluate import Observer, task_of
from reportgen.inspection.network import LoadedNetwork, cannot_take
from reportgen.inspection.preprocess import Preprocessor, preprocessing


@own_modes()
def inspect_network(
    network: LoadedNetwork,
    pictures: Sequence[Picture] | None,
    *,
    layers: Sequence[str] = ("*",),
    preprocess: str | Callable[[np.ndarray], Any] | None = None,
    size: tuple[int, int] | None = None,
    dataset: Dataset | None = None,
    apply: Callable[[Any, Any, Any], Any] | None = None,
    verify: bool = False,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Run:
    """A run of one state: how the chosen layers of `network` respond to the pictures.

    `pictures` None takes the probe of the run that the network comes from. `layers` are glob patterns on layer
    paths, `preprocess` a name of PREPROCESS or a function of pixels, `size` (height, width) to bring the pictures
    to, `dataset` labelled images to find what activates each channel most. `apply` is for models that need more
    than images. `verify` replays every operation and compares. `facts` are JSON values for the provenance.

    Raises ReportgenError's kinds: pictures of several sizes, a network that can't take them, weights that
    do not fit, unknown layers.
    """
    recorded_probe = network.run.batch("probe") if pictures is None and network.run is not None else None
    pictures = _pictures(network, pictures)
    if size is not None:
        pictures, recorded_probe = resized(pictures, _size(size)), None
    stacked(pictures)
    recorded = recorded_probe if preprocess is None else None
    pictures, preprocessor, inputs, variables, capture = _fitted(network, pictures, recorded, preprocess, layers, apply)
    chosen = capture.selected
    described = replace(capture.network, name=network.name)
    capture = replace(capture, selected=_with_partners(described, chosen))
    # A first axis of 1 may be no value per image at all.
    twice = inputs[:2] if len(inputs) > 1 else np.concatenate([inputs, inputs])
    stated = check_all(capture, variables, twice).facts if verify else {}
    batches = {
        "probe": Batch(
            size=len(inputs),
            inputs=inputs,
            targets=recorded_probe.targets if recorded_probe is not None else None,
            names=tuple(picture.name for picture in pictures),
            pictures=stacked(pictures) if recorded is None else None,
            preprocessing=preprocessor.stated,
            notes=tuple("; ".join(picture.notes) for picture in pictures),
        )
    }
    classes, task = network.classes, Task(Kind.NONE)
    if dataset is not None:
        classes = dataset.classes
        batches["evaluation"] = evaluation = _evaluation(dataset, preprocessor, inputs.shape[-1])
        try:
            task, _ = task_of(capture, variables, replace(evaluation, inputs=evaluation.inputs[:2]), classes)
        except ReportgenError:
            raise
        except Exception as problem:  # whatever the user's model, Flax and jax raise
            raise cannot_take(f"the network, from {dataset.name},", evaluation.inputs.shape[1:], problem) from problem
    labels = len(classes) if dataset is not None else 0
    observe = Observer(capture, batches, task, labels, top=dataset is not None)
    observation = observe(variables, network.step, 0, progress)
    if dataset is not None:
        # The inputs follow from the pictures; a run keeps one of the two.
        batches["evaluation"] = replace(batches["evaluation"], inputs=None)
    prints = {p.name: hashlib.sha256(np.ascontiguousarray(p.pixels).tobytes()).hexdigest() for p in pictures}
    config = {
        "model": network.name,
        "images": prints,
        "layers": list(chosen),
        "preprocess": preprocessor.stated.words,
        **({"dataset": dataset.name} if dataset is not None else {}),
    }
    return Run(
        path=Path(),
        classes=classes,
        network=described,
        config=config,
        provenance={"parameters": network.source, **_names(network), **stated, **(facts or {})},
        metrics=Metrics(),
        snapshots={network.step: Snapshot(network.step, 0, _named(variables))},
        observations={network.step: observation},
        batches=batches,
        kind="inspection",
        notes=(
            *network.warnings,
            *(f"{note}." for found in network.matched for note in found.notes),
            *_failed(stated),
            *_not_finite(observation.maps, chosen),
        ),
        task=task,
    )


def _names(network: LoadedNetwork) -> dict[str, Any]:
    """How another framework's names became the model's, if the weights are another framework's."""
    names = {theirs: ours for found in network.matched for theirs, ours in found.names.items()}
    return {"weights_matched": names} if names else {}


def _named(variables: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Collection -> name -> array."""
    return {
        kind: {name: np.asarray(value) for name, value in flat_names(tree).items()} for kind, tree in variables.items()
    }


def _evaluation(dataset: Dataset, preprocessor: Preprocessor, channels: int) -> Batch:
    """The dataset's test images, preprocessed batch by batch, with as many channels as the network takes."""
    pixels = dataset.test_images * np.float32(255)
    if pixels.shape[-1] != channels:
        pixels = np.stack(
            [picture.pixels for picture in with_channels([Picture("", each) for each in pixels], channels)]
        )
    shape = preprocessor.apply(pixels[:1]).shape[1:]
    inputs = LazyArray((len(pixels), *shape), lambda chosen: preprocessor.apply(pixels[chosen]))
    return Batch(len(pixels), inputs, dataset.test_labels, pictures=pixels, preprocessing=preprocessor.stated)


def _failed(stated: Mapping[str, Any]) -> tuple[str, ...]:
    failed = [f"{path}: {text}" for path, text in stated.get("verification_failed", {}).items()]
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    return (f"Verification failed: {'; '.join(failed[:3])}{more}.",) if failed else ()


def _size(given: Any) -> tuple[int, int]:
    """(height, width) in pixels. Raises OptionError for anything else."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise OptionError(f"size must be (height, width) in pixels, not {given!r:.80}", code="O101")
    height, width = (count("a height or width of size", each, least=1) for each in given)
    return height, width


def _pictures(network: LoadedNetwork, pictures: Sequence[Picture] | None) -> Sequence[Picture]:
    """The pictures, or a run's own probe as pictures."""
    if pictures is not None:
        return pictures
    if network.run is None:
        raise OptionError("no image was given; give images, or a run for the images that it recorded", code="O103")
    probe = network.run.batch("probe")
    images = np.asarray(pictures_of(network.run, probe))
    if not len(images):
        raise DataError(
            f"the run's probe inputs are {list(probe.images.shape[1:])}, and only pictures are inspected; "
            "reportgen build shows the activations that were recorded",
            code="D102",
        )
    names = numbered_names(len(images), probe.labels, network.run.classes)
    pixels = to_pixels(images, image_range(images))
    return [Picture(name, each) for name, each in zip(names, pixels, strict=True)]


def _fitted(
    network: LoadedNetwork,
    pictures: Sequence[Picture],
    recorded: Batch | None,
    preprocess: str | Callable[[np.ndarray], Any] | None,
    layers: Sequence[str],
    apply: Callable[[Any, Any, Any], Any] | None,
) -> tuple[tuple[Picture, ...], Preprocessor, np.ndarray, dict[str, Any], Capture]:
    """Pictures with as many channels as the network takes, and the network built for them.

    Where the network does not tell, the pictures' own channels are tried first, then the other kind.
    """
    own = max(picture.pixels.shape[2] for picture in pictures)
    tried = [network.channels] if network.channels is not None else [own, 4 - own]
    problems: list[ReportgenError] = []
    for channels in tried:
        try:
            fitting = with_channels(pictures, channels)
            preprocessor = preprocessing(network.preprocess if preprocess is None else preprocess, channels)
            if recorded is not None:
                preprocessor = Preprocessor(
                    _as_recorded, Preprocessing("as recorded", "as the run recorded them", preprocessor.stated.planes)
                )
            inputs = preprocessor.apply(stacked(fitting)) if recorded is None else np.asarray(recorded.images)
            if len(inputs.shape) != 4:
                raise DataError(
                    f"the preprocessing gives {list(inputs.shape)}; [image, height, width, channel] is shown",
                    code="D113",
                )
            model, variables = network.build(inputs.shape[1:])
            variables = on_this_process(variables)
            capture = _prepared(network, model, variables, inputs, apply, layers)
            return fitting, preprocessor, inputs, variables, capture
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


def _with_partners(network: Network, chosen: Sequence[str]) -> tuple[str, ...]:
    """The chosen paths and, for each, the other side of its activation function, in call order."""
    wanted = set(chosen)
    for layer in network.distinct:
        after = network.activation_of(layer)
        if after is not None and {layer.path, after.path} & set(chosen):
            wanted |= {layer.path, after.path}
    return tuple(path for path in network.layers if path in wanted)


def _not_finite(maps: Mapping[str, np.ndarray], chosen: Sequence[str]) -> tuple[str, ...]:
    broken = {path: int((~np.isfinite(maps[path])).sum()) for path in chosen}
    named = [f"{path} ({count:,} of {maps[path].size:,} values)" for path, count in broken.items() if count]
    if not named:
        return ()
    rest = len(named) - 3
    more = f" and {rest} more layer{'s' * (rest > 1)}" if rest > 0 else ""
    return (f"NaN or infinite activations in {', '.join(named[:3])}{more}; they are violet in the figures.",)
