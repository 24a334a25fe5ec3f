"""The file of a run's landscape, which is written after the training: `landscape.safetensors`.

write_landscape(run.path, landscape)                    # or write_landscape("s3://bucket/runs/a", landscape)
landscape = read_landscape(run.path / layout.LANDSCAPE_FILE)
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from reportgen.core.landscape import Landscape
from reportgen.core.paths import named_path
from reportgen.errors import DamagedError
from reportgen.remote import delivered
from reportgen.store import layout
from reportgen.store.files import Tensors, write_tensors

_RANKS = {"loss": 2, "path": 2}


def write_landscape(run: str | Path, landscape: Landscape) -> None:
    """Write it into the run, in place of an earlier one. Raises RunError where it can't be written."""
    arrays: dict[str, np.ndarray] = {}
    stated: dict[str, Any] = {}
    for each in fields(Landscape):
        value = getattr(landscape, each.name)
        (arrays if isinstance(value, np.ndarray) else stated)[each.name] = value
    with delivered(f"{named_path(run)}/{layout.LANDSCAPE_FILE}") as file:
        write_tensors(file, arrays, {"landscape": json.dumps(stated, sort_keys=True)})


def read_landscape(file: Path) -> Landscape:
    """The landscape in the file. Raises DamagedError where it is not one."""
    tensors = Tensors(file)
    arrays: dict[str, Any] = {name: np.asarray(tensors[name]) for name in tensors}
    try:
        stated = json.loads(tensors.metadata["landscape"])
        first, last = stated.pop("between")
        found = Landscape(**arrays, **stated, between=(first, last))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"{file} holds no landscape ({error!r:.80})", code="R103") from error
    if problem := _problem(found):
        raise DamagedError(f"{file}: {problem}", code="R103")
    return found


def _problem(found: Landscape) -> str:
    """What is wrong with values of the right names, in words; "" for nothing."""
    hints = get_type_hints(Landscape)
    for name, kind in hints.items():
        value = getattr(found, name)
        if kind is np.ndarray:
            whole = np.int64 if name == "steps" else np.float64
            if value.dtype != whole or value.ndim != _RANKS.get(name, 1):
                return f"{name} is {value.dtype} of {list(value.shape)}"
        elif not isinstance(value, tuple) and type(value) is not kind:
            return f"{name} is {value!r:.40}"
    if not all(type(step) is int for step in found.between):
        return f"between is {found.between!r:.40}"
    states, points = len(found.steps), len(found.along)
    shapes = {
        "path": (states, 2),
        "distances": (states,),
        "state_loss": (states,),
        "loss": (len(found.y), len(found.x)),
        "line_loss": (points,),
    }
    wrong = [name for name, shape in shapes.items() if getattr(found, name).shape != shape]
    if states < 3 or len(found.x) < 2 or len(found.y) < 2 or points < 2 or len(found.shares) < 2:
        wrong.append("a part too short")
    known = (found.path, found.distances, found.shares, found.x, found.y, found.along)
    if not all(np.isfinite(each).all() for each in known):
        wrong.append("a place that is not finite")
    return f"what does not fit together: {', '.join(wrong)}" if wrong else ""
