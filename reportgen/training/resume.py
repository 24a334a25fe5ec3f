"""Whether a training goes on as it was begun: a run has one configuration, and the page says which.

check_same(run, config, dataset.fingerprint)       # RunError names what differs
check_more(run, epochs=5, done=5)                  # OptionError: nothing is left to do
"""

from pathlib import Path
from typing import Any

from reportgen.errors import OptionError, RunError
from reportgen.store import layout
from reportgen.store.reader import read_header
from reportgen.training.config import TrainConfig


def begun_with(run: Path) -> tuple[dict[str, Any], str, str] | None:
    """(config, fingerprint of the data, status) of the run in `run`; None where there is no run.json."""
    if not (run / layout.RUN_FILE).exists():
        return None
    header, _ = read_header(run)
    return header.config, str(header.provenance.get("dataset_fingerprint")), header.status


def check_same(run: Path, config: TrainConfig, fingerprint: str) -> None:
    """Raise RunError when the run in `run` was begun with other options than `config`, or with other data.

    All differences are named, side by side.
    """
    before = begun_with(run)
    if before is None:
        return
    differences = config.differences(before[0])
    if fingerprint != before[1]:
        differences.append(f"fingerprint of the data {before[1][:12]}, now {fingerprint[:12]}")
    if differences:
        raise RunError(
            f"{run} can't be resumed, it was begun with other options: {'; '.join(differences)}. "
            "Give those that it was begun with, or replace it (--overwrite)",
            code="R107",
        )


def check_more(run: Path, epochs: int, done: int) -> None:
    """Raise OptionError when there is nothing left to do. A run without a final status may be closed."""
    before = begun_with(run)
    if epochs < done or (epochs == done and before is not None and before[2] == "finished"):
        raise OptionError(
            f"nothing is left to do: {run} has {done} epochs, and {epochs} are asked for; ask for more", code="O106"
        )
