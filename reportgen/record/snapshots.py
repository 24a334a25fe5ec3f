"""What is kept of a network's variables: after updates, and at the ends of epochs, unless they are there already.

    snapshots = Snapshots(path, copier, pace, background, writer, processes, step)
    snapshots.write(step, epoch, packed)                # in the writer thread
    snapshots.end(variables, step, epoch)

Of several processes the first writes the run, and each of the others its part of what is spread over them. What is left
out of updates is the first one's decision: the others follow at the end of each epoch, and until then keep more.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reportgen.errors import RunError
from reportgen.record.background import Background
from reportgen.record.copies import Copier, Share
from reportgen.record.pace import Pace
from reportgen.record.processes import Processes
from reportgen.store import Packed, PartWriter, Piece, RunWriter, part_folder, recorded_pieces
from reportgen.store.layout import SNAPSHOTS

OTHER_PARAMETERS = (
    "epoch() was given other parameters than the last step(): these are evaluated, and kept as those of this step; "
    "those of step() stand beside them as the collection step_params"
)


class Kept:
    """Which variables were kept last: their step and collections, and whether they are those at hand."""

    def __init__(self, step: int, kinds: Set[str] = frozenset(), params: Any = None):
        self.step = step
        self.kinds = kinds
        # The arrays themselves are the loop's, to be freed when it goes on.
        arrays = [leaf for leaf in jax.tree.leaves(params) if isinstance(leaf, jax.Array)]
        self._arrays = [weakref.ref(array) for array in arrays]

    def has(self, params: Any) -> bool:
        """Whether these very arrays were kept; False does not say that others were."""
        leaves = jax.tree.leaves(params)
        return len(leaves) == len(self._arrays) and all(
            ref() is leaf for ref, leaf in zip(self._arrays, leaves, strict=True)
        )


class Snapshots:
    """Hands a training's variables to the writer thread. `step` is the one whose snapshot is there, -1 for none."""

    def __init__(
        self,
        path: Path,
        copier: Copier,
        pace: Pace,
        background: Background,
        writer: RunWriter | None,
        processes: Processes,
        step: int,
    ):
        self._folder = path / SNAPSHOTS
        self._copier, self._pace, self._background, self._processes = copier, pace, background, processes
        self._part: PartWriter | None = None
        self._writer = writer
        self._before = step
        self._kept = Kept(step)

    def note(self, step: int, kinds: Set[str], params: Any = None) -> None:
        """Note of which collections a step's snapshot is, and its parameters where they are at hand."""
        self._kept = Kept(step, kinds, params)

    def open(self) -> None:
        """Begin this process's part of the run, where it is not the first one: there is something to write."""
        if self._writer is None and self._part is None:
            self._part = PartWriter(self._folder, self._processes.index, self._before)

    def write(self, step: int, epoch: int, packed: Packed, *, end: bool = False) -> None:
        """Write what this process has of the variables of a step. In the writer thread."""
        if (log := self._writer or self._part) is not None:
            log.record(step, epoch, packed, end=end)

    def submit(self, work: Callable[[], None]) -> None:
        """Have the writer thread do it. Raises what it failed with; of several processes, all do at the next `end`."""
        with suppress(Exception) if self._processes.count > 1 else nullcontext():
            self._background.submit(work)

    def end(self, variables: Mapping[str, Any], step: int, epoch: int) -> bool:
        """Write the variables at the end of an epoch, unless they are there. All processes call it alike.

        Returns whether those of the last update were others, which are kept beside them as `step_params`. Raises what
        the writer thread of any process failed with.
        """
        trees = self._copier.recorded(variables)
        share, told = Share.of(trees), self._agreed(trees, step)
        there = all(one["there"] for one in told)
        differs = there and any(one["differs"] for one in told)
        if differs:
            share = share.with_step_params(self._params_at(step))
        if differs or not there or not self._kept.kinds >= set(trees):
            self._kept = Kept(step, set(trees), trees["params"])
            if share.layout is not None:
                packed = share.fetched()
                self.submit(lambda: self.write(step, epoch, packed, end=True))
        if self._part is not None:
            part, stage, self._pace.stride = self._part, told[0]["stage"], told[0]["stride"]
            self.submit(lambda: part.follow(stage, step))
        return differs

    def _agreed(self, trees: Mapping[str, Any], step: int) -> list[dict[str, Any]]:
        """What each process knows of the step: whether it has a snapshot of it, and of other parameters."""
        there, differs, problem = self._kept.step == step, False, None
        try:
            if there or self._processes.count > 1:
                self._background.wait()  # only then is it known whether that step was given up
            share = Share.of({"params": trees["params"]})
            if share.layout is not None:
                self.open()
            log = self._writer or self._part
            there = there and (log is None or log.recorded == step)
            differs = there and not self._kept.has(trees["params"]) and not share.is_in(self._params_at(step))
        except Exception as error:
            if self._processes.count == 1:
                raise
            problem = str(error)[:300]
        told: list[dict[str, Any]] = self._processes.exchange(
            {
                **{"step": step, "there": there, "differs": differs, "problem": problem},
                **{"stride": self._pace.stride, "stage": 0 if self._writer is None else self._writer.stage},
            }
        )
        self._processes.check([one["problem"] for one in told])
        if apart := {one["step"] for one in told} - {step}:
            raise RunError(
                f"the processes do not record alike: an epoch ends after {step:,} updates in process "
                f"{self._processes.index}, and after {min(apart):,} in another; call the recorder alike in all of them",
                code="C110",
            )
        return told

    def _params_at(self, step: int) -> dict[Piece, np.ndarray]:
        """The pieces of parameters that this process recorded of a step."""
        process = self._processes.index
        pieces = recorded_pieces(part_folder(self._folder, process) if process else self._folder, step)
        return {piece: array for piece, array in pieces.items() if piece.name.startswith("params/")}

    def close(self, status: str, seconds: float, notes: Sequence[str] = ()) -> None:
        """Complete what this process has written."""
        if self._writer is not None:
            self._writer.paced = self._pace.note
            self._writer.close(status, seconds, notes)
        elif self._part is not None:
            self._part.close()
