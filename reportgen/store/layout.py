"""Names and versions of what lies in a run directory. docs/run-format.md describes it in prose.

RUN/run.json                        configuration, layers, classes, provenance, status
RUN/steps.jsonl  epochs.jsonl       a JSON object per update, per recorded epoch
RUN/data.safetensors                inputs and labels of the batches
RUN/snapshots/02-000000.segment     variables after updates, a record each; see `segments` and `log`
RUN/snapshots/process-1/            what a further process of the training has of them
RUN/activations/00000040.safetensors
RUN/vectors.safetensors             what the layers gave for some evaluation examples, at the last observation
RUN/landscape.safetensors           the loss around the way of the training, where it was computed afterwards
RUN/checkpoints/                    Orbax: what `--resume` needs; no report reads it
RUN/.lock                           held while a recorder is open
"""

import json
from collections.abc import Sequence
from pathlib import Path

from reportgen.errors import RunError

FORMAT = 5
"""Version of the layout. A reader reads earlier ones, and refuses a run of a later one."""

ALONE, PARTED, BY_HEAD = 3, 4, 5
"""Formats of runs, of which each has the least that tells what is in it: 4 adds snapshots that several processes wrote,
5 layers with heads, whose channels were added up over the heads before."""

RUN_FILE = "run.json"
STEPS_FILE = "steps.jsonl"
EPOCHS_FILE = "epochs.jsonl"
DATA_FILE = "data.safetensors"
VECTORS_FILE = "vectors.safetensors"
LANDSCAPE_FILE = "landscape.safetensors"
LOCK_FILE = ".lock"
SNAPSHOTS = "snapshots"
ACTIVATIONS = "activations"
CHECKPOINTS = "checkpoints"

ENTRIES = (
    *(RUN_FILE, STEPS_FILE, EPOCHS_FILE, DATA_FILE, VECTORS_FILE, LANDSCAPE_FILE, LOCK_FILE),
    *(SNAPSHOTS, ACTIVATIONS, CHECKPOINTS),
)
"""Everything in a run directory except half-written files."""

MOST_NETWORKS = 12
"""Runs side by side in a folder of which one page is made."""

LONGEST_STEP = 15
"""Digits of a step: below 2**53, so that it is exact in every number type that it meets."""


def is_header(run_file: Path) -> bool:
    """Whether it is the run.json of a run, and not of another program."""
    try:
        header = json.loads(run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and {"format", "layers", "classes"} <= header.keys()


def runs_beneath(folder: Path) -> list[Path]:
    """The runs side by side in a folder that is none itself, as of networks trained together, by name."""
    try:
        within = [] if (folder / RUN_FILE).exists() else sorted(folder.iterdir())
    except OSError:
        return []
    return [entry for entry in within if is_header(entry / RUN_FILE)]


def several(folder: Path, runs: Sequence[Path]) -> str:
    """A sentence on how to name one of the runs of a folder."""
    names = [run.name for run in runs[:3]] + ([f"{len(runs) - 3:,} more"] if len(runs) > 3 else [])
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{folder} holds the run{'s' * (len(runs) > 1)} {listed}: name one of them, such as {runs[0]}"


def step_file(folder: Path, step: int) -> Path:
    """The file of one step; zero-padded, so that names sort as steps do."""
    return folder / f"{step:08d}.safetensors"


def has_snapshots(run: Path) -> bool:
    """Whether any snapshot was written into the run."""
    return any((run / SNAPSHOTS).glob("*.segment")) or bool(listed_steps(run / SNAPSHOTS))


def listed_steps(folder: Path) -> list[int]:
    """Steps that have a whole file in `folder`, ascending; half-written files have other names.

    Raises RunError when the folder is there and can't be listed.
    """
    if not folder.is_dir():
        return []
    try:
        names = [file.stem for file in folder.glob("*.safetensors")]
    except OSError as error:
        raise RunError(f"{folder} can't be listed: {error.strerror or error}", code="F105") from error
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= LONGEST_STEP)
