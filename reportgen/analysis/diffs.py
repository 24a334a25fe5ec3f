"""How the parameters differ between two snapshots.

    for diff in differences(run.snapshots[0], run.snapshots[400]):
        print(diff.name, diff.mean_abs, diff.correlation, diff.away, diff.toward)

Everything is computed in float64 whatever the parameters' dtype. Elements whose difference is NaN or
infinite are counted in `non_finite` and excluded from every other number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reportgen.analysis.numerics import as_float64, correlation, mean
from reportgen.core.arrays import Float64Array
from reportgen.core.run import Snapshot
from reportgen.errors import DataError, OptionError, choices


@dataclass(frozen=True, eq=False)
class ParamDiff:
    """One parameter's change from a snapshot to a later one: delta = after - before.

    before, after  the parameter in the earlier and in the later snapshot, its own shape, float64
    delta          the change, same shape, float64; NaN or infinite where either value is
    size           number of elements; `non_finite` of them have no finite difference, and the numbers below
                   are over the others
    mean, mean_abs, max_abs   of the change; None where no element is finite
    increased, decreased      number of elements that rose and that fell; the others did not change
    correlation    Pearson's, between value before and change; None where either is constant or fewer than
                   two elements are finite
    away, toward   number of elements that moved away from zero (positive that rose, negative that fell) and
                   toward or through it (positive that fell, negative that rose). Elements that started at
                   exactly 0, as biases do, are in neither.
    """

    name: str
    size: int
    non_finite: int
    mean: float | None
    mean_abs: float | None
    max_abs: float | None
    increased: int
    decreased: int
    correlation: float | None
    away: int
    toward: int
    before: Float64Array = field(repr=False)
    after: Float64Array = field(repr=False)

    @property
    def delta(self) -> Float64Array:
        """after - before."""
        return _change(self.before, self.after)

    @property
    def relative(self) -> float | None:
        """Mean absolute change / mean absolute value before; None where either is missing or the latter 0."""
        finite = np.abs(self.before[np.isfinite(self.before)])
        size = float(finite.mean()) if finite.size else 0.0
        return None if self.mean_abs is None or size == 0 else self.mean_abs / size


def difference(before: np.ndarray, after: np.ndarray, name: str = "parameter") -> ParamDiff:
    """The change of one parameter from `before` to `after`, arrays of one shape and any real dtype.

    Raises DataError when the shapes differ or the values are not real numbers.
    """
    start, end = as_float64(before, name), as_float64(after, name)
    if start.shape != end.shape:
        raise DataError(
            f"{name} has shape {start.shape} in the first snapshot and {end.shape} in the second; expected one shape.",
            code="A101",
        )
    delta = _change(start, end)
    finite = np.isfinite(delta)
    initial, change = start[finite], delta[finite]
    rose, fell = change > 0, change < 0
    positive, negative = initial > 0, initial < 0
    return ParamDiff(
        name=name,
        size=delta.size,
        non_finite=delta.size - change.size,
        mean=mean(change),
        mean_abs=mean(np.abs(change)),
        max_abs=float(np.abs(change).max()) if change.size else None,
        increased=int(rose.sum()),
        decreased=int(fell.sum()),
        correlation=correlation(initial, change),
        away=int((positive & rose).sum() + (negative & fell).sum()),
        toward=int((positive & fell).sum() + (negative & rose).sum()),
        before=start,
        after=end,
    )


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    # `non_finite` counts inf - inf and differences beyond float64.
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(after - before)


def differences(
    snapshot_a: Snapshot, snapshot_b: Snapshot, names: Sequence[str] | None = None
) -> tuple[ParamDiff, ...]:
    """The change of every parameter (or of `names`, in that order) from `snapshot_a` to `snapshot_b`.

    Raises OptionError for a name that a snapshot does not have, and DataError when, without `names`,
    the two do not hold the same parameters.
    """
    if names is None:
        unpaired = sorted(set(snapshot_a.params) ^ set(snapshot_b.params))
        if unpaired:
            raise DataError(
                f"steps {snapshot_a.step} and {snapshot_b.step} do not hold the same parameters: "
                f"{', '.join(unpaired[:10])} in only one of them. Name the parameters to compare.",
                code="A101",
            )
        names = list(snapshot_a.params)
    for name in names:
        for snapshot in (snapshot_a, snapshot_b):
            if name not in snapshot.params:
                raise OptionError(
                    f"the snapshot of step {snapshot.step} has no parameter {name!r}: {choices(name, snapshot.params)}",
                    code="O105",
                )
    return tuple(difference(snapshot_a.params[name], snapshot_b.params[name], name) for name in names)
