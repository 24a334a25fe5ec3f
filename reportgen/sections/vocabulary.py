"""The table of embeddings: which tokens lie nearest to frequent ones, before training and now."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.core.network import INPUT, Layer, Role
from reportgen.core.numbers import short_number
from reportgen.core.report import Numbers, Section, Table, Text
from reportgen.sections.context import PageContext
from reportgen.sections.tokens import pieces_of, token_inputs, visible
from reportgen.sections.words import plural

TOKENS = 16
"""Tokens that are shown: the most frequent ones."""

NEAREST = 5

LEAST = 20
"""Tokens that occur, below which nothing is said: almost all would be near."""


def build(context: PageContext) -> Section | None:
    """The nearest tokens; None for a network without a table that reads the inputs, or with few tokens."""
    layer, counts = _table_of(context), _counts(context)
    if layer is None or len(counts) < LEAST or max(counts) >= next(iter(layer.params.values()))[0]:
        return None
    name = next(iter(layer.params))
    moments = [moment for moment in (context.before, context.now) if moment is not None]
    occurring = np.array(sorted(counts))
    chosen = np.array(sorted(counts, key=lambda token: (-counts[token], token))[:TOKENS])
    found = [_nearest(np.asarray(moment.params[name]), chosen, occurring) for moment in moments]
    heads = ["Before training" if moment.step == 0 else f"At {moment.name}" for moment in moments]
    table = Table(
        "vocabulary-nearest",
        f"The {plural(len(chosen), 'most frequent token')} and the {NEAREST} nearest to each by the cosine, in "
        f"brackets, of their rows of {layer.path}, among {len(occurring):,} tokens that occur in the evaluation and "
        "the probe.",
        ("Token", "Occurs", *heads),
        _rows(context, chosen, counts, found),
        "lr" + "l" * len(heads),
    )
    columns = ("token", "occurs", "step", "rank", "nearest", "cosine")
    steps = [moment.step for moment in moments]
    numbers = Numbers("nearest_tokens.csv", columns, lambda: _numbers(chosen, counts, steps, found))
    return Section(
        "vocabulary",
        "Which tokens lie near each other",
        _finding(layer, chosen, found),
        (table, Text(_METHOD, "method")),
        (numbers,),
    )


_METHOD = (
    "Rows of the table that turns tokens into vectors, compared by the cosine of their angle, without the token "
    "itself. A token that occurs nowhere keeps the row that it began with, so those are left out. Near rows say that "
    "the network begins with similar values for both tokens, not that later layers treat them alike."
)


def _table_of(context: PageContext) -> Layer | None:
    """The embedding of the inputs: the first that reads them and has one table of its own."""
    for layer in context.network.layers.values():
        if layer.role is Role.EMBEDDING and layer.inputs == (INPUT,) and len(layer.params) == 1:
            return layer if next(iter(layer.params)) in context.now.params else None
    return None


def _counts(context: PageContext) -> dict[int, int]:
    """How often each token occurs in the evaluation and the probe, as far as these are kept; {} for other inputs."""
    batches = {id(batch.inputs): batch for batch in (context.run.batch("evaluation"), context.probe)}
    inputs = [tokens for batch in batches.values() if (tokens := token_inputs(batch)) is not None]
    if not inputs:
        return {}
    tokens, counts = np.unique(np.concatenate([each.ravel() for each in inputs]), return_counts=True)
    return {int(token): int(count) for token, count in zip(tokens, counts, strict=True) if token >= 0}


def _nearest(table: np.ndarray, chosen: np.ndarray, occurring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tokens, cosines) [chosen, rank], the nearest first; a row of zeros is near to none."""
    rows = table[occurring].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    places = np.searchsorted(occurring, chosen)
    cosines = rows[places] @ rows.T
    cosines[np.arange(len(chosen)), places] = -np.inf
    order = np.argsort(-np.nan_to_num(cosines, nan=-np.inf), axis=1, kind="stable")[:, :NEAREST]
    return occurring[order], np.take_along_axis(cosines, order, axis=1)


def _finding(layer: Layer, chosen: np.ndarray, found: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    if len(found) < 2:
        cosine = short_number(float(found[-1][1][:, 0].mean()), 2)
        return f"In {layer.path}, the nearest to {len(chosen)} frequent tokens have a mean cosine of {cosine}."
    (then, _), (now, cosines) = found
    stayed = np.mean([len({*a} & {*b}) for a, b in zip(then.tolist(), now.tolist(), strict=True)])
    return (
        f"In {layer.path}, of the {NEAREST} tokens nearest to a frequent one, "
        f"{short_number(NEAREST - float(stayed), 2)} have changed (mean over {len(chosen)} tokens); "
        "the cosine of the nearest is now "
        f"{short_number(float(cosines[:, 0].mean()), 2)} on average."
    )


def _rows(
    context: PageContext, chosen: np.ndarray, counts: dict[int, int], found: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[tuple[Any, ...], ...]:
    def said(tokens: np.ndarray) -> list[str]:
        return [visible(piece) if context.run.vocabulary else piece.strip() for piece in pieces_of(context.run, tokens)]

    return tuple(
        (
            said(chosen[row : row + 1])[0],
            counts[int(token)],
            *(
                " · ".join(f"{name} ({cosine:.2f})" for name, cosine in zip(said(near[row]), close[row], strict=True))
                for near, close in found
            ),
        )
        for row, token in enumerate(chosen)
    )


def _numbers(
    chosen: np.ndarray, counts: dict[int, int], steps: Sequence[int], found: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[Any, ...]]:
    for step, (near, close) in zip(steps, found, strict=True):
        for row, token in enumerate(chosen.tolist()):
            for rank in range(near.shape[1]):
                yield token, counts[token], step, rank + 1, int(near[row, rank]), float(close[row, rank])
