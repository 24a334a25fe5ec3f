"""What a network of tokens would predict if its output layer read the residual stream after an earlier block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.analysis.lens import Predictions, Stream, predictions, readout, states, stream_of
from reportgen.core.network import INPUT, Layer, Network
from reportgen.core.outcome import Tokens
from reportgen.core.report import Block, Numbers, Section, Table, Text
from reportgen.core.run import Observation
from reportgen.figures.chart import chart
from reportgen.figures.lens import lens
from reportgen.sections.context import PageContext
from reportgen.sections.tokens import counted_positions, pieces_of, token_inputs, visible
from reportgen.sections.words import noun, percent, plural

POSITIONS = 12
"""Positions of the first example that are drawn: the last ones of which the following token is known."""

ROWS = 26
"""States that are drawn, at most: of more, some between, evenly."""

LOGITS = 65_000_000
"""Logits that are computed, at most: of a large vocabulary at some of the positions, evenly."""

LEAST = 20
"""Predictions below which nothing is said of how many."""


@dataclass(frozen=True)
class _State:
    """What is predicted after a block, [example, position]: at those positions that were looked at."""

    name: str
    found: Predictions
    alike: np.ndarray
    """[example, position]: whether the prediction is that of the output."""


def build(context: PageContext) -> Section | None:
    """A table of the states and a drawing of the first example; None where the rule of `stream_of` does not hold."""
    tokens, stream = token_inputs(context.probe), stream_of(context.network)
    if tokens is None or stream is None or stream.head.shape[0] != tokens.shape[1]:
        return None
    seen = list(context.run.observations.values())
    known = _counted(context, tokens)
    looked = _looked(known, stream.head.shape[-1] * len(stream.sums) * min(len(seen), 2))
    now = _states(context, stream, tokens, seen[-1], looked) if seen else None
    if now is None:
        return None
    then = _states(context, stream, tokens, seen[0], looked) if len(seen) > 1 else None
    foretells = isinstance(context.outcome, Tokens)
    counted = known & looked
    some = "" if counted.sum() == known.sum() else f", of {known.sum():,}, evenly spaced"
    finding = _finding(context, now, counted)
    blocks: list[Block] = [
        _drawn(context, tokens, now, foretells, finding),
        _table(now, then, counted, foretells, some),
    ]
    blocks.append(Text(_METHOD, "method"))
    columns = ("example", "position", "state", "best", "probability", "surprise")
    numbers = Numbers("lens.csv", columns, lambda: _rows(now, counted, foretells))
    return Section("lens", "What it would predict after each block", finding, tuple(blocks), (numbers,))


_METHOD = (
    "The logit lens: the network's own normalisation and output layer read the residual stream after an earlier block "
    "(nostalgebraist, interpreting GPT: the logit lens, 2020). Shown where the output is one layer on a sum of blocks "
    "of the width that it reads, and where this gives the recorded output from the last sum. Earlier blocks may keep "
    "what they know in directions that the output layer does not read, so a poor prediction there does not show "
    "that nothing is known: the lens is biased, which a trained one corrects (Belrose et al., Eliciting latent "
    "predictions from transformers with the tuned lens, 2023)."
)


def _counted(context: PageContext, tokens: np.ndarray) -> np.ndarray:
    """[example, position]: those that are followed by a token, and no padding."""
    counted = counted_positions(context, tokens.shape[1])
    following = np.concatenate([counted[:, 1:], np.zeros((len(counted), 1), bool)], axis=1)
    both: np.ndarray = counted & following
    return both


def _looked(counted: np.ndarray, logits: int) -> np.ndarray:
    """[example, position]: all, or as many as `logits` at each allow: those that are drawn, and some of the others."""
    most = max(POSITIONS + LEAST, LOGITS // max(logits, 1))
    if counted.size <= most:
        return np.ones_like(counted)
    looked = np.zeros_like(counted)
    looked[0, _places(counted)] = True
    others = np.argwhere(counted & ~looked)
    left = min(len(others), most - int(looked.sum()))
    looked[tuple(others[np.linspace(0, len(others) - 1, left).astype(int)].T)] = True
    return looked


def _places(counted: np.ndarray) -> np.ndarray:
    """The positions of the first example that are drawn."""
    places = np.flatnonzero(counted[0])[-POSITIONS:]
    return places if len(places) else np.arange(min(POSITIONS, counted.shape[1]))


def _states(
    context: PageContext, stream: Stream, tokens: np.ndarray, seen: Observation, looked: np.ndarray
) -> list[_State] | None:
    """The states of one observation; None where they, or the parameters of then, were not recorded or do not fit."""
    snapshot = context.run.snapshots.get(seen.step)
    if snapshot is None or any(layer.path not in seen.maps for layer in stream.sums):
        return None
    read = readout(stream, snapshot.params, seen.maps)
    if read is None:
        return None
    following = np.concatenate([tokens[:, 1:], tokens[:, :1]], axis=1)  # the last has none and is not counted
    if following.min() < 0 or following.max() >= read.kernel.shape[1]:
        return None
    named = [(_name(context.network, layer, turn), values[looked]) for layer, turn, values in states(stream, seen.maps)]
    # All at once, as the output layer of a large vocabulary takes longer to read than to multiply with.
    rows = np.concatenate([values for _, values in named])
    found = predictions(read.by_block(rows), np.tile(following[looked], len(named)))

    def placed(numbers: np.ndarray, state: int) -> np.ndarray:
        whole = np.zeros(looked.shape, numbers.dtype)
        whole[looked] = numbers.reshape(len(named), -1)[state]
        return whole

    each = [Predictions(*(placed(part, at) for part in vars(found).values())) for at in range(len(named))]
    return [_State(name, state, state.best == each[-1].best) for (name, _), state in zip(named, each, strict=True)]


def _name(network: Network, layer: Layer, turn: int | None) -> str:
    """A sum by what it adds to the stream, which is the last computed of its inputs; by the shortest of its paths."""
    added = [path for path in network.layers if path in layer.inputs and path != INPUT][-1]
    paths = [added, *(each.path for each in network.layers.values() if each.alias_of == added)]
    return min(paths, key=len) + ("" if turn is None else f", turn {turn}")


def _finding(context: PageContext, now: Sequence[_State], counted: np.ndarray) -> str:
    count = int(counted.sum())
    examples = plural(len(counted), f"probe {noun(context.run)}")
    if count < LEAST:
        return f"{plural(count, 'prediction')} of {examples}: too few to say from which block on they are the output's."
    shares = [float(state.alike[counted].mean()) for state in now]
    at = next(place for place in range(len(now)) if min(shares[place:]) >= 0.5)
    text = (
        f"From {now[at].name} on, at least half of {plural(count, 'prediction')} of {examples} are those of the output"
    )
    return f"{text}: {percent(shares[at])} after it" + (f", {percent(shares[0])} after {now[0].name}." if at else ".")


def _drawn(context: PageContext, tokens: np.ndarray, now: Sequence[_State], foretells: bool, alt: str) -> Block:
    places = _places(_counted(context, tokens))
    chosen = [now[at] for at in np.unique(np.linspace(0, len(now) - 1, min(ROWS, len(now))).astype(int))]

    def said(tokens: np.ndarray) -> list[str]:
        pieces = pieces_of(context.run, tokens)
        return [visible(piece) if context.run.vocabulary else piece.strip() for piece in pieces]

    best = np.stack([state.found.best[0, places] for state in chosen])
    following = tokens[0, np.minimum(places + 1, tokens.shape[1] - 1)]
    scene = lens(
        [state.name for state in chosen],
        said(tokens[0, places]),
        [said(row) for row in best],
        np.stack([state.found.probability[0, places] for state in chosen]),
        (best == following) & foretells,
        said(following) if foretells else (),
    )
    bold = " Bold: the token that follows." if foretells else ""
    return chart(
        "lens-predictions",
        scene,
        alt=alt,
        caption=f"{context.names[0]}, positions {places[0]} to {places[-1]}: the likeliest token after each block, "
        f"from the first above to the output below; the bluer, the more probable.{bold}",
        wide=True,
    )


def _table(
    now: Sequence[_State], then: Sequence[_State] | None, counted: np.ndarray, foretells: bool, some: str
) -> Table:
    rows = []
    for place, state in enumerate(now):
        pair = [state] if then is None else [then[place], state]
        alike = " → ".join(percent(float(each.alike[counted].mean())) if counted.any() else "no data" for each in pair)
        loss = " → ".join(f"{each.found.surprise[counted].mean():.2f}" if counted.any() else "no data" for each in pair)
        rows.append((state.name, alike, *([loss] if foretells else [])))
    columns = ("After", "Predicts as the output", *(["Loss at the next token, nats"] if foretells else []))
    when = "" if then is None else " Before training → now."
    caption = f"Means over {plural(int(counted.sum()), 'position')} of the probe{some}.{when}"
    return Table("lens-states", caption, columns, tuple(rows), "l" + "r" * (len(columns) - 1))


def _rows(now: Sequence[_State], counted: np.ndarray, foretells: bool) -> Iterator[tuple[Any, ...]]:
    for state in now:
        for example, position in np.argwhere(counted).tolist():
            surprise = float(state.found.surprise[example, position]) if foretells else None
            best, share = (each[example, position].item() for each in (state.found.best, state.found.probability))
            yield example, position, state.name, best, share, surprise
