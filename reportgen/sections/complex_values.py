"""A page of a network that computes with complex numbers: its parameters in two parts each, and a note that says so.

run = with_real_parts(run)
run.snapshots[0].params["ssm/B (real)"], run.snapshots[0].params["ssm/B (imaginary)"]
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from reportgen.core.run import Run, Snapshot
from reportgen.store.files import Lazy

PARTS = {" (real)": np.real, " (imaginary)": np.imag}

T = TypeVar("T")


def with_real_parts(run: Run) -> Run:
    """The run with two real parameters in place of each complex one; the run itself where there is none.

    Their names end in `PARTS`. A note tells of them, and of layers with complex values, of which magnitudes were kept.
    """
    steps = list(run.snapshots)
    # A parameter may have become complex on the way.
    ends = [run.snapshots[step].forms for step in dict.fromkeys((*steps[:1], *steps[-1:]))]
    names = {name for forms in ends for name, array in forms.items() if np.iscomplexobj(array)}
    layers = [path for path, layer in run.network.layers.items() if layer.dtype.startswith("complex")]
    if not names and not layers:
        return run
    notes = list(run.notes)
    if names:
        notes.append(f"Complex parameters are shown as two, by real and imaginary part: {', '.join(sorted(names))}.")
    if layers:
        notes.append(f"Of layers with complex values, the magnitudes are shown: {', '.join(layers)}.")
    described = {
        path: replace(layer, params=_parted(layer.params, names)) for path, layer in run.network.layers.items()
    }
    return replace(
        run,
        network=replace(run.network, layers=described),
        snapshots=Lazy(dict.fromkeys(steps), lambda step: _split(run.snapshots[step], names))
        if names
        else run.snapshots,
        notes=tuple(notes),
    )


def _split(snapshot: Snapshot, names: Collection[str]) -> Snapshot:
    whole = snapshot.params

    def part(name: str) -> np.ndarray:
        for end, take in PARTS.items():
            if (complex_name := name.removesuffix(end)) in names:
                return np.asarray(take(whole[complex_name]))
        return whole[name]

    params = Lazy(_parted(dict.fromkeys(whole), names), part)
    return replace(snapshot, variables={**snapshot.variables, "params": params})


def _parted(named: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    """The same with both parts' names in place of those of `names`."""
    return {
        part: value
        for name, value in named.items()
        for part in ([f"{name}{end}" for end in PARTS] if name in names else [name])
    }
