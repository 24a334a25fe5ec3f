"""Complex parameters in a form that can be drawn and compared: their magnitudes.

run = with_magnitudes(run)      # the same run where all parameters are real
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from reportgen.core.run import Run, Snapshot

K = TypeVar("K")
T = TypeVar("T")


class _Mapped(Mapping[K, T]):
    """A mapping of which each value is converted when it is asked for."""

    def __init__(self, source: Mapping[K, T], convert: Callable[[T], T]):
        self._source = source
        self._convert = convert

    def __getitem__(self, key: K) -> T:
        return self._convert(self._source[key])

    def __contains__(self, key: object) -> bool:  # Mapping's own would read it
        return key in self._source

    def __iter__(self) -> Iterator[K]:
        return iter(self._source)

    def __len__(self) -> int:
        return len(self._source)


def with_magnitudes(run: Run) -> Run:
    """The run with the magnitudes of its complex parameters in their place, and a note that names them."""
    first = next(iter(run.snapshots.values()))
    names = [name for name, value in first.params.items() if np.iscomplexobj(value)]
    if not names:
        return run
    note = f"Complex parameters are shown by their magnitudes: {', '.join(names)}."
    return replace(run, snapshots=_Mapped(run.snapshots, _real), notes=(*run.notes, note))


def _real(snapshot: Snapshot) -> Snapshot:
    params = _Mapped(snapshot.params, lambda value: np.abs(value) if np.iscomplexobj(value) else value)
    return replace(snapshot, variables={**snapshot.variables, "params": params})
