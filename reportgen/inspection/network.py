"""The network to look into, and its parameters: from weights, from a run, or as a user hands them over.

    network = from_model("squeezenet", weights="squeezenet1_1_notop.safetensors")
    network = from_run("runs/a", step=40)
    model, variables = network.build((227, 227, 3))

A model is built only when the images are known: NNX modules need their size, and Linen's parameters are
checked against what the model would make for them.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.capture import variables_of
from reportgen.capture.linen import evaluation_arguments
from reportgen.core.run import Run
from reportgen.errors import ModelError, OptionError, ReportgenError, RunError, WeightsError, reason_of
from reportgen.models import MODELS
from reportgen.models import build as build_model
from reportgen.store import open_run
from reportgen.weights import Match, load_into, match, open_tree
from reportgen.weights.tree import flatten

PREPROCESS_OF = {"squeezenet": "caffe"}
"""Built-in models whose known weights were trained on something else than pixels from 0 to 1."""

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network that can be built. `build(image shape)` gives (model, variables) or raises ModelError,
    WeightsError or OptionError.

    `matched` has, once it was built from weights, how their names became the model's.
    `channels` is how many the images must have, None where only trying tells; `image_shape` that of the
    images it was trained on, None where that is not known; `classes` the names of its outputs, () likewise.
    """

    name: str
    source: str
    build: Callable[[Shape], tuple[Any, dict[str, Any]]]
    preprocess: str = "unit"
    channels: int | None = None
    image_shape: Shape | None = None
    classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    run: Run | None = None
    step: int = 0
    matched: Sequence[Match] = ()


def from_model(
    model: Any,
    *,
    weights: str | Path | None = None,
    variables: Any = None,
    rename: Sequence[str] = (),
    layout: str = "hwio",
    key: str | None = None,
    framework: str = "flax",
    step: int | None = None,
    num_classes: int | None = None,
) -> LoadedNetwork:
    """A network by its name, MODULE:FACTORY, or as a Linen or NNX module.

    `weights` is a checkpoint (`weights.open_tree`; `step` one of an Orbax folder's, `rename`, `layout`, `key` and
    `framework` as for `weights.match`), `variables` what a capture of the module takes; an NNX module brings its own.
    Without either, parameters are random, and the page warns of it. `num_classes` is tried where the model's
    own number of classes does not fit the weights; then, the sizes in the weights are.
    """
    if weights is not None and variables is not None:
        raise OptionError("parameters come from weights or from variables; give one of them", code="O103")
    if weights is None and (rename or layout != "hwio" or key is not None or framework != "flax"):
        raise OptionError(
            "--rename, --layout, --key and --from say how weights are read: give --weights too", code="O103"
        )
    if step is not None and weights is None:
        raise OptionError(
            "a step chooses among those of a run, or of a folder of weights: give one of these too", code="O103"
        )
    tree = None if weights is None else open_tree(weights, step)
    matched: list[Match] = []
    name = model if isinstance(model, str) else type(model).__name__
    source, warnings = _words(model, weights, variables)

    def make(shape: Shape, classes: int | None = num_classes) -> tuple[Any, dict[str, Any]]:
        made = build_model(model, classes, shape) if isinstance(model, str) else model
        if variables is not None:
            return made, variables_of(made, variables)
        start = initial_variables(made, np.zeros((2, *shape), np.float32), name=name, values=tree is None)
        if tree is None:
            return made, start
        how: dict[str, Any] = {"rename": rename, "layout": layout, "key": key, "framework": framework}
        matched[:] = [match(tree, start, source=source, **how)]
        return made, matched[0].read()

    def make_fitting(shape: Shape) -> tuple[Any, dict[str, Any]]:
        # Weights decide the number of classes: the model's own, that of the labelled images, or one of their sizes.
        problems: list[ReportgenError] = []
        for classes in dict.fromkeys((None, num_classes, *(_sizes(tree) if isinstance(model, str) else ()))):
            try:
                return make(shape, classes)
            except ReportgenError as problem:
                problems.append(problem)
        if num_classes is not None:
            raise problems[1]
        raise next((each for each in problems if isinstance(each, WeightsError)), problems[0])

    if tree is not None:
        usual = PREPROCESS_OF.get(name, "unit")
        return LoadedNetwork(name, source, make_fitting, usual, warnings=warnings, matched=matched)
    return LoadedNetwork(name, source, make, PREPROCESS_OF.get(name, "unit"), warnings=warnings)


def _sizes(tree: Any) -> list[int]:
    """The sizes of the vectors and matrices in a checkpoint, the last ones first: one is the number of outputs."""
    shapes = [tuple(np.shape(leaf)) for leaf in reversed(flatten(tree).values())]
    return list(dict.fromkeys(size for shape in shapes if len(shape) in (1, 2) for size in reversed(shape)))


def _words(model: Any, weights: str | Path | None, variables: Any) -> tuple[str, tuple[str, ...]]:
    if weights is not None:
        return Path(weights).name, ()
    if variables is not None or _is_nnx(model):
        return "the parameters handed over", ()
    return "random initial values (seed 0)", (
        "No weights were given: the parameters are random initial values (seed 0), and nothing here was learned.",
    )


def from_run(path: str | Path, *, step: int | None = None, model: Any = None) -> LoadedNetwork:
    """The network of a recorded run after `step` updates (default: the last kept).

    `model` builds it where the run's own name for it does not. Raises RunError or OptionError.
    """
    run = open_run(path)
    recorded = list(run.snapshots)
    at = recorded[-1] if step is None else step
    if at not in run.snapshots:
        raise OptionError(f"no snapshot of step {at} was recorded in {path}; recorded: {_short(recorded)}", code="O104")
    name = str(run.config.get("model", "")) if model is None else model
    if isinstance(name, str) and name not in MODELS and ":" not in name:
        raise RunError(
            f"{path} does not tell how to build its model, only its name {name!r}; "
            "give the model, by name or as MODULE:FACTORY",
            code="R108",
        )
    images = run.batch("probe").images
    shape = (*images.shape[1:], 1)[:3] if len(images.shape) in (3, 4) else None

    def make(image_shape: Shape) -> tuple[Any, dict[str, Any]]:
        made = build_model(name, len(run.classes), image_shape) if isinstance(name, str) else name
        start = initial_variables(made, np.zeros((2, *image_shape), np.float32), name=str(name))
        return made, recorded_variables(run, at, start)

    return LoadedNetwork(
        name if isinstance(name, str) else type(name).__name__,
        f"the parameters of run {Path(path).name!r} at step {at}",
        make,
        channels=None if shape is None else shape[2],
        image_shape=shape,
        classes=run.classes,
        run=run,
        step=at,
    )


def recorded_variables(run: Run, step: int, expected: Mapping[str, Any] | None) -> dict[str, Any]:
    """The variables that were kept at `step`, in the form of `expected`, those that the model starts with.

    None for a model that does not tell. Raises OptionError where one that it needs was not kept, WeightsError where
    they do not fit.
    """
    kept = run.snapshots[step].variables
    if expected is None:
        return {kind: nested(named) for kind, named in kept.items()}
    if missing := expected.keys() - kept.keys() - {"params"}:
        raise OptionError(_not_there(run, step, missing), code="O104")
    tree = {kind: nested(named) for kind, named in kept.items() if kind in expected}
    return dict(load_into(tree, expected, source=f"the parameters of step {step}"))


def _short(steps: Sequence[int], most: int = 12) -> str:
    listed = ", ".join(map(str, steps[: most - 1] if len(steps) > most else steps))
    return f"{listed}, ... {steps[-1]} ({len(steps)} in all)" if len(steps) > most else listed


def _not_there(run: Run, step: int, missing: Set[str]) -> str:
    """The message for a step that was recorded without the model's batch statistics and the like."""
    having = [at for at, snapshot in run.snapshots.items() if missing <= snapshot.variables.keys()]
    where = f"choose one of {_short(having)}" if having else "they were recorded at no step"
    return f"{', '.join(sorted(missing))} of the model were not recorded at step {step}; {where}"


def nested(flat: Mapping[str, np.ndarray]) -> Any:
    """Arrays by their names ("conv1/kernel") as the tree that they are of."""
    from flax.traverse_util import unflatten_dict

    if flat.keys() == {""}:  # a collection that is one array
        return flat[""]
    return unflatten_dict(dict(flat), sep="/")


def _is_nnx(model: Any) -> bool:
    from flax import nnx

    return isinstance(model, nnx.Module)


def initial_variables(model: Any, example: Any, *, name: str = "", values: bool = False) -> dict[str, Any]:
    """The variables that the model starts with for such inputs; only shapes unless `values`.

    Raises ModelError where it can't take them.
    """
    import jax

    if _is_nnx(model):
        return variables_of(model)
    arguments = evaluation_arguments(type(model).__call__)

    def init(inputs: Any) -> Any:
        return model.init(jax.random.key(0), inputs, **arguments)

    try:
        return dict(jax.jit(init)(example) if values else jax.eval_shape(init, example))
    except ReportgenError:
        raise
    except Exception as problem:  # whatever the user's model, Flax and jax raise
        shape = jax.tree.leaves(example)[0].shape[1:]
        raise cannot_take(name or type(model).__name__, shape, problem) from problem


def cannot_take(name: str, shape: Sequence[int], problem: Exception) -> ModelError:
    """The error for a model that fails on images of that shape."""
    size = "x".join(map(str, shape))
    return ModelError(
        f"{name} can't take images of {size} (height, width, channels): {reason_of(problem)}", code="M104"
    )
