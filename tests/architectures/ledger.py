"""The ledger: every architecture captured, verified, recorded and built. `make ledger`

    python -m tests.architectures.ledger                # those without a row for these versions, then docs/ledger.md
    python -m tests.architectures.ledger --again gpt    # this one, again
    python -m tests.architectures.ledger --cost         # also what capture costs

A row is kept under .ledger/ as soon as it is known, so that a run that is stopped goes on where it was.
"""

import json
import statistics
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from reportgen import build
from reportgen.capture import check, prepare
from reportgen.errors import ReportgenError
from reportgen.evaluate.evaluator import Examples, reducing
from reportgen.evaluate.reducers import LabelSums, Ranges, Vectors
from reportgen.record import Recorder
from tests.architectures.audit import silent
from tests.architectures.registry import ARCHITECTURES
from tests.architectures.samples import Example
from tests.architectures.variables import variables_for

REPOSITORY = Path(__file__).parents[2]
ROWS, PAGE = REPOSITORY / ".ledger", REPOSITORY / "docs" / "ledger.md"
RECORDED, TIMED, ROUNDS = 6, 256, 9
"""Examples in the recorded batch, in the timed one, and how often that is timed."""

Row = dict[str, Any]


def row_of(example: Example) -> Row:
    """What became of one architecture, as JSON has it."""
    row: Row = {"library": "NNX" if isinstance(example.model, nnx.Module) else "Linen"}
    variables = variables_for(example.model, *example.arguments)
    try:
        capture = prepare(example.model, variables, example.inputs, apply=example.apply)
    except ReportgenError as refusal:
        return row | {"refused": str(refusal)}
    captured = jax.jit(capture)(variables, example.inputs)
    found = check(capture, variables, example.inputs, captured)
    row |= {
        "captured": len(capture.network.layers),
        "operations": found.operations,
        "failed": dict(found.failed),
        "flax": found.flax,
        "missed": dict(capture.network.uncaptured),
        "silent": silent(example, variables, capture.network, captured[1]),
    }
    with tempfile.TemporaryDirectory() as folder:
        try:
            record(example, variables, Path(folder, "run"))
            build(Path(folder, "run"), embedding="pca").save(Path(folder, "report.html"))
        except ReportgenError as refusal:
            row["refused"] = str(refusal)
    return row


def record(example: Example, variables: Any, run: Path) -> None:
    """One update and one epoch; with labels where the network scores classes."""
    inputs = tiled(example.inputs, RECORDED)
    labels = np.arange(RECORDED) % example.classes if example.classes else None
    linen = not isinstance(example.model, nnx.Module)
    batch = (inputs, labels)
    state = variables if linen else example.model
    with Recorder(
        run, example.model, variables if linen else None, probe=batch, evaluation=batch, apply=example.apply
    ) as recorder:
        recorder.step(state, loss=1.0)
        recorder.epoch(state)


def cost(example: Example) -> float:
    """Time of the forward pass with everything captured and reduced, as a share of the plain one's, on the device."""
    variables = variables_for(example.model, *example.arguments)
    capture = prepare(example.model, variables, example.inputs, apply=example.apply)
    reducers = [Ranges(), LabelSums(1, np.arange(1))]
    layers = [layer.path for layer in capture.network.distinct if len(layer.shape) == 1]
    if layers:
        reducers.append(Vectors(layers[-1], TIMED))
    examples = Examples(tiled(example.inputs, TIMED), np.zeros(TIMED, np.int64))

    plainly, fully = jax.jit(capture.forward.plain), jax.jit(reducing(capture, reducers))
    sides = (lambda: plainly(variables, examples.inputs)), (lambda: fully(variables, examples, TIMED))
    taken: list[list[float]] = [[], []]
    jax.config.update("jax_disable_most_optimizations", False)
    for number in range(ROUNDS + 1):
        for side, times in zip(sides, taken, strict=True):
            began = time.perf_counter()
            jax.block_until_ready(side())
            if number:  # the first compiles
                times.append(time.perf_counter() - began)
    jax.config.update("jax_disable_most_optimizations", True)
    plain, full = (min(times) for times in taken)
    return round(full / plain, 2)


def tiled(inputs: Any, count: int) -> Any:
    """The examples again and again, `count` of them."""
    return jax.tree.map(lambda x: np.resize(x, (count, *np.shape(x)[1:])), inputs)


def wrong(row: Row) -> list[str]:
    """What is wrong with a row, each in words; a refusal in a sentence of ours is not."""
    silence = [f"silent: {what}" for what in row.get("silent", ())]
    return [
        *([row["crash"]] if "crash" in row else []),
        *(f"{k} {v}" for k, v in row.get("failed", {}).items()),
        *silence,
    ]


HEAD = """# The ledger

What capture made of {count} architectures that the tests have (`tests/architectures`), each written in the manner of a
published one. `make ledger` writes this page.

- **captured**: how many layers. One that repeats another's values (dropout in evaluation) is listed, and stored once.
- **verified**: how many values were computed again from those that they were made from, and were equal.
- **missed**: what is not captured, with the reason. Module calls and activation functions were counted by means of
  their own, without reportgen: one that is neither captured nor listed here counts as wrong.
- **page**: whether a training was recorded and its page was built; a refusal in its own words.
- **cost**: a forward pass that captures every layer and reduces it (ranges, sums, vectors), as a multiple of the plain
  one, of {timed} examples, as the device computes both, where it was measured; the smaller the network, the more weighs
  what is fixed. NumPy's part of an evaluation, 0.3 to 1 ms for as many, is not in it.

| versions | architectures | wrong | refused | cost, median |
|---|---|---|---|---|
"""


def page(sets: dict[str, dict[str, Row]]) -> str:
    """docs/ledger.md from rows by set of versions and name: the first set's, and another's where they differ."""
    (_, rows), *others = sets.items()
    lines = [_total(name, found) for name, found in sets.items()]
    lines += ["", "| network | library | captured | verified | missed | page | cost |", "|---|---|---|---|---|---|---|"]
    for name in ARCHITECTURES:
        if name not in rows:
            continue
        cells = _cells(rows[name])
        lines.append(f"| {name} | {' | '.join(cells)} | {rows[name].get('ratio', '')} |")
        for other, found in others:
            if name in found and (theirs := _cells(found[name])) != cells:
                lines.append(f"| {name}, {other} | {' | '.join(theirs)} | |")
    return HEAD.format(count=len(ARCHITECTURES), timed=TIMED) + "\n".join(lines) + "\n"


def _total(name: str, rows: dict[str, Row]) -> str:
    ratios = [row["ratio"] for row in rows.values() if "ratio" in row]
    faulty, refused = sum(bool(wrong(row)) for row in rows.values()), sum("refused" in row for row in rows.values())
    cost = statistics.median(ratios) if ratios else "not measured"
    return f"| {name} | {len(rows)} | {faulty} | {refused} | {cost} |"


def _cells(row: Row) -> list[str]:
    """Library, captured, verified, missed, page."""
    reasons: dict[str, list[str]] = {}
    for path, reason in row.get("missed", {}).items():
        reasons.setdefault(reason, []).append(path)
    missed = "; ".join(f"{', '.join(paths)}: {reason}" for reason, paths in reasons.items())
    verified = f"{row['operations'] - len(row['failed'])} of {row['operations']}" if "operations" in row else ""
    state = f"wrong: {'; '.join(faults)}" if (faults := wrong(row)) else row.get("refused", "built")
    cells = [row.get("library", ""), str(row.get("captured", "")), verified, missed, state]
    return [cell.replace("|", "\\|") for cell in cells]


def kept() -> dict[str, dict[str, Row]]:
    """Set of versions -> name -> row, of all that are known; the pinned versions first."""
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    pinned = next(line.partition("==")[2].split()[0] for line in lines if line.startswith("jax=="))
    found = {
        folder.name: {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
        for folder in sorted(ROWS.glob("jax *"))
    }
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith(f"jax {pinned},")))


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(ARCHITECTURES)))
@click.option("--again", is_flag=True, help="Also those that have a row already.")
@click.option("--cost", "timed", is_flag=True, help="Also what capture costs; that takes as long as all else.")
def main(names: tuple[str, ...], again: bool, timed: bool) -> None:
    folder = ROWS / f"jax {version('jax')}, flax {version('flax')}"
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # what is missed stands in the row
    jax.config.update("jax_disable_most_optimizations", True)  # but for what is timed, each program runs once
    for name in (bar := tqdm(names or ARCHITECTURES, desc=folder.name, unit="network")):
        bar.set_postfix_str(name)
        file = folder / f"{name}.json"
        row = json.loads(file.read_text()) if file.exists() and not again else None
        try:
            if row is None:
                row = row_of(ARCHITECTURES[name]())
                report(name, row, bar)
            if timed and "captured" in row and "ratio" not in row:
                row["ratio"] = cost(ARCHITECTURES[name]())
        except Exception as error:  # a crash is what the ledger is there to find
            row = {"library": "", "crash": f"{type(error).__name__}: {error}".splitlines()[0]}
            report(name, row, bar)
        file.write_text(json.dumps(row, indent=1))
    PAGE.write_text(page(kept()))


def report(name: str, row: Row, bar: tqdm) -> None:
    """Say at once what the page will say in the end."""
    if faults := wrong(row):
        bar.write(f"{name}: {'; '.join(faults)}")
    elif "refused" in row:
        bar.write(f"{name}: refused: {row['refused']}")


if __name__ == "__main__":
    main()
