"""The loss around the way that a training took: on the plane of its two largest directions, and on a straight line.

    run = landscape("runs/lenet")                                     # of `reportgen train`: model and data are known
    run = landscape("runs/mine", model=MyNet(), data=(x, y))

The result becomes part of the run, and its page has a section on it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from reportgen.analysis.trajectory import Plane, gram, plane_of
from reportgen.capture import own_modes
from reportgen.core.arguments import count
from reportgen.core.landscape import Landscape
from reportgen.core.paths import named_path, naming
from reportgen.core.progress import Bar
from reportgen.core.run import Batch, Run
from reportgen.data import Dataset, load_dataset
from reportgen.errors import DataError, OptionError, RunError, expect
from reportgen.inspection.network import initial_variables, nested, recorded_variables
from reportgen.models import MODELS
from reportgen.models import build as build_model
from reportgen.record.batches import batch_of, examples
from reportgen.store import open_run
from reportgen.store.landscape import write_landscape
from reportgen.training.config import REQUIRED
from reportgen.training.landscape_loss import Loss
from reportgen.weights import load_into

STATES = 50
"""Snapshots that the plane is laid through, at most: evenly chosen, the first and the last among them."""

EXAMPLES = 1000
"""Examples of a dataset or of a run that the loss is the mean over: the first ones."""

MARGIN = 0.25
"""How far the plane is looked at beyond the path, as a share of the path's extent; the line beyond its ends."""

BLOCK = 1 << 20
"""Values of a parameter that are compared between states at once."""


@own_modes()
def landscape(
    path: str | Path,
    *,
    model: Any = None,
    dataset: Dataset | None = None,
    data: Any = None,
    apply: Callable[[Any, Any, Any], Any] | None = None,
    between: tuple[int, int] | None = None,
    points: int = 17,
    progress: bool = False,
) -> Run:
    """Compute the loss around the way of the training recorded at `path`, write it into the run, and return the run.

    model      a name, MODULE:FACTORY, a Linen or NNX module, or a function `apply(params, inputs)`; default: what the
               run's name for it builds
    dataset    what `reportgen train` trained on, where its name alone does not find it: the loss is of the first 1,000
               training images
    data       (inputs, targets) as the model takes them, to take the loss of; default: the training images of a run
               of `reportgen train`, else the first 1,000 evaluation examples, which the run holds
    apply      (model, variables, inputs) -> output, for a model that needs more arguments
    between    the steps of the two snapshots that the line joins; default: the first and the last
    points     along each side of the plane, which is looked at in points x points places

    The plane goes through the last snapshot along the two largest principal directions of at most 50 snapshots. Where
    the network has batch statistics, they are estimated anew at each point from the same examples. The loss is that of
    the task: cross-entropy, of classes or tokens, or mean squared error. Raises subclasses of ReportgenError, with the
    run as it was. Li et al., Visualizing the loss landscape of neural nets, NeurIPS 2018; Goodfellow, Vinyals and Saxe,
    Qualitatively characterizing neural network optimization problems, ICLR 2015.
    """
    path, points = named_path(path), count("points", points, 3)
    expect("dataset", dataset, Dataset | None, "a Dataset, as reportgen.load_dataset returns it")
    run = open_run(path)
    if run.kind != "training":
        raise RunError(f"{path} holds one state of a network: a landscape is of a training", code="R108")
    with naming(path, run.path):
        found = _computed(run, model, dataset, data, apply, between, points, progress)
    write_landscape(path, found)
    return replace(run, landscape=found)


def _computed(
    run: Run,
    model: Any,
    dataset: Dataset | None,
    data: Any,
    apply: Callable[[Any, Any, Any], Any] | None,
    between: tuple[int, int] | None,
    points: int,
    progress: bool,
) -> Landscape:
    steps = _evenly(list(run.snapshots))
    first, last = _ends(run, between)
    batch, part = _examples(run, dataset, data)
    states = _States(run, _model(run, model, batch), batch)
    measure = Loss(run, states.model, apply, batch, states.variables(steps[-1]))
    plane = _plane(states, steps)
    one, other = (states.direction(steps, weights) for weights in plane.weights)
    x, y = _around(plane.path, points)
    along = np.linspace(-MARGIN, 1 + MARGIN, 31)
    line = states.direction([first, last], np.array([-1.0, 1.0]))
    with Bar("landscape", x.size * y.size + along.size + len(steps), "point", shown=progress) as bar:

        def loss(params: Any, across: float = 0.0, up: float = 0.0, right: Any = one, upward: Any = other) -> float:
            found = measure(_moved(params, right, upward, across, up))
            bar.advance()
            return found

        origin, start = states.params(steps[-1]), states.params(first)
        grid = np.array([[loss(origin, a, b) for a in x] for b in y])
        on_line = np.array([loss(start, a, right=line) for a in along])
        own = np.array([loss(states.params(step)) for step in steps])
    return Landscape(
        steps=np.array(steps, np.int64),
        path=plane.path,
        distances=plane.distances,
        shares=plane.shares,
        state_loss=own,
        x=x,
        y=y,
        loss=grid,
        between=(first, last),
        along=along,
        line_loss=on_line,
        measure=measure.name,
        examples=batch.size,
        part=part,
        reestimated=measure.reestimates,
    )


def _evenly(steps: Sequence[int]) -> list[int]:
    """At most `STATES` of them, the first and the last among them."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(STATES, len(steps))).round().astype(int))
    return [steps[place] for place in places]


def _ends(run: Run, between: tuple[int, int] | None) -> tuple[int, int]:
    kept = list(run.snapshots)
    if between is None:
        return kept[0], kept[-1]
    expect("between", between, tuple | list, "a pair of steps, such as (0, 600)")
    if len(between) != 2 or between[0] == between[1]:
        raise OptionError(f"between must be two different steps, such as (0, {kept[-1]}); got {between}", code="O101")
    if missing := [step for step in between if step not in run.snapshots]:
        raise OptionError(f"no snapshot of step {missing[0]} was recorded in {run.path}", code="O104")
    return int(between[0]), int(between[1])


def _examples(run: Run, dataset: Dataset | None, data: Any) -> tuple[Batch, str]:
    """What the loss is the mean over, and what these examples are."""
    if data is not None and dataset is not None:
        raise OptionError("the loss is of a dataset or of data: give one of them", code="O103")
    if data is not None:
        return batch_of("data", data), "given"
    trained = not set(REQUIRED) - run.config.keys()
    if dataset is not None and not trained:
        raise OptionError(
            f"{run.path} was not made by `reportgen train`, and holds its own examples; leave the dataset out",
            code="O103",
        )
    if trained:
        found = load_dataset(str(run.config["dataset"])) if dataset is None else dataset
        if found.fingerprint != run.provenance.get("dataset_fingerprint"):
            raise DataError(f"{found.name} is not the data that {run.path} was trained on; give that", code="D115")
        images, labels = found.train_images[:EXAMPLES], found.train_labels[:EXAMPLES]
        return Batch(len(images), images, labels), "training"
    kept = run.batch("evaluation")
    held = 0 if kept.inputs is None else len(jax.tree.leaves(kept.inputs)[0])
    held = min(held, EXAMPLES, kept.size)
    if not held:
        raise DataError(f"{run.path} holds no evaluation inputs; give data=(inputs, targets)", code="C101")
    targets = None if kept.targets is None else np.asarray(kept.targets[:held])
    return Batch(held, jax.tree.map(np.asarray, examples(kept.inputs, held)), targets), "evaluation"


def _model(run: Run, model: Any, batch: Batch) -> Any:
    name = run.config.get("model", "") if model is None else model
    if not isinstance(name, str):
        return name
    if name not in MODELS and ":" not in name:
        raise RunError(
            f"{run.path} does not tell how to build its model, only its name {name!r}; "
            "give the model, by name or as MODULE:FACTORY",
            code="R108",
        )
    shape = np.shape(batch.inputs)[1:] if isinstance(batch.inputs, np.ndarray) else ()
    return build_model(name, len(run.classes), (shape[0], shape[1], shape[2]) if len(shape) == 3 else (28, 28, 1))


class _States:
    """The parameters of a run's snapshots, in the form that its model takes."""

    def __init__(self, run: Run, model: Any, batch: Batch):
        self.run, self.model = run, model
        self._expected: dict[str, Any] | None = None
        if isinstance(model, linen.Module | nnx.Module):
            self._expected = initial_variables(model, examples(batch.inputs, 2), name=run.network.name)

    def variables(self, step: int) -> dict[str, Any]:
        """All that the model reads, as it was after `step` updates."""
        return recorded_variables(self.run, step, self._expected)

    def params(self, step: int) -> Any:
        """The parameters alone."""
        only = None if self._expected is None else {"params": self._expected["params"]}
        return recorded_variables(self.run, step, only)["params"]

    def blocks(self, steps: Sequence[int]) -> Iterator[np.ndarray]:
        """[state, value] of a part of the parameters after another, those that are real numbers."""
        snapshots = [self.run.snapshots[step].params for step in steps]
        for name in snapshots[0]:
            arrays = [np.reshape(params[name], -1) for params in snapshots]
            if not _is_real(arrays[0]):
                continue
            for start in range(0, arrays[0].size, BLOCK):
                yield np.stack([array[start : start + BLOCK] for array in arrays]).astype(np.float64)

    def direction(self, steps: Sequence[int], weights: np.ndarray) -> Any:
        """The sum of the states' parameters by their weights."""
        total: dict[str, np.ndarray] = {}
        for step, weight in zip(steps, weights.tolist(), strict=True):
            for name, value in self.run.snapshots[step].params.items():
                part = weight * value.astype(np.float64) if _is_real(value) else np.zeros_like(value)
                total[name] = part + total[name] if name in total else part
        tree = {"params": nested({name: _narrow(value) for name, value in total.items()})}
        if self._expected is None:
            return tree["params"]
        wanted = {"params": self._expected["params"]}
        return load_into(tree, wanted, source="a direction of the parameters")["params"]


def _is_real(value: np.ndarray) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def _narrow(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float64 else value


def _plane(states: _States, steps: Sequence[int]) -> Plane:
    products = gram(states.blocks(steps))
    if not np.isfinite(products).all():
        raise RunError("the parameters of a snapshot are not finite: there is no plane through them", code="A102")
    plane = plane_of(products)
    if plane is None:
        raise RunError(
            f"the {len(steps)} snapshots of {states.run.path} lie on a line or do not move; a plane needs three that "
            "do not",
            code="A102",
        )
    return plane


def _around(path: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the places around the path; none of its sides is less than a third of the other."""
    low, high = path.min(axis=0), path.max(axis=0)
    half = (high - low) * (0.5 + MARGIN)
    half = np.maximum(half, half.max() / 3)
    middle = (low + high) / 2
    x, y = (np.linspace(m - h, m + h, points) for m, h in zip(middle, half, strict=True))
    return x, y


@jax.jit
def _moved(params: Any, one: Any, other: Any, across: float, up: float) -> Any:
    """The parameters moved so far in two directions."""

    def moved(value: Any, right: Any, upward: Any) -> Any:
        if not jnp.issubdtype(value.dtype, jnp.floating):
            return value
        return (value + across * right + up * upward).astype(value.dtype)

    return jax.tree.map(moved, params, one, other)
