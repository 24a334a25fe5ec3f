"""A model made ready for recording: its capture, the layer to embed, what run.json says of it.

prepared = prepare_model(model, variables, batches, classes, task, vocabulary, apply, keep, verify)
"""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from reportgen.capture import check_all, flat_names, prepare
from reportgen.core.examples import leaves
from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.core.outcome import Kind, Task
from reportgen.core.run import Batch, LayerVectors, Observation
from reportgen.errors import DataError, ModelError, choices, warn
from reportgen.evaluate import Observer, scores_in, task_of, token_leaf
from reportgen.record.batches import class_names, examples, first, scored, with_fingerprints
from reportgen.record.keep import Keep
from reportgen.record.trees import needed_collections
from reportgen.store import network_header

MAPS_BYTES = 64 << 20
"""Probe activations kept per recorded epoch, see `_fitting_maps`."""

COMPARED_SHARE = 0.02
"""Share of the run's size that layer vectors and fingerprints may take together."""

NAME_BYTES = 250
"""Bytes that a file needs for a tensor's name, place and checksum, at most for paths of usual length."""
MOST_TOKENS = 1 << 17
"""Tokens whose texts are kept."""

VERIFIED_EXAMPLES = 4
"""Probe examples that a verification looks at."""


@dataclass(frozen=True)
class Prepared:
    """A captured model with the batches that are kept, and how to observe it.

    `classes` are the names of the classes, `needed` the collections that the model reads in evaluation. `header` is
    what run.json says of the network, `provenance` what is known of its capture.
    """

    batches: Mapping[str, Batch]
    classes: list[str]
    observe: Observer
    needed: Set[str]
    header: Mapping[str, Any]
    provenance: Mapping[str, Any]


def prepare_model(
    model: Any,
    variables: Any,
    batches: Mapping[str, Batch],
    classes: Sequence[str] | None,
    task: Task | None,
    vocabulary: Sequence[str] | Callable[[int], str] | None,
    apply: Callable[[Any, Any, Any], Any] | None,
    keep: Keep,
    verify: bool,
) -> Prepared:
    """Trace the model. Raises ModelError when it can't be called, or for a layer that it does not have."""
    whole = batches["probe"]
    example = examples(whole.inputs, 1)
    capture = prepare(model, variables, example, apply=apply, layers=keep.layers)
    count, mapped, halved = _fitting_maps([capture.network.layers[path] for path in capture.selected], whole.size)
    batches = {**(with_fingerprints(batches) if keep.compare else batches), "probe": first(whole, count)}
    task, shape = task_of(capture, variables, batches.get("evaluation", whole), classes, task)
    batches = {name: scored(batch, task, shape) for name, batch in batches.items()}
    names = class_names(classes, batches, scores_in(task, shape))
    of_tokens = token_leaf(leaves(whole.inputs)) is not None
    embed = _embedding_layer(capture.network, keep.embed, task, of_tokens) if "embedding" in batches else None
    if embed is not None and embed not in capture.selected:
        capture = replace(capture, selected=(*capture.selected, embed))
    provenance: dict[str, Any] = {}
    if capture.forward.flax_capture_error:
        provenance["flax_capture_not_used"] = capture.forward.flax_capture_error
    if halved:
        missing = [path for path in capture.selected if path not in mapped]
        left_out = f", without {', '.join(missing)}" if missing else ""
        provenance["probe_kept"] = (
            f"{count} of {whole.size}, as float16{left_out}: at most {MAPS_BYTES >> 20} MiB of activations an epoch"
        )
    if verify:
        verification = check_all(capture, variables, examples(whole.inputs, VERIFIED_EXAMPLES))
        provenance |= verification.facts
        if not verification:
            failed = "; ".join(f"{path} {text}" for path, text in verification.failed.items())
            warn(f"{verification}: {failed}", code="M202")
    labelled = len(batches.get("evaluation", Batch()).labels) > 0
    counted = len(names) if labelled or scores_in(task, shape) else 0
    observe = Observer(
        capture, batches, task, counted, embed, top=keep.top, mapped=mapped, halved=halved, loss=keep.loss
    )
    header = {
        **network_header(capture.network, embed),
        "task": asdict(task),
        "vocabulary": _texts(vocabulary, shape[-1] if task.kind is Kind.TOKENS else _tokens_seen(batches)),
        "notes": [*_notes(task, batches.get("evaluation", whole), classes, names), *_narrowed(variables)],
    }
    needed = needed_collections(capture, variables, example)
    return Prepared(batches, names, observe, needed, header, provenance)


def _tokens_seen(batches: Mapping[str, Batch]) -> int:
    """One more than the highest token among the inputs that are held; 0 where they are no tokens."""
    found = [token_leaf(leaves(batch.inputs)) for batch in batches.values()]
    return max((int(tokens.max(initial=-1)) + 1 for tokens in found if tokens is not None), default=0)


def _texts(vocabulary: Sequence[str] | Callable[[int], str] | None, tokens: int) -> list[str]:
    """The text of each token; none where there is no vocabulary, or the network takes and gives no tokens."""
    if vocabulary is None or not tokens:
        return []
    if callable(vocabulary):
        return [str(vocabulary(token)) for token in range(min(tokens, MOST_TOKENS))]
    if len(vocabulary) < tokens:
        raise DataError(f"vocabulary has {len(vocabulary):,} texts for the network's {tokens:,} tokens", code="C103")
    return [str(text) for text in vocabulary[: min(tokens, MOST_TOKENS)]]


def _notes(task: Task, batch: Batch, classes: Sequence[str] | None, names: Sequence[str]) -> list[str]:
    """What a reader must know about what is scored; the caller is warned where labels are given and nothing is.

    Raises DataError for other targets of which nothing is.
    """
    if task.reason:
        if batch.targets is not None and not len(batch.labels):
            raise DataError(f"{task.reason}; leave the targets out, or name the task (task=...)", code="C103")
        text = f"{'Nothing is scored' if batch.targets is None else 'No accuracy is measured'}: {task.reason}"
        warn(f"{text}; the task can be named (task=...)", code="C201")
        return [f"{text}."]
    highest = int(batch.labels.max(initial=-1))
    if task.kind is Kind.CLASSIFICATION and classes is None and highest + 1 < len(names):
        return [
            f"The output's {len(names)} numbers are taken for scores of {len(names)} classes, of which the labels have "
            f"0 to {highest}."
        ]
    return []


def _narrowed(variables: Mapping[str, Any]) -> list[str]:
    """What a reader must know about numbers that are kept with fewer digits than they have; the caller is warned."""
    named = {f"{kind}/{name}": leaf for kind, tree in variables.items() for name, leaf in flat_names(tree).items()}
    wide = [name for name, leaf in named.items() if getattr(leaf, "dtype", None) == np.complex128]
    if not wide:
        return []
    more = f" and {len(wide) - 1:,} more are" if len(wide) > 1 else " is"
    text = f"{wide[0]}{more} kept as complex64, of complex128: with about seven digits"
    warn(text, code="C205")
    return [f"{text}."]


def fitting(observation: Observation, size: int, taken: int) -> Observation:
    """The observation with as many examples' layer vectors as fit into `COMPARED_SHARE` of a run of `size` bytes,
    of which fingerprints have `taken` some."""
    vectors = observation.layer_vectors
    if vectors is None:
        return observation
    each = 8 + sum(array[:1].nbytes for array in vectors.vectors.values())
    room = int(COMPARED_SHARE * (size - taken)) - taken - NAME_BYTES * (len(vectors.vectors) + 2)
    count = room // each
    if count < 1:
        return replace(observation, layer_vectors=None)
    cut = {path: array[:count] for path, array in vectors.vectors.items()}
    return replace(observation, layer_vectors=LayerVectors(vectors.examples[:count], cut))


def _embedding_layer(network: Network, path: str | None, task: Task, of_tokens: bool) -> str | None:
    """The layer to embed: the one of that path, else the last one whose values the output is made of alone.

    It gives a vector for each example, or of a network of tokens for each place, and a layer with parameters follows.
    Of a network that gives its inputs again it is the narrowest of these.
    """
    named = network.layers
    if path is not None:
        if path not in named:
            raise ModelError(f"there is no layer {path!r} to embed; {choices(path, named)}", code="M105")
        return named[path].alias_of or path
    order = [layer for layer in network.distinct if layer.role is not Role.BLOCK]
    weighted = [i for i, layer in enumerate(order) if layer.parameters]
    before = order[: weighted[-1]] if weighted else []
    needed = _needed(network)
    vectors = [layer for layer in before if len(layer.shape) == 1 and layer.path in needed]
    if not vectors and of_tokens:
        vectors = [layer for layer in before if layer.axes == ("t", "channel") and layer.path in needed]
    if not vectors:
        vectors = [layer for layer in before if len(layer.shape) == 1]
    if task.kind is Kind.RECONSTRUCTION and vectors:
        return min(reversed(vectors), key=lambda layer: layer.channels).path
    return vectors[-1].path if vectors else None


def _needed(network: Network) -> frozenset[str]:
    """The layers through which all goes from the input to the output: a branch beside others is not among them."""
    through: dict[str, frozenset[str] | None] = {INPUT: frozenset()}
    for layer in network.layers.values():
        # None: follows from constants alone, which no input has to pass.
        sources = [found for path in layer.inputs if (found := through.get(path)) is not None]
        passed = frozenset.intersection(*sources) if sources else None
        known = through.get(layer.alias_of) if layer.alias_of else passed
        through[layer.path] = known if layer.alias_of or known is None else known | {layer.path}
    last = list(network.layers)[-1:]
    return (through.get(last[0]) if last else None) or frozenset()


def _fitting_maps(layers: Sequence[Layer], probe: int) -> tuple[int, list[str], bool]:
    """How many probe examples' maps are kept, of which layers, and whether as float16, to fit `MAPS_BYTES`.

    Where float32 is too large for all, float16 is kept; where that is, of as many examples as fit, one at least; and
    of one that does not fit, the layers with the most values are left out.
    """
    sizes = {layer.path: math.prod(layer.shape) for layer in layers}
    each = max(sum(sizes.values()), 1)
    if probe * each * 4 <= MAPS_BYTES:
        return probe, list(sizes), False
    while len(sizes) > 1 and 2 * sum(sizes.values()) > MAPS_BYTES:
        del sizes[max(sizes, key=sizes.__getitem__)]
    return max(1, min(probe, MAPS_BYTES // (2 * max(sum(sizes.values()), 1)))), list(sizes), True
