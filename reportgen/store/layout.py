"""Names and versions of what lies in a run directory. docs/run-format.md describes it in prose.

RUN/run.json                        configuration, layers, classes, provenance, status
RUN/steps.jsonl  epochs.jsonl       a JSON object per update, per recorded epoch
RUN/data.safetensors                inputs and labels of the batches
RUN/snapshots/00000040.safetensors  variables after 40 updates
RUN/activations/00000040.safetensors
RUN/vectors.safetensors             what the layers gave for some evaluation examples, at the last observation
RUN/checkpoints/                    Orbax: what `--resume` needs; no report reads it
RUN/.lock                           held while a recorder is open
"""

from pathlib import Path

from reportgen.errors import RunError

FORMAT = 2
"""Version of the layout. A reader reads earlier ones, and refuses a run of a later one."""

RUN_FILE = "run.json"
STEPS_FILE = "steps.jsonl"
EPOCHS_FILE = "epochs.jsonl"
DATA_FILE = "data.safetensors"
VECTORS_FILE = "vectors.safetensors"
LOCK_FILE = ".lock"
SNAPSHOTS = "snapshots"
ACTIVATIONS = "activations"
CHECKPOINTS = "checkpoints"

ENTRIES = (
    *(RUN_FILE, STEPS_FILE, EPOCHS_FILE, DATA_FILE, VECTORS_FILE, LOCK_FILE),
    *(SNAPSHOTS, ACTIVATIONS, CHECKPOINTS),
)
"""Everything in a run directory except half-written files."""

LONGEST_STEP = 15
"""Digits of a step: below 2**53, so that it is exact in every number type that it meets."""


def step_file(folder: Path, step: int) -> Path:
    """The file of one step; zero-padded, so that names sort as steps do."""
    return folder / f"{step:08d}.safetensors"


def listed_steps(folder: Path) -> list[int]:
    """Steps that have a whole file in `folder`, ascending; half-written files have other names.

    Raises RunError when the folder is there and can't be listed.
    """
    if not folder.is_dir():
        return []
    try:
        names = [file.stem for file in folder.glob("*.safetensors")]
    except OSError as error:
        raise RunError(f"{folder} can't be listed: {error.strerror or error}") from error
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= LONGEST_STEP)
