"""How surprised a language model is: by position, in its text, and by which tokens most."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.scores import mean_interval
from reportgen.core.examples import is_mask, leaves
from reportgen.core.numbers import short_number
from reportgen.core.outcome import Tokens
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.core.run import Batch, Run
from reportgen.figures.chart import chart
from reportgen.figures.curves import curves
from reportgen.figures.text import NEWLINE, token_text
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, is_tokens, percent, plural, scored_output

SHOWN = 1000
"""Tokens of a passage that are drawn."""

PASSAGES = 3
ROWS = 12
BEFORE = 40
"""Characters of the text before a token that a table shows."""

SPACE = "␣"


def build(context: PageContext) -> Section | None:
    """Loss by position, passages shaded by surprise, and the extreme tokens; None for another task."""
    outcome = context.outcome
    if not isinstance(outcome, Tokens):
        return None
    blocks: list[Block] = [_by_position(context, outcome)]
    if (tokens := _predicted_tokens(context, outcome)) is not None:
        blocks += [*_passages(context, outcome, tokens), *_extremes(context, outcome, tokens)]
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    numbers = [
        Numbers("tokens_by_position.csv", _POSITION, lambda: _position_rows(context)),
        Numbers(
            "tokens.csv",
            ("sequence", "position", "token", "best", "loss"),
            lambda: _token_rows(context, outcome, tokens),
        ),
    ]
    return Section("tokens", "How surprised it is", _finding(context, outcome), tuple(blocks), tuple(numbers))


_METHOD = (
    "The surprise at a token, its loss, is minus the natural logarithm of the probability that the network gave to it "
    "from the tokens before: 0 nats where it was certain and right, 0.69 at even odds. Perplexity is the exponential "
    "of the mean: as uncertain as a choice among so many equally likely tokens. The interval takes sequences, not "
    "tokens, for independent (ratio estimate; Cochran, Sampling Techniques, 1977, section 2.11). A uniform guess costs "
    "the logarithm of the number of tokens. Masked and negative targets are not counted."
)


def _mean(outcome: Tokens) -> float:
    counted = int(outcome.counts.sum())
    return float(outcome.loss_sums.sum() / counted) if counted else float("nan")


def _finding(context: PageContext, outcome: Tokens) -> str:
    counted, mean, run = int(outcome.counts.sum()), _mean(outcome), context.run
    size = run.batch("evaluation").size
    of = f"{plural(counted, 'token')} of {plural(size, 'evaluation sequence')}"
    if not counted:
        return f"Nothing is predicted in {plural(size, 'evaluation sequence')}: all of their tokens are masked."
    if not np.isfinite(mean):
        return f"The mean loss over {of} is not finite."
    known = np.isfinite(outcome.losses)
    within = None
    if int(known.sum()) == counted:
        within = mean_interval(np.where(known, outcome.losses, 0).sum(axis=1, dtype=float), known.sum(axis=1))
    text = f"The mean loss over {of} is {mean:.3f} nats: a perplexity of {short_number(float(np.exp(mean)))}"
    if within:
        text += f" (95{NBSP}% interval {' to '.join(short_number(float(np.exp(at))) for at in within)})"
    first = context.run.observations[min(context.run.observations)].outcome
    if isinstance(first, Tokens) and first is not outcome and np.isfinite(start := _mean(first)):
        text += f", from {short_number(float(np.exp(start)))} before training" if start > mean else ""
    return f"{text}; the likeliest token is the true one for {percent(int(outcome.right.sum()) / counted)}."


def _by_position(context: PageContext, outcome: Tokens) -> Block:
    run, series = context.run, {}
    steps = list(run.observations)
    for step in dict.fromkeys((steps[0], steps[-1])):
        seen = run.observations[step]
        if isinstance(seen.outcome, Tokens):
            name = "untrained" if seen.epoch == 0 else f"epoch {seen.epoch}"
            series[name] = _losses(seen.outcome).tolist()
    counts = outcome.counts[outcome.counts > 0]
    counted = f"{counts.min():,}" if len(counts) else "0"
    counted += f" to {counts.max():,}" if len(counts) and counts.min() < counts.max() else ""
    return chart(
        "tokens-position",
        curves(range(len(outcome.counts)), series, {}, title="Loss, nats per token", across="position in the sequence"),
        alt=f"Mean loss by position in the sequence, over {counted} tokens each.",
        caption=f"Mean loss by the position of the predicted token, over {counted} tokens at each position. What falls "
        "along the sequence is what the network reads from the tokens before.",
        wide=True,
    )


def _losses(outcome: Tokens) -> np.ndarray:
    means: np.ndarray = np.divide(
        *(outcome.loss_sums, outcome.counts), out=np.full(len(outcome.counts), np.nan), where=outcome.counts > 0
    )
    return means


def token_inputs(batch: Batch) -> np.ndarray | None:
    """[example, time]: the batch's tokens, as far as they are kept; None where it has no single array of them."""
    found = {
        name.rpartition("/")[2].lower(): array for name, array in leaves(batch.inputs).items() if is_tokens(name, array)
    }
    named = [found[name] for name in ("tokens", "input_ids", "ids") if name in found]
    chosen = named if len(named) == 1 else list(found.values())
    return np.asarray(chosen[0]) if len(chosen) == 1 else None


def counted_positions(context: PageContext, positions: int) -> np.ndarray:
    """[example, position]: which positions the probe's mask counts; all without one."""
    batch = context.probe
    for name, array in leaves(batch.inputs).items():
        if is_mask(name) and array.shape == (batch.size, positions):
            return np.asarray(array) > 0
    return np.ones((len(context.names), positions), bool)


def _predicted_tokens(context: PageContext, outcome: Tokens) -> np.ndarray | None:
    """[example, time]: the token at each place of the outcome's losses; None where they are not kept."""
    batch = context.run.batch("evaluation")
    targets = batch.targets
    if targets is not None and len(targets.shape) == 2:
        tokens: np.ndarray | None = np.asarray(targets)
    else:
        tokens = token_inputs(batch)
    if tokens is None or tokens.shape[1:] != outcome.losses.shape[1:]:
        return None
    return tokens[: len(outcome.losses)]


def pieces_of(run: Run, tokens: np.ndarray) -> list[str]:
    """The text of each token, as people read it; its number, and a space, without a vocabulary.

    Byte pieces of byte-level vocabularies ("Ġthe") and the word beginnings of others ("▁the") become the text that
    they stand for.
    """
    texts = run.vocabulary
    if not texts:
        return [f"{int(token)} " for token in tokens]
    convert = _converter(texts)
    return [convert(texts[token]) if 0 <= token < len(texts) else f"<{int(token)}>" for token in tokens.tolist()]


def _converter(texts: Sequence[str]) -> Any:
    if any(text.startswith("Ġ") for text in texts):
        return _from_bytes
    if any(text.startswith("▁") for text in texts):
        return lambda text: text.replace("▁", " ")
    return str


def _byte_letters() -> dict[str, int]:
    """The letter that byte-level vocabularies write for each byte: printable ones stand for themselves, the others
    follow from U+0100."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_letters()


def _from_bytes(text: str) -> str:
    """The text that a byte-level piece stands for; bytes that are not whole characters as "<E2>"."""
    if not all(letter in _BYTES for letter in text):
        return text
    whole = bytes(_BYTES[letter] for letter in text).decode("utf-8", "surrogateescape")
    return "".join(f"<{ord(c) - 0xDC00:02X}>" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in whole)


def visible(piece: str) -> str:
    """A token for a table: spaces at its ends and newlines are shown.

    >>> visible(" the"), visible("\\n")
    ('␣the', '⏎')
    """
    text = piece.replace("\n", NEWLINE).replace("\t", "⇥")
    start, end = len(text) - len(text.lstrip(" ")), len(text.rstrip(" "))
    return SPACE * start + text[start:end] + SPACE * (len(text) - max(end, start))


def position_names(run: Run, tokens: np.ndarray) -> list[str]:
    """A name for each position of a text: its number, then its token; spaces are shown where a vocabulary has them."""
    texts = [visible(piece) if run.vocabulary else piece.strip() for piece in pieces_of(run, tokens)]
    return [f"{place} {text}" for place, text in enumerate(texts)]


def _passages(context: PageContext, outcome: Tokens, tokens: np.ndarray) -> list[Block]:
    """The passages with the largest, a middle and the least mean loss, among those that are kept."""
    losses = outcome.losses[: len(tokens)]
    known = np.isfinite(losses)
    some = np.flatnonzero(known.any(axis=1))
    if not len(some):
        return []
    means = np.where(known, losses, 0).sum(axis=1)[some] / known.sum(axis=1)[some]
    ranked = some[np.argsort(-means, kind="stable")]
    chosen = list(dict.fromkeys(int(ranked[at]) for at in (0, len(ranked) // 2, len(ranked) - 1)))[:PASSAGES]
    titles, pieces, values = [], [], []
    for sequence in chosen:
        end = int(np.flatnonzero(known[sequence])[-1]) + 1
        shown = slice(0, min(end, SHOWN))
        mean = losses[sequence][known[sequence]].mean()
        cut = f", its first {SHOWN:,} of {end:,} tokens" if end > SHOWN else ""
        titles.append(f"Evaluation sequence {sequence}: {mean:.2f} nats per token{cut}")
        pieces.append(pieces_of(context.run, tokens[sequence, shown]))
        values.append(losses[sequence, shown])
    largest = float(np.nanquantile(np.where(known, losses, np.nan), 0.99))
    return [
        chart(
            "tokens-text",
            token_text(titles, pieces, values, largest),
            alt=f"{plural(len(chosen), 'passage')} with the surprise at each token.",
            caption=f"The evaluation sequences with the largest, the middle and the least mean loss of {len(some):,}. "
            f"The bluer a token, the more surprising: from white at 0 to blue at {short_number(largest)} nats and more "
            "(the 99th percentile). Tokens that are not predicted have no colour."
            + ("" if context.run.vocabulary else " Without a vocabulary, tokens are shown by their numbers."),
            wide=True,
        )
    ]


def _extremes(context: PageContext, outcome: Tokens, tokens: np.ndarray) -> list[Block]:
    losses = outcome.losses[: len(tokens)]
    places = np.argwhere(np.isfinite(losses))
    values = losses[tuple(places.T)]
    order = np.argsort(-values, kind="stable")
    most, least = places[order[:ROWS]], places[order[::-1][:ROWS]]
    kept = f"among {len(values):,} tokens of the first {plural(len(losses), 'evaluation sequence')}"
    return [
        _table(context, outcome, tokens, most, "tokens-most", f"The most surprising tokens {kept}."),
        Fold(
            "The least surprising tokens",
            (_table(context, outcome, tokens, least, "tokens-least", f"The least surprising tokens {kept}."),),
        ),
    ]


def _table(
    context: PageContext, outcome: Tokens, tokens: np.ndarray, places: np.ndarray, name: str, caption: str
) -> Table:
    rows = []
    for sequence, at in places.tolist():
        before = "".join(pieces_of(context.run, tokens[sequence, max(0, at - BEFORE) : at]))[-BEFORE:]
        true, best = (
            pieces_of(context.run, np.array([t]))[0] for t in (tokens[sequence, at], outcome.best[sequence, at])
        )
        loss = float(outcome.losses[sequence, at])
        likely = visible(best) if outcome.best[sequence, at] >= 0 else None
        rows.append(
            (
                sequence,
                at,
                visible(before.lstrip()),
                visible(true),
                likely,
                f"{loss:.2f}",
                short_number(float(np.exp(-loss)), 2),
            )
        )
    columns = ("Sequence", "Position", "Text before", "Token", "Likeliest", "Loss, nats", "Its probability")
    return Table(name, caption, columns, tuple(rows), "rrlllrr")


_POSITION = ("epoch", "position", "tokens", "loss", "correct")


def _position_rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    for observation in context.run.observations.values():
        outcome = observation.outcome
        if isinstance(outcome, Tokens):
            for at, loss in enumerate(_losses(outcome).tolist()):
                known = loss if np.isfinite(loss) else None
                yield observation.epoch, at, int(outcome.counts[at]), known, int(outcome.right[at])


def _token_rows(context: PageContext, outcome: Tokens, tokens: np.ndarray | None) -> Iterator[tuple[Any, ...]]:
    """A row per predicted token of the sequences that are kept."""
    for sequence, at in np.argwhere(~np.isnan(outcome.losses)).tolist():
        token = int(tokens[sequence, at]) if tokens is not None and sequence < len(tokens) else None
        loss = float(outcome.losses[sequence, at])
        yield sequence, at, token, int(outcome.best[sequence, at]), loss if np.isfinite(loss) else None
