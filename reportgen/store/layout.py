"""Names and versions of what lies in a run directory. docs/run-format.md describes it in prose.

RUN/run.json                        what was asked for, layers, classes, provenance, status
RUN/steps.jsonl  epochs.jsonl       a JSON object per update, per recorded epoch
RUN/data.safetensors                probe and evaluation images, labels
RUN/snapshots/00000040.safetensors  parameters after 40 updates
RUN/activations/00000040.safetensors
RUN/checkpoints/                    Orbax: what `--resume` needs; no report reads it
RUN/.lock                           held while a recorder is open
"""

from pathlib import Path

FORMAT = 1
"""Version of the layout. A reader refuses a run of a later one."""

RUN_FILE = "run.json"
STEPS_FILE = "steps.jsonl"
EPOCHS_FILE = "epochs.jsonl"
DATA_FILE = "data.safetensors"
LOCK_FILE = ".lock"
SNAPSHOTS = "snapshots"
ACTIVATIONS = "activations"
CHECKPOINTS = "checkpoints"


def step_file(folder: Path, step: int) -> Path:
    """The file of one step; zero-padded, so that names sort as steps do."""
    return folder / f"{step:08d}.safetensors"


def listed_steps(folder: Path) -> list[int]:
    """Steps that have a whole file in `folder`, ascending; half-written files have other names."""
    if not folder.is_dir():
        return []
    return sorted(int(file.stem) for file in folder.glob("*.safetensors") if file.stem.isdigit())
