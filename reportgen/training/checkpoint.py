"""What `--resume` needs, kept by Orbax at the end of every epoch: parameters, optimizer state, step.

    epoch, state = latest(run, like=state)
    with Checkpoints(run) as checkpoints:
        checkpoints.save(epoch, state)

The random numbers of an epoch (order of the data, dropout) follow from the seed, the epoch and the step,
so nothing of a generator has to be kept.
"""

import logging
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reportgen.errors import RunError
from reportgen.store import layout
from reportgen.weights import read


class Checkpoints:
    """Writes the checkpoints of one run, one after each epoch, which `replay` reads too."""

    def __init__(self, run: Path):
        import orbax.checkpoint as ocp  # 0.8 s to import

        self._save_arguments = ocp.args.StandardSave
        options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(_folder(run), options=options)

    def save(self, epoch: int, state: Any) -> None:
        """Keep `state`, a tree of arrays, as the one after `epoch`. Raises RunError when it can't be written."""
        content = {"state": state, "crc32": _checksum(state)}
        log = logging.getLogger("absl")
        quiet, log.disabled = log.disabled, True  # a failure is reported once, below, not by each of Orbax's threads
        try:
            if epoch in self._manager.all_steps():  # a damaged one, which the training went on without
                self._manager.delete(epoch)
            self._manager.save(epoch, args=self._save_arguments(content), force=True)
        except Exception as error:  # Orbax and tensorstore raise a dozen kinds for a disk that does not take it
            raise RunError(
                f"a checkpoint could not be written to {self._manager.directory}: {_first_line(error)}", code="F105"
            ) from error
        finally:
            log.disabled = quiet

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()


def latest(run: Path, like: Any) -> tuple[int, Any]:
    """(epoch, state) of the last whole checkpoint of a run; `like` is a state of the same structure.

    Raises RunError when there is none, or when it is of another model or optimizer. Orbax keeps no
    checksums of what it writes; ours tells a damaged checkpoint, and the one before it is taken.
    """
    import orbax.checkpoint as ocp

    folder = _folder(run)
    if not folder.is_dir():
        raise RunError(f"{run} has no checkpoint to resume from; record it without --resume", code="R107")
    with ocp.CheckpointManager(folder) as manager:
        epochs = sorted(manager.all_steps(), reverse=True)
        if not epochs:
            raise RunError(f"{run} has no complete checkpoint to resume from; record it with --overwrite", code="R107")
        wanted = jax.eval_shape(lambda tree: tree, {"state": like, "crc32": np.uint32(0)})
        problem: Exception = ValueError("its values do not match their checksum")
        for epoch in epochs:
            try:
                read(folder, epoch)  # where a file is damaged Orbax prints tracebacks of what it had begun
                restored = manager.restore(epoch, args=ocp.args.StandardRestore(wanted))
            except Exception as error:  # as many kinds, down to a plain Exception, for one that is damaged
                problem = error
                continue
            if int(restored["crc32"]) == _checksum(restored["state"]):
                return epoch, restored["state"]
    raise RunError(
        f"the checkpoint of {run} is damaged, or does not fit this model and optimizer; "
        f"resume with the options it was begun with, or replace the run with --overwrite ({_first_line(problem)})",
        code="R107",
    ) from problem


def _first_line(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    # tensorstore names its files first and the cause last.
    return line if len(line) <= 300 else f"... {line[-200:]}"


def _checksum(state: Any) -> np.uint32:
    """CRC-32 of all values of a tree, in the order of its leaves."""
    checksum = 0
    for leaf in jax.tree.leaves(state):
        checksum = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data, checksum)
    return np.uint32(checksum)


def _folder(run: Path) -> Path:
    return run.absolute() / layout.CHECKPOINTS
