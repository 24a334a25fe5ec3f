"""The logit lens: what a network would predict if its output layer read the residual stream after an earlier block.

stream = stream_of(network)                        # None where the output layer reads no sum of blocks
read = readout(stream, params, maps)               # None where its parts do not give what the network gave
logits = read(maps["block_0/add"])                 # [..., token]

nostalgebraist, interpreting GPT: the logit lens, 2020.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reportgen.core.network import Layer, Network, Role
from reportgen.core.numbers import PART

CLOSE = 0.01
"""How far from the recorded values, as a share of the largest, the parts may be: those may be of half precision."""

CHECKED = 400_000
"""Recorded outputs that are compared with what the parts give, at most: those of evenly spaced positions."""

BLOCK = 4096
"""Tokens whose logits are computed at once: those of a large vocabulary are never all in memory."""

EPSILONS = (1e-6, 1e-5, 1e-8, 1e-12)


@dataclass(frozen=True)
class Stream:
    """The sums that make up the residual stream, in call order; the last one's normalisation, if any; the head.

    A sum inside a loop over blocks has a first axis of iterations.
    """

    sums: tuple[Layer, ...]
    norm: Layer | None
    head: Layer
    holder: Layer
    """The layer that has the head's parameters: itself, or the embedding whose table it is."""


def stream_of(network: Network) -> Stream | None:
    """The stream, where the output is one dense layer, or the embedding's table again, on a sum of blocks.

    The sums are followed backwards from what the head, or the normalisation before it, reads: of the values that a sum
    adds, the first computed is the stream and the others are what a block adds to it. All are of the width that the
    head reads. At least two sums, else None.
    """
    if not network.distinct:
        return None
    head = network.distinct[-1]
    holder = network.layers.get(head.tied_to or head.path, head)
    if len(head.shape) != 2 or not (head.role is Role.DENSE or head.op == "attend") or head.reads is None:
        return None
    last = network.layers[head.reads]
    norm = last if last.role is Role.NORM or any(name.endswith("/scale") for name in last.params) else None
    if norm is not None:
        inputs = [x for x in _inputs(network, norm) if x.shape[-2:] == norm.shape]
        if len(inputs) != 1:
            return None
        last = inputs[0]
    size = (norm or last).shape[-2:]
    order = {path: place for place, path in enumerate(network.layers)}
    sums: list[Layer] = []
    while last.op == "add" and last.shape[-2:] == size and size[0] == head.shape[0] and last not in sums:
        sums.append(last)
        added = [x for x in _inputs(network, last) if x.shape[-2:] == size]
        if not added:
            break
        last = min(added, key=lambda layer: order[layer.path])
    return Stream(tuple(reversed(sums)), norm, head, holder) if len(sums) >= 2 else None


def _inputs(network: Network, layer: Layer) -> list[Layer]:
    return [network.layers[path] for path in layer.inputs if path in network.layers]


@dataclass(frozen=True)
class Readout:
    """Normalisation and output layer of a network, as plain arrays."""

    kernel: np.ndarray
    bias: np.ndarray | None
    centred: bool | None
    """Whether the normalisation subtracts the mean; None without one."""
    epsilon: float
    scale: np.ndarray | None
    shift: np.ndarray | None

    def normed(self, values: np.ndarray) -> np.ndarray:
        """What the head reads of the stream's [..., channel]."""
        if self.centred is None:
            return values
        if self.centred:
            values = values - values.mean(axis=-1, keepdims=True)
        values = values / np.sqrt(np.square(values).mean(axis=-1, keepdims=True) + self.epsilon)
        values = values if self.scale is None else values * self.scale
        return values if self.shift is None else values + self.shift

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Logits [..., token] of the stream's [..., channel]."""
        return np.concatenate([logits for _, logits in self.by_block(values)], axis=-1)

    def by_block(self, values: np.ndarray, normed: bool = False) -> Iterator[tuple[int, np.ndarray]]:
        """(first token, logits [..., token]) of some tokens after the other, in the kernel's type."""
        values = np.asarray(values, np.float64)
        read = (values if normed else self.normed(values)).astype(self.kernel.dtype)
        for first in range(0, self.kernel.shape[1], BLOCK):
            logits = read @ self.kernel[:, first : first + BLOCK]
            yield first, logits if self.bias is None else logits + self.bias[first : first + BLOCK]


def readout(stream: Stream, params: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray]) -> Readout | None:
    """The network's own normalisation and output layer; None unless they give, of the last sum, its recorded output.

    Mean, epsilon and an offset of the scale by one (Gemma) are those that do best.
    """
    parts = (stream.sums[-1], stream.head)
    if any(layer.path not in maps for layer in parts):
        return None
    kernel, bias = _param(stream.holder, params, "kernel"), _param(stream.head, params, "bias")
    if kernel is None and (table := _param(stream.holder, params, "embedding")) is not None:
        kernel = table.T
    last, given = (np.asarray(maps[layer.path]) for layer in parts)
    last = last[:, -1] if last.ndim == 4 else last
    if kernel is None or kernel.shape != (last.shape[-1], given.shape[-1]):
        return None
    rows = last.reshape(-1, last.shape[-1]), given.reshape(-1, given.shape[-1])
    few = np.linspace(0, len(rows[1]) - 1, max(1, min(len(rows[1]), CHECKED // given.shape[-1]))).astype(int)
    last, given = (each[few].astype(np.float64) for each in rows)
    known = np.isfinite(given)
    if not known.any():
        return None

    candidates = list(_candidates(stream, params, kernel, bias))
    # All at once, as a large kernel takes longer to read than to multiply with.
    read = np.concatenate([each.normed(last) for each in candidates])
    apart = np.zeros(len(candidates))
    for first, logits in candidates[0].by_block(read, normed=True):
        block = slice(first, first + logits.shape[-1])
        off = np.abs(logits.reshape(len(candidates), *given[:, block].shape) - given[:, block])
        apart = np.maximum(apart, off.max(axis=(1, 2), where=known[:, block], initial=0.0))
    best = int(apart.argmin())
    return candidates[best] if apart[best] <= CLOSE * np.abs(given[known]).max() else None


def _candidates(
    stream: Stream, params: Mapping[str, np.ndarray], kernel: np.ndarray, bias: np.ndarray | None
) -> Iterator[Readout]:
    if stream.norm is None:
        yield Readout(kernel, bias, None, 0.0, None, None)
        return
    scale, shift = (_param(stream.norm, params, name) for name in ("scale", "bias"))
    for centred in (True, False):
        for epsilon in EPSILONS:
            for offset in (0.0, 1.0) if scale is not None else (0.0,):
                moved = None if scale is None else scale + offset
                yield Readout(kernel, bias, centred, epsilon, moved, shift)


def _param(layer: Layer, params: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    """In float64; a large one of four bytes or fewer in float32."""
    found = [each for each in layer.params if each.rpartition("/")[2] == name and each in params]
    if len(found) != 1:
        return None
    values = np.asarray(params[found[0]])
    return values.astype(np.float32 if values.size > PART and values.itemsize <= 4 else np.float64, copy=False)


def states(stream: Stream, maps: Mapping[str, np.ndarray]) -> Iterator[tuple[Layer, int | None, np.ndarray]]:
    """(sum, iteration, [example, position, channel]) in the order of computation; those of a loop turn by turn."""
    waiting: list[Layer] = []
    for layer in (*stream.sums, None):
        if waiting and (layer is None or len(layer.shape) == 2 or layer.shape[0] != waiting[0].shape[0]):
            for turn in range(waiting[0].shape[0]):
                for each in waiting:
                    yield each, turn, np.asarray(maps[each.path])[:, turn]
            waiting = []
        if layer is not None and len(layer.shape) == 2:
            yield layer, None, np.asarray(maps[layer.path])
        elif layer is not None:
            waiting.append(layer)


@dataclass(frozen=True)
class Predictions:
    """What is predicted at each position, from [..., token] logits.

    best         [...] int64: the likeliest token
    probability  [...] float64: its probability, from 0 to 1
    surprise     [...] float64: nats at the tokens asked for
    """

    best: np.ndarray
    probability: np.ndarray
    surprise: np.ndarray


def predictions(blocks: Iterable[tuple[int, np.ndarray]], wanted: np.ndarray) -> Predictions:
    """The predictions of logits [..., token] in blocks, each after its first token, and how surprising `wanted` [...]
    are."""
    best, most = np.zeros(wanted.shape, np.int64), np.full(wanted.shape, -np.inf)
    total, asked = np.zeros(wanted.shape), np.full(wanted.shape, np.nan)
    for first, logits in blocks:
        likeliest = logits.argmax(axis=-1)
        high = np.take_along_axis(logits, likeliest[..., None], axis=-1)[..., 0].astype(np.float64)
        above = np.maximum(most, high)
        with np.errstate(invalid="ignore"):  # a logit that is not finite makes its position's numbers NaN
            within = np.exp(logits - above[..., None].astype(logits.dtype)).sum(axis=-1, dtype=np.float64)
            total = total * np.exp(most - above) + within
        best = np.where(high > most, first + likeliest, best)
        most = above
        there = (wanted >= first) & (wanted < first + logits.shape[-1])
        place = np.clip(wanted - first, 0, logits.shape[-1] - 1)[..., None]
        asked = np.where(there, np.take_along_axis(logits, place, axis=-1)[..., 0], asked)
    return Predictions(best, 1 / total, most + np.log(total) - asked)
