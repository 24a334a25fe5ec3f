"""How numbers read in a sentence. Percentages always say of what; that is the caller's part.

>>> percent(0.9734), plural(1, "image"), plural(4000, "image"), listed(["a", "b", "c"])
('97.3\xa0%', '1 image', '4,000 images', 'a, b and c')
"""

import math
from collections.abc import Sequence

import numpy as np

from reportgen.core.examples import is_mask, leaves
from reportgen.core.numbers import decimals
from reportgen.core.outcome import Kind
from reportgen.core.pictures import pictures_of
from reportgen.core.run import LazyArray, Run

# Keeps a number and its unit on one line.
NBSP = "\N{NO-BREAK SPACE}"


def percent(share: float) -> str:
    """A share from 0 to 1 as a percentage with one decimal; 100 and 0 only when they are exact.

    >>> percent(0.99999), percent(1.0), percent(0.0004), percent(3437.619)
    ('99.9\xa0%', '100.0\xa0%', '0.1\xa0%', '343,762\xa0%')
    """
    value = round(share * 100, 1)
    if share < 1 and value >= 100:
        value = 99.9
    if share > 0 and value <= 0:
        value = 0.1
    return f"{value:.1f}{NBSP}%" if value < 1000 else f"{value:,.0f}{NBSP}%"


def likeness(value: float, places: int = 3) -> str:
    """A similarity or a correlation, at most 1; as 1 only when it is exact, so that what differs never reads as equal.

    >>> likeness(0.99997), likeness(1.0), likeness(-0.0171), likeness(0.99997, 2)
    ('0.999', '1.000', '−0.017', '0.99')
    """
    below_one = 1 - 10.0**-places
    return decimals(value if value >= 1 else min(value, below_one), places)


def span(low: float, high: float) -> str:
    """Two shares from 0 to 1 as percentages with one decimal, the sign left to the reader: "95.9 to 98.0"."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def interval(low: float, high: float) -> str:
    """The 95 % interval of a share, for a bracket after it: "95 % interval 95.9 to 98.0"."""
    return f"95{NBSP}% interval {span(low, high)}"


def plural(count: int, noun: str) -> str:
    """The count with its noun: "1 image", "4,000 images"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def of_all(count: int, of: str) -> str:
    """So many of something, with the verb that agrees.

    >>> of_all(1, "48 channels of hidden/relu"), of_all(67, "512 channels")
    ('1 of 48 channels of hidden/relu is', '67 of 512 channels are')
    """
    return f"{count:,} of {of} {'is' if count == 1 else 'are'}"


def others(count: int, noun: str) -> str:
    """What a fold holds besides what is shown: "The other metric", "The other 4 metrics"."""
    return f"The other {noun}" if count == 1 else f"The other {plural(count, noun)}"


_CALLED = {
    **{"lenet": "LeNet", "lenet_nnx": "LeNet (NNX)", "mnist_cnn": "MNIST CNN", "squeezenet": "SqueezeNet"},
    **{"mnist": "MNIST", "mnist5k": "MNIST", "digits": "scikit-learn's digits"},
}


def called(name: str) -> str:
    """The name by which people know one of this package's models or datasets; another name as it is.

    >>> called("lenet"), called("nets:make")
    ('LeNet', 'nets:make')
    """
    return _CALLED.get(name, name)


def noun(run: Run) -> str:
    """What one input of the network is called: "image" where it is a picture, "sequence" of tokens, else "example"."""
    if run.task is not None and run.task.kind is Kind.TOKENS:
        return "sequence"
    batches = [run.batch(name) for name in ("probe", "evaluation")]
    if any(len(pictures_of(run, batch)) for batch in batches):
        return "image"
    tokens = any(is_tokens(name, array) for batch in batches for name, array in leaves(batch.inputs).items())
    return "sequence" if tokens else "example"


def is_tokens(name: str, array: np.ndarray | LazyArray) -> bool:
    """Whether the input of that name is whole numbers [example, time] and no mask."""
    if len(array.shape) != 2 or is_mask(name):
        return False
    return bool(np.issubdtype(np.asarray(array[:1]).dtype, np.integer))


def scored_output(run: Run) -> str:
    """Which of several outputs is scored, and what a single number per example is taken for, as sentences to add."""
    if run.task is None:
        return ""
    output = run.task.output
    said = f" The model gives several outputs; scored is the one called “{output}”." if output else ""
    last = run.network.distinct[-1:]
    if run.task.kind is Kind.CLASSIFICATION and len(run.classes) == 2 and last and last[0].shape in ((), (1,)):
        said += f" The output's one number per {noun(run)} is taken for the score of class {run.classes[1]}."
    return said


NOT_DEFINED = "not defined"
"""A cell for what has no value by its definition; None is "no data"."""


def those(count: int, noun: str) -> str:
    """
    >>> those(1, "channel"), those(10, "channel")
    ('The channel', 'The 10 channels')
    """
    return f"The {noun}" if count == 1 else f"The {plural(count, noun)}"


def megabytes(size: float) -> str:
    """Bytes for reading, in the units that `--max-size` takes.

    >>> megabytes(10_000_000), megabytes(1_234_567), megabytes(4_500)
    ('10\xa0MB', '1.3\xa0MB', '5\xa0KB')
    """
    unit, name = next(((u, n) for u, n in ((1e9, "GB"), (1e6, "MB")) if size >= u), (1e3, "KB"))
    # Upwards: a page built with the size that is printed fits into it.
    value = math.ceil(size / unit * 10) / 10 if 1e6 <= size < 10 * unit else math.ceil(size / unit)
    return f"{value:g}{NBSP}{name}"


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Names as a sentence has them: "a, b and c"; at most `most` of them, with the number of the others.

    >>> listed(["a", "b", "c", "d", "e"], most=3)
    'a, b, c and 2 more'
    """
    if most is not None and len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def moment(run: Run, epoch: int) -> str:
    """When an observation was made: "epoch 3", or "step 300" of a replay whose checkpoints say nothing of epochs."""
    if run.stage == "epoch":
        return f"epoch {epoch}"
    return next((f"step {row.step:,}" for row in run.metrics.epochs if row.epoch == epoch), f"checkpoint {epoch}")


def slug(path: str) -> str:
    """A layer path or parameter name as part of an anchor: lower case, "-" for what an id can't hold, 100 characters.

    >>> slug("Block_0/Conv_1#2")
    'block_0-conv_1-2'
    """
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "-" for c in path.lower())
    return "-".join(part for part in text.split("-") if part)[:100].rstrip("-") or "x"


def ranges(steps: Sequence[int], most: int = 12) -> str:
    """Steps as text, runs of neighbours as "0-400": what is kept at every batch stays short."""
    parts: list[str] = []
    start = previous = None
    for step in [*sorted(steps), None]:
        if previous is not None and step != previous + 1:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = step
        elif previous is None:
            start = step
        previous = step
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")
