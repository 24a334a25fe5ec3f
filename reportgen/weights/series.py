"""The checkpoints of one training, in a folder or by a glob: which steps there are, and what was passed over.

    series = find_series("checkpoints/")
    series.found[1000].open()         # the tree of step 1000, of arrays that are read when they are asked for
    series.passed_over                # ("3000.orbax-checkpoint-tmp-1: it was not finished: ...",)

Orbax CheckpointManager folders of both of its APIs, and one file or folder per step whose name ends in the step:
`checkpoint_100` (Flax's msgpack), `step_000100.safetensors`, `model-00100.npz`.
"""

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reportgen.core.paths import local_path
from reportgen.errors import NoWeightsError, OptionError, WeightsError
from reportgen.weights import WEIGHTS, open_tree
from reportgen.weights.files import read_msgpack
from reportgen.weights.orbax import BEING_WRITTEN, MARK, finished_at, read_orbax, steps_in, unfinished
from reportgen.weights.tree import Tree

FLAX_PREFIX = "checkpoint"
"""Of files that `flax.training.checkpoints` writes, which have no suffix."""


@dataclass(frozen=True)
class Found:
    """One checkpoint: its step by its name, and when it was written, in seconds since 1970."""

    path: Path
    step: int
    written: float

    def open(self) -> Tree:
        """Its tree, of arrays that are read when they are asked for. Raises WeightsError."""
        if self.path.is_dir():
            return read_orbax(self.path)
        is_flax = self.path.suffix not in WEIGHTS and self.path.name.startswith(FLAX_PREFIX)
        return read_msgpack(self.path) if is_flax else open_tree(self.path)


@dataclass(frozen=True)
class Series:
    """Checkpoints by their steps, ascending, and a sentence for each that was passed over."""

    name: str
    found: Mapping[int, Found]
    passed_over: tuple[str, ...] = ()


def find_series(checkpoints: str | Path) -> Series:
    """The checkpoints in a folder, or of a glob pattern.

    Those that are still being written or were never finished are passed over. Raises WeightsError where there is none,
    and where two have the same step.
    """
    path = local_path(checkpoints)
    entries = _entries(path)
    found: dict[int, Found] = {}
    passed_over = []
    for entry in entries:
        step = step_of(entry)
        if step is None and entries == [path]:
            step = 0  # one checkpoint, which need not say of which step it is
        if entry.is_dir() and (step is not None or BEING_WRITTEN in entry.name):
            reason = unfinished(entry)
            if reason is None and not ((entry / MARK).is_file() or any(entry.glob(f"*/{MARK}"))):
                reason = "it holds no arrays"
            if reason is not None:
                passed_over.append(f"{entry.name}: {reason}")
                continue
        if step is None:
            if entry.suffix in WEIGHTS:
                passed_over.append(f"{entry.name}: its name ends in no step")
            continue
        if step in found:
            raise WeightsError(
                f"{path}: {found[step].path.name} and {entry.name} are both of step {step}; "
                f"give a pattern for those that belong together, such as '{path / (_prefix(entry) + '*')}'",
                code="W107",
            )
        found[step] = Found(entry, step, (finished_at(entry) if entry.is_dir() else None) or entry.stat().st_mtime)
    if not found:
        why = f" ({'; '.join(passed_over[:3])})" if passed_over else ""
        raise WeightsError(
            f"{path}: no checkpoints{why}; expected the folder of an Orbax CheckpointManager, or files whose names end "
            "in their steps: checkpoint_100, step_000100.safetensors, model-00100.npz",
            code="W107",
        )
    return Series(path.name, dict(sorted(found.items())), tuple(passed_over))


def _entries(path: Path) -> list[Path]:
    """What may be a checkpoint each: what a folder holds, what a pattern matches, or the one that is named."""
    if path.is_dir():
        is_one = (path / MARK).is_file() or (any(path.glob(f"*/{MARK}")) and not steps_in(path))
        return [path] if is_one else sorted(path.iterdir())
    matched = [Path(name) for name in sorted(glob.glob(str(path)))]  # noqa: PTH207  an absolute pattern
    if not matched:
        raise NoWeightsError(f"{path}: no such file or folder", code="F101")
    return matched


def step_of(path: Path) -> int | None:
    """The step that a checkpoint's name ends in; None for what is none."""
    stem = path.stem if path.suffix in WEIGHTS and not path.is_dir() else path.name
    number = re.fullmatch(r"(.*?)(\d{1,15})", stem)
    if number is None or path.name.startswith("."):
        return None
    if not path.is_dir() and path.suffix not in WEIGHTS and not stem.startswith(FLAX_PREFIX):
        return None
    return int(number[2])


def _prefix(path: Path) -> str:
    return re.sub(r"\d+$", "", path.stem)


def chosen_steps(steps: str, existing: list[int]) -> list[int]:
    """Those of the existing steps that a text such as "0,1000:10000:500" names: numbers, and FROM:TO or FROM:TO:EVERY.

    Both ends belong to a range. Raises OptionError for anything else, and for a number that is not there.
    """
    chosen: set[int] = set()
    for part in filter(None, (part.strip() for part in steps.split(","))):
        numbers = part.split(":")
        if len(numbers) > 3 or not all(number.isdigit() for number in numbers) or numbers[2:] == ["0"]:
            raise OptionError(f"steps are numbers and ranges, as in 0,1000:10000:500; not {part!r}", code="O106")
        first, *rest = map(int, numbers)
        last, every = (rest[0] if rest else first), (rest[1] if len(rest) > 1 else 1)
        inside = {step for step in existing if first <= step <= last and (step - first) % every == 0}
        if not inside:
            listed = ", ".join(map(str, existing[:12])) + (", ..." if len(existing) > 12 else "")
            raise OptionError(f"no checkpoint of step {part}; there are {listed}", code="W107")
        chosen |= inside
    return sorted(chosen)
