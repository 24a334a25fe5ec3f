"""What `--resume` needs, kept by Orbax at the end of every epoch: parameters, optimizer state, step.

    epoch, state = latest(run, like=state)
    with Checkpoints(run) as checkpoints:
        checkpoints.save(epoch, state)

The random numbers of an epoch (order of the data, dropout) follow from the seed, the epoch and the step,
so nothing of a generator has to be kept.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from reportgen.errors import RunError
from reportgen.store import layout


class Checkpoints:
    """Writes the checkpoints of one run. The last two are kept, so that one is always whole."""

    def __init__(self, run: Path):
        import orbax.checkpoint as ocp  # 0.8 s to import

        self._save_arguments = ocp.args.StandardSave
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(_folder(run), options=options)

    def save(self, epoch: int, state: Any) -> None:
        """Keep `state`, a tree of arrays, as the one after `epoch`."""
        self._manager.save(epoch, args=self._save_arguments(state), force=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()


def latest(run: Path, like: Any) -> tuple[int, Any]:
    """(epoch, state) of the last whole checkpoint of a run; `like` is a state of the same structure.

    Raises RunError when there is none, or when it is of another model or optimizer.
    """
    import orbax.checkpoint as ocp

    folder = _folder(run)
    if not folder.is_dir():
        raise RunError(f"{run} has no checkpoint to resume from; record it without --resume")
    with ocp.CheckpointManager(folder) as manager:
        epoch = manager.latest_step()
        if epoch is None:
            raise RunError(f"{run} has no whole checkpoint to resume from; record it with --overwrite")
        wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), like)
        try:
            return epoch, manager.restore(epoch, args=ocp.args.StandardRestore(wanted))
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"the checkpoint of {run} does not fit this model and optimizer; "
                f"resume with the options it was begun with ({error})"
            ) from error


def _folder(run: Path) -> Path:
    return (run / layout.CHECKPOINTS).absolute()
