"""The logit lens: what a network would predict if its output layer read the residual stream after an earlier block.

stream = stream_of(network)                        # None where the output layer reads no sum of blocks
read = readout(stream, params, maps)               # None where its parts do not give what the network gave
logits = read(maps["block_0/add"])                 # [..., token]

nostalgebraist, interpreting GPT: the logit lens, 2020.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reportgen.core.network import Layer, Network, Role

CLOSE = 0.01
"""How far from the recorded values, as a share of the largest, the parts may be: those may be of half precision."""

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
        logits: np.ndarray = self.normed(np.asarray(values, np.float64)) @ self.kernel
        return logits if self.bias is None else logits + self.bias


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
    last, given = (np.asarray(maps[layer.path], np.float64) for layer in parts)
    last = last[:, -1] if last.ndim == 4 else last
    if kernel is None or kernel.shape != (last.shape[-1], given.shape[-1]):
        return None
    known = np.isfinite(given)
    if not known.any():
        return None

    def apart(read: Readout) -> float:
        return float(np.abs(read(last) - given)[known].max())

    best = min(_candidates(stream, params, kernel, bias), key=apart)
    return best if apart(best) <= CLOSE * np.abs(given[known]).max() else None


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
    found = [each for each in layer.params if each.rpartition("/")[2] == name and each in params]
    return np.asarray(params[found[0]], np.float64) if len(found) == 1 else None


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


def predictions(logits: np.ndarray, wanted: np.ndarray) -> Predictions:
    """The predictions of logits [..., token], and how surprising the `wanted` tokens [...] are."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    best = logs.argmax(axis=-1)
    surprise = -np.take_along_axis(logs, wanted[..., None], axis=-1)[..., 0]
    return Predictions(best, np.exp(logs.max(axis=-1)), surprise)
