"""Whether attention weights are those of the attention: multiplied with the values, they give what it computed.

    unreproduced(network, values, params)       # paths of weights that do not, or of which it can't be told

Nothing of reportgen's takes part beyond the captured arrays and the layers' inputs, which say which of them belong
together.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any

import numpy as np

from reportgen.capture import flat_names
from reportgen.core.network import Network


def unreproduced(network: Network, values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """The weights in `network` whose product with the values is not the attention's captured output."""
    params = flat_names(variables["params"])
    return [
        path
        for path, layer in network.layers.items()
        if {"query", "key"} <= set(layer.axes) and not _reproduces(network, values, params, path)
    ]


def _reproduces(network: Network, values: Mapping[str, Any], params: Mapping[str, Any], path: str) -> bool:
    weights = np.asarray(values[path], np.float64)
    if not np.allclose(weights.sum(-1), 1, atol=1e-5) or weights.min() < 0:
        return False
    (reader,) = [x for x in network.layers.values() if path in x.inputs]
    expected = np.asarray(values[reader.path], np.float64)
    module = reader.path.split("#")[0]
    kernel, bias = (params.get(f"{module}/{name}") for name in ("kernel", "bias"))
    for source in set(reader.inputs) - {path}:
        for value in _by_head(np.asarray(values[source], np.float64), weights.shape):
            times, heads = value.shape[1:3]
            made = weights.reshape(len(weights), times, heads, *weights.shape[-2:]) @ value
            if kernel is not None:
                each = np.broadcast_to(kernel, (times, *np.shape(kernel)[-3:]))
                made = np.einsum("bnhqd,nhdf->bnqf", made, each) + np.reshape(bias, (1, -1, 1, np.shape(bias)[-1]))
            if _same(made, expected):
                return True
    return False


def _by_head(value: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The values as [example, window or repeated layer, head, key, feature], in each way that networks keep them."""
    examples, heads, keys = shape[0], math.prod(shape[1:-2]), shape[-1]
    if value.ndim == 5:
        yield np.moveaxis(value, -2, -3)
    if value.ndim == 4 and heads % value.shape[2] == 0:  # heads may share values
        yield np.repeat(np.moveaxis(value, 2, 1), heads // value.shape[2], 1)[:, None]
    if value.ndim == 3 and heads == 1:
        yield value[:, None, None]
    if value.ndim == 3 and value.shape[-1] % (3 * heads) == 0:  # each head's query, key and value in one
        yield np.moveaxis(value.reshape(examples, keys, heads, 3, -1)[:, :, :, 2], 1, 2)[:, None]


def _same(made: np.ndarray, expected: np.ndarray) -> bool:
    """Equal to 1e-5 of the largest, in whichever order heads, queries and features stand."""
    made, expected = (x.reshape(len(x), *(size for size in x.shape[1:] if size != 1)) for x in (made, expected))
    if expected.ndim > made.ndim:  # heads in groups that share keys
        expected = expected.reshape(len(expected), -1, *expected.shape[-2:])
    turned = (np.transpose(made, (0, *order)) for order in permutations(range(1, made.ndim)))
    close = 1e-5 * np.abs(expected).max()
    return any(x.shape == expected.shape and np.abs(x - expected).max() <= close for x in turned)
