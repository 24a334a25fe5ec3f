"""What a network is scored on: from its outputs, the targets and the inputs, or as the caller says.

    task, shape = task_of(capture, variables, Batch(100, images, labels), classes=None)

The rules, of which the first that fits counts:

1. labels [example] and one output [example, class]: classification, of as many classes as the output has; with an
   output [example] or [example, 1] and labels 0 and 1, of two classes
2. targets equal to the inputs and of an output's shape: reconstruction
3. targets of 0 and 1 of an output's shape: classification where each example has one 1, dense where there are
   positions, else multi-label
4. other targets of an output's shape: regression up to `MOST_VALUES` values per example that are no picture, else
   reconstruction
5. whole numbers [example, *position] and an output [example, *position, class]: next token where the inputs are tokens
   and the targets the inputs a place later, or there are more than `MOST_CLASSES` classes, else dense
6. inputs of tokens [example, time], an output [example, time, token] that depends on no later token: next token
7. an output of the inputs' shape, with positions or behind a narrower layer: reconstruction
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture, jitted
from reportgen.core.examples import leaves
from reportgen.core.outcome import MOST_CLASSES, Kind, Task
from reportgen.core.run import Batch
from reportgen.errors import OptionError, choices
from reportgen.evaluate.parts import Shape, like_an_input, named_leaves, token_leaf, unmasked

MOST_VALUES = 64
"""Values per example that are compared one by one; more are compared as a picture is."""


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    outputs   place in the model's output -> shape [example, ...]; complex and whole outputs are not among them
    inputs    place in the inputs -> array [example, ...]
    targets   [example, ...] or None
    classes   how many class names were given, None for none
    narrowest the fewest values per example of a layer
    causal    whether outputs depend on no later token; asked for only where that decides
    """

    outputs: Mapping[str, Shape]
    inputs: Mapping[str, np.ndarray]
    targets: np.ndarray | None
    classes: int | None
    narrowest: int
    causal: Callable[[], bool]


def task_of(
    capture: Capture, variables: Any, batch: Batch, classes: Sequence[str] | None, requested: Task | None = None
) -> tuple[Task, Shape]:
    """The task of a captured model on a batch, and the shape [example, ...] of the output that is scored.

    Raises OptionError where the requested task does not fit.
    """
    count = int(jax.tree.leaves(batch.inputs)[0].shape[0])
    few = jax.tree.map(lambda leaf: leaf[:2], batch.inputs)
    output = jax.eval_shape(capture.plain, variables, few)
    facts = Facts(
        outputs={
            name: (count, *leaf.shape[1:])
            for name, leaf in named_leaves(output).items()
            if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.shape[:1] == (min(count, 2),)
        },
        inputs={name: np.asarray(leaf) for name, leaf in leaves(batch.inputs).items()},
        targets=None if batch.targets is None else _flat_labels(np.asarray(batch.targets[:count])),
        classes=None if classes is None else len(classes),
        narrowest=min((math.prod(layer.shape) for layer in capture.network.distinct), default=0),
        causal=lambda: _is_causal(capture, variables, batch.inputs),
    )
    task = infer_task(facts, requested)
    return task, facts.outputs.get(task.output, ())


def scores_in(task: Task, shape: Shape) -> int:
    """How many classes an output of this shape has scores for; 0 for a task without classes."""
    if task.kind not in (Kind.CLASSIFICATION, Kind.DENSE, Kind.MULTILABEL):
        return 0
    single = is_single(shape) if task.kind is Kind.CLASSIFICATION else shape[-1] == 1 and task.kind is Kind.DENSE
    return 2 if single else shape[-1]


def _is_causal(capture: Capture, variables: Any, inputs: Any) -> bool:
    """Whether another last token changes outputs at its own place, and none before it."""
    named = leaves(inputs)
    tokens = token_leaf(named)
    assert tokens is not None
    real = np.asarray(unmasked(named, tokens.shape))
    longest = int(real.sum(axis=1).argmax())
    last = int(np.flatnonzero(real[longest]).max(initial=0))
    other = np.array(tokens[longest])
    other[last] = tokens[longest, 0] if tokens[longest, 0] != other[last] else (other[last] + 1) % (tokens.max() + 1)
    pair = jax.tree.map(lambda leaf: np.stack([leaf[longest], other if leaf is tokens else leaf[longest]]), inputs)
    outputs = named_leaves(jitted(capture.plain)(variables, pair))
    found = [np.asarray(leaf, np.float32) for leaf in outputs.values() if leaf.shape[:2] == (2, tokens.shape[1])]
    differs = [
        ~np.isclose(one[0], one[1], rtol=1e-4, atol=1e-5).reshape(tokens.shape[1], -1).all(axis=1) for one in found
    ]
    return bool(differs) and all(bool(at[last]) and not at[:last].any() for at in differs)


def infer_task(facts: Facts, requested: Task | None = None) -> Task:
    """The task, or the requested one with the output that it fits. Raises OptionError where that fits none."""
    if requested is not None:
        return _requested(facts, requested)
    ambiguous = ""
    for kind in _ORDER:
        fitting = [name for name, shape in facts.outputs.items() if _FITS[kind](facts, shape)]
        if len(chosen := _preferred(facts, kind, fitting)) == 1:
            return Task(kind, chosen[0])
        if fitting and not ambiguous:
            ambiguous = (
                f"several outputs fit the targets ({', '.join(map(repr, fitting))}); name the one to score: "
                f"task=reportgen.Task({str(kind)!r}, {fitting[0]!r})"
            )
    return Task(Kind.NONE, reason=ambiguous or _reason(facts))


def _requested(facts: Facts, task: Task) -> Task:
    if task.kind is Kind.NONE:
        return task
    if task.output and task.output not in facts.outputs:
        raise OptionError(
            f"the model has no output {task.output!r} to score; {choices(task.output, facts.outputs)}", code="C103"
        )
    outputs = {name: shape for name, shape in facts.outputs.items() if task.output in ("", name)}
    fitting = [name for name, shape in outputs.items() if _FITS[task.kind](facts, shape, asked=True)]
    chosen = _preferred(facts, task.kind, fitting)
    if len(chosen) == 1:
        return Task(task.kind, chosen[0])
    if fitting:
        raise OptionError(
            f"several outputs fit task={str(task.kind)!r}; name one: task=reportgen.Task({str(task.kind)!r}, "
            f"{fitting[0]!r}), or {', '.join(map(repr, fitting[1:]))}",
            code="C103",
        )
    given = "there are no targets" if facts.targets is None else f"the targets are {_typed(facts.targets)}"
    raise OptionError(f"task={str(task.kind)!r} does not fit: {given}, and the output is {_shapes(facts)}", code="C103")


def _preferred(facts: Facts, kind: Kind, fitting: list[str]) -> list[str]:
    """Of several outputs that fit, the one with exactly the classes that are known of, else one called "logits"."""
    if len(fitting) > 1 and kind is Kind.CLASSIFICATION and facts.targets is not None and facts.targets.ndim == 1:
        known = facts.classes or int(facts.targets.max()) + 1
        exact = [name for name in fitting if facts.outputs[name][-1] == known]
        fitting = exact or fitting
    named = [name for name in fitting if name.rpartition("/")[2] == "logits"]
    return named if len(named) == 1 else fitting


def _classification(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    targets = facts.targets
    if targets is None:
        return False
    if is_single(shape):
        known = asked or facts.classes == 2 or _differ(targets)
        return bool(targets.size == shape[0] and _binary(targets) and known)
    if len(shape) != 2:
        return False
    if targets.shape == shape:
        return bool(_binary(targets) and (targets.sum(axis=1) == 1).all())
    if targets.ndim != 1 or not _whole(targets) or targets.min(initial=0) < 0 or targets.max(initial=0) >= shape[1]:
        return False
    if asked:
        return facts.classes is None or facts.classes <= shape[1]
    return facts.classes == shape[1] if facts.classes is not None else _differ(targets)


def _multilabel(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    targets = facts.targets
    if targets is None or len(shape) != 2 or targets.shape != shape:
        return False
    return _binary(targets) and (asked or not _self(facts))


def _regression(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    targets = facts.targets
    if targets is None or not same_values(targets.shape, shape):
        return False
    few = len(shape) < 4 and math.prod(shape[1:]) <= MOST_VALUES
    return few and (asked or not (_whole_labels(targets) or _self(facts)))


def _dense(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    targets = facts.targets
    if targets is None or len(shape) < 3 or shape[-1] > MOST_CLASSES:
        return False
    if same_values(targets.shape, shape):  # one logit per position, or a one-hot target
        one_hot = shape[-1] > 1 and targets.shape == shape
        return _binary(targets) and (not one_hot or _one_hot(targets)) and (asked or not _self(facts))
    fits = targets.shape in (shape[:-1], (*shape[:-1], 1)) and _whole(targets)
    return fits and targets.max(initial=0) < shape[-1]


def _tokens(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    tokens = token_leaf(facts.inputs)
    if tokens is None or len(shape) != 3 or shape[:2] != tokens.shape or tokens.max(initial=0) >= shape[2]:
        return False
    targets = facts.targets
    if targets is None or targets.ndim != 2:
        return asked or facts.causal()
    asked = asked or shape[2] > MOST_CLASSES
    return targets.shape == shape[:2] and _whole(targets) and (asked or _shifted(tokens, targets))


def _reconstruction(facts: Facts, shape: Shape, asked: bool = False) -> bool:
    if facts.targets is not None and facts.targets.ndim > 1:
        return facts.targets.shape == shape
    alike = like_an_input(facts.inputs, shape) is not None
    return alike and (asked or len(shape) > 2 or facts.narrowest < math.prod(shape[1:]))


_FITS: Mapping[Kind, Callable[..., bool]] = {
    Kind.CLASSIFICATION: _classification,
    Kind.MULTILABEL: _multilabel,
    Kind.REGRESSION: _regression,
    Kind.DENSE: _dense,
    Kind.TOKENS: _tokens,
    Kind.RECONSTRUCTION: _reconstruction,
}
_ORDER = (Kind.CLASSIFICATION, Kind.TOKENS, Kind.DENSE, Kind.MULTILABEL, Kind.REGRESSION, Kind.RECONSTRUCTION)


def _reason(facts: Facts) -> str:
    """Why nothing is scored though there are targets, or tokens that might be predicted."""
    targets = facts.targets
    if beyond := _beyond(facts, "tokens", token_leaf(facts.inputs)) or _beyond(facts, "targets", targets):
        return beyond
    if targets is None:
        return ""
    if targets.ndim == 1 and _whole(targets) and not _differ(targets) and len(targets) > 1:
        return (
            f"all {len(targets):,} labels are {int(targets[0])}, so that there is nothing to tell apart "
            "(labels can be left out: evaluation=inputs)"
        )
    scores = [shape[1] for shape in facts.outputs.values() if len(shape) == 2]
    if targets.ndim == 1 and _whole(targets) and targets.min() > 0 and int(targets.max()) in scores:
        return f"the labels run from {targets.min()} to {targets.max()}; they are counted from 0: subtract 1"
    if targets.ndim == 1 and _whole(targets):
        known = facts.classes or int(targets.max()) + 1
        return f"the labels are of {known} classes, and the output is {_shapes(facts)}, not a score for each of them"
    too_many = any(len(shape) > 2 and shape[-1] > MOST_CLASSES for shape in facts.outputs.values())
    many = f"; classes of positions are compared up to {MOST_CLASSES:,}" * too_many
    cast = bool(scores) and targets.ndim == 1 and bool((targets == np.rint(targets)).all())
    said = " (labels are whole numbers: labels.astype(int))" * cast
    return f"the targets are {_typed(targets)}, and the output is {_shapes(facts)}{many}{said}"


def _beyond(facts: Facts, what: str, places: np.ndarray | None) -> str:
    """That whole numbers [example, *position] are larger than the one output with scores there knows, in words."""
    if places is None or places.ndim < 2 or not _whole(places):
        return ""
    scores = [shape for shape in facts.outputs.values() if shape[:-1] == places.shape]
    highest = int(places.max(initial=0))
    if len(scores) != 1 or highest < scores[0][-1]:
        return ""
    count = scores[0][-1]
    return f"the {what} go up to {highest:,}, and the output {list(scores[0])} has {count:,} scores, 0 to {count - 1:,}"


def _shapes(facts: Facts) -> str:
    shapes = [f"{f'{name}: ' if name else ''}{list(shape)}" for name, shape in facts.outputs.items()]
    return " and ".join(shapes) or "no array of real numbers"


def _typed(array: np.ndarray) -> str:
    return f"{list(array.shape)} of {array.dtype}"


def is_single(shape: Shape) -> bool:
    """Whether an output of this shape is one number per example."""
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def same_values(one: Shape, other: Shape) -> bool:
    """Whether two shapes are equal but for a last axis of 1 in one of them."""
    return one == other or one == (*other, 1) or (*one, 1) == other


def _whole(targets: np.ndarray) -> bool:
    return bool(np.issubdtype(targets.dtype, np.integer) or targets.dtype == bool)


def _whole_labels(targets: np.ndarray) -> bool:
    return targets.ndim == 1 and _whole(targets)


def _flat_labels(targets: np.ndarray) -> np.ndarray:
    """Whole numbers [example, 1] as labels [example]; other targets as they are."""
    return targets[:, 0] if targets.shape[1:] == (1,) and np.issubdtype(targets.dtype, np.integer) else targets


def _binary(targets: np.ndarray) -> bool:
    return bool(np.isin(targets, (0, 1)).all())


def _one_hot(targets: np.ndarray) -> bool:
    return bool((targets.sum(axis=-1) == 1).all())


def _differ(targets: np.ndarray) -> bool:
    """Whether the labels are not all one; a single example has nothing to differ from."""
    return len(targets) < 2 or bool((targets != targets.flat[0]).any())


def _self(facts: Facts) -> bool:
    """Whether the targets are an input again."""
    targets = facts.targets
    return targets is not None and any(np.array_equal(leaf, targets) for leaf in facts.inputs.values())


def _shifted(tokens: np.ndarray, targets: np.ndarray) -> bool:
    """Whether the targets are the tokens one place later, where they are not negative."""
    later, next_tokens = targets[:, :-1], tokens[:, 1:]
    counted = later >= 0
    return bool(counted.any() and (later == next_tokens)[counted].mean() > 0.5)
