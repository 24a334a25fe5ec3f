"""Where attention heads read: measures of their weights, and what a stack of layers reads in all.

measures = head_measures(weights, counted)            # of each head: entropy, previous, first, distance
measures = repeated(weights, tokens, counted)         # of each head: the token after an earlier copy
shares = rollout([first_layer, second_layer])         # [example, query, key]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import AttentionWeights, PerHead, Rollout


@dataclass(frozen=True)
class HeadMeasures:
    """Means over the counted queries of all examples, for each head; NaN where no query counts.

    entropy    bits: 0 where a query reads one key, log2(n) where it reads n keys alike
    distance   from the query to what it reads, by the weights: in positions, or in patches of a picture
    previous   share of the position before the query, from 0 to 1
    first      share of the first position, of queries after it, from 0 to 1
    queries    how many queries count
    """

    entropy: PerHead
    distance: PerHead
    previous: PerHead
    first: PerHead
    queries: int


def head_measures(weights: AttentionWeights, counted: np.ndarray, places: np.ndarray | None = None) -> HeadMeasures:
    """The measures of a layer's heads.

    `counted` [example, query] says which queries count (not padding). `places` [key, axis] are the keys' places in a
    picture, NaN for one that has none; else a key's place is its number. Where queries and keys are not the same
    positions, distance, previous and first are NaN.
    """
    heads, queries, keys = weights.shape[1:]
    known = counted & np.isfinite(weights).all(axis=(1, 3))
    rows = np.moveaxis(weights, 1, 2)[known]  # [counted, head, key]
    count, nothing = len(rows), np.full(heads, np.nan)
    if not count:
        return HeadMeasures(nothing, nothing, nothing, nothing, 0)
    bits = -np.sum(rows * np.log2(np.where(rows > 0, rows, 1.0)), axis=2).mean(axis=0)
    if queries != keys:
        return HeadMeasures(bits, nothing, nothing, nothing, count)
    at = np.nonzero(known)[1]
    places = np.arange(keys, dtype=float)[:, None] if places is None else places
    apart = np.sqrt(np.square(places[:, None] - places[None]).sum(axis=2))  # [query, key], NaN for what has no place
    has_place = np.isfinite(apart)
    far = np.where(has_place, apart, 0.0)[at][:, None]
    held = (rows * has_place[at][:, None]).sum(axis=2)
    reach = np.divide((rows * far).sum(axis=2), held, out=np.full(held.shape, np.nan), where=held > 0)
    later = at > 0
    before, start = rows[later, :, at[later] - 1], rows[later, :, 0]
    return HeadMeasures(bits, mean(reach), mean(before), mean(start), count)


def mean(rows: np.ndarray) -> PerHead:
    """Of [query, head] over the queries with a finite value; NaN for a head without any."""
    finite = np.isfinite(rows)
    count = finite.sum(axis=0)
    total = np.where(finite, rows, 0.0).sum(axis=0)
    means: np.ndarray = np.divide(total, count, out=np.full(rows.shape[1], np.nan), where=count > 0)
    return means


@dataclass(frozen=True)
class Repeated:
    """How much heads read what followed the query's token where it stood before: an induction head reads that.

    score      share of the positions right after earlier copies of the query's token, mean over queries with any
    chance     the same for a head that reads all keys alike; only those not after the query where no head reads later
               ones
    queries    how many queries have such a position
    """

    score: PerHead
    chance: float
    queries: int


def repeated(weights: AttentionWeights, tokens: np.ndarray, counted: np.ndarray) -> Repeated:
    """Prefix matching, as Olsson et al. define it for induction heads (In-context learning and induction heads, 2022).

    `tokens` [example, position] are what queries and keys stand for, `counted` [example, position] says which count.
    """
    heads, length = weights.shape[1], tokens.shape[1]
    after = np.zeros((len(tokens), length, length), bool)  # [example, query, key]
    after[:, :, 1:] = (tokens[:, :, None] == tokens[:, None, :-1]) & counted[:, None, :-1]
    after &= np.tri(length, k=-1, dtype=bool)
    known = after.any(axis=2) & counted & np.isfinite(weights).all(axis=(1, 3))
    count = int(known.sum())
    if not count:
        return Repeated(np.full(heads, np.nan), float("nan"), 0)
    rows, wanted = np.moveaxis(weights, 1, 2)[known], after[known]
    causal = not (np.nan_to_num(weights) * ~np.tri(length, dtype=bool)).any()
    keys = np.nonzero(known)[1] + 1 if causal else length
    chance = wanted.sum(axis=1) / keys
    return Repeated((rows * wanted[:, None]).sum(axis=2).mean(axis=0), float(chance.mean()), count)


def rollout(layers: Sequence[AttentionWeights]) -> Rollout:
    """What each position reads of the input through all layers, as attention and residual streams pass it on.

    Heads are averaged, the identity is added for the residual stream, rows are brought to 1, and layers multiplied:
    Abnar and Zuidema, Quantifying attention flow in transformers, 2020. Each layer is [example, head, query, key] with
    as many queries as keys.
    """
    size = layers[0].shape[-1]
    total = np.broadcast_to(np.eye(size), (len(layers[0]), size, size))
    for weights in layers:
        mixed = weights.mean(axis=1) + np.eye(size)
        total = (mixed / mixed.sum(axis=2, keepdims=True)) @ total
    return np.array(total)
