"""How the parameters differ between two snapshots.

    for diff in differences(run.snapshots[0], run.snapshots[400]):
        print(diff.name, diff.mean_abs, diff.correlation, diff.away, diff.toward)

Everything is computed in float64 whatever the parameters' dtype. Elements whose difference is NaN or
infinite are counted in `non_finite` and excluded from every other number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reportgen.analysis.numerics import Correlation, as_float64, correlation, mean, parts
from reportgen.core.numbers import PART
from reportgen.core.run import Snapshot
from reportgen.errors import DataError, OptionError, choices


@dataclass(frozen=True, eq=False)
class ParamDiff:
    """One parameter's change from a snapshot to a later one: delta = after - before.

    shape          of the parameter; `size` is the number of its elements, and `non_finite` of them have no finite
                   difference: the numbers below are over the others
    mean, mean_abs, max_abs   of the change; None where no element is finite
    increased, decreased      number of elements that rose and that fell; the others did not change
    correlation    Pearson's, between value before and change; None where either is constant or fewer than
                   two elements are finite
    away, toward   number of elements that moved away from zero (positive that rose, negative that fell) and
                   toward or through it (positive that fell, negative that rose). Elements that started at
                   exactly 0, as biases do, are in neither.
    relative       mean absolute change / mean absolute value before; None where either is missing or the latter 0
    read           gives the parameter in the earlier and in the later snapshot
    """

    name: str
    shape: tuple[int, ...]
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
    relative: float | None
    read: Callable[[], tuple[np.ndarray, np.ndarray]] = field(repr=False)

    @property
    def before(self) -> np.ndarray:
        """The parameter in the earlier snapshot, of its own type, read anew."""
        return self.read()[0]

    @property
    def after(self) -> np.ndarray:
        """The parameter in the later snapshot, likewise."""
        return self.read()[1]

    @property
    def delta(self) -> np.ndarray:
        """after - before, same shape; NaN or infinite where either value is.

        float64; float32 of more than a million elements of four bytes or fewer.
        """
        return change(*self.read())


def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """after - before, as `ParamDiff.delta` is."""
    small = before.size > PART and before.itemsize <= 4
    delta = np.empty(before.shape, np.float32 if small else np.float64)
    for first, second, part in parts(before, after, delta):
        part[...] = _change(first, second)
    return delta


Pair = tuple[np.ndarray, np.ndarray]


def difference(
    before: np.ndarray, after: np.ndarray, name: str = "parameter", read: Callable[[], Pair] | None = None
) -> ParamDiff:
    """The change of one parameter from `before` to `after`, arrays of one shape and any real dtype.

    The result's `read` gives these arrays, which it then keeps; or is the function given: those of a large network do
    not fit in memory side by side. Raises DataError when the shapes differ or the values are not real numbers.
    """
    start, end = np.asarray(before), np.asarray(after)
    for values in (start, end):
        as_float64(values.reshape(-1)[:0], name)
    if start.shape != end.shape:
        raise DataError(
            f"{name} has shape {start.shape} in the first snapshot and {end.shape} in the second; expected one shape.",
            code="A101",
        )

    counts = np.zeros(4, np.int64)
    means: list[tuple[int, float | None, float | None]] = []
    initially: list[tuple[int, float | None]] = []
    largest, together = 0.0, Correlation()
    alone: float | None = None
    for first, second in parts(start, end):
        before, moved = first.astype(np.float64), _change(first, second)
        known = np.isfinite(before)
        size = np.abs(before if known.all() else before[known])
        initially.append((size.size, mean(size)))
        # Value before and change of the elements that have both.
        finite = np.isfinite(moved)
        if not finite.all():
            before, moved = before[finite], moved[finite]
        rose, fell, positive, negative = moved > 0, moved < 0, before > 0, before < 0
        away, toward = (positive & rose) | (negative & fell), (positive & fell) | (negative & rose)
        counts += [np.count_nonzero(which) for which in (rose, fell, away, toward)]
        size = np.abs(moved)
        means.append((moved.size, mean(moved), mean(size)))
        largest = max(largest, float(size.max(initial=0.0)))
        if first.size == start.size:
            alone = correlation(before, moved)
        else:
            together.add(before, moved)
    count = sum(number for number, *_ in means)
    mean_abs, size_before = _together([(number, value) for number, _, value in means]), _together(initially)
    increased, decreased, away_from, towards = counts.tolist()
    return ParamDiff(
        name=name,
        shape=start.shape,
        size=start.size,
        non_finite=start.size - count,
        mean=_together([(number, value) for number, value, _ in means]),
        mean_abs=mean_abs,
        max_abs=largest if count else None,
        increased=increased,
        decreased=decreased,
        correlation=together.result() if alone is None else alone,
        away=away_from,
        toward=towards,
        relative=None if mean_abs is None or not size_before else mean_abs / size_before,
        read=read or (lambda: (start, end)),
    )


def _together(means: Sequence[tuple[int, float | None]]) -> float | None:
    """The mean of all, of (number, mean) of parts; None without any element."""
    count = sum(number for number, _ in means)
    return sum(value * (number / count) for number, value in means if value is not None) if count else None


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    # `non_finite` counts inf - inf and differences beyond float64.
    with np.errstate(invalid="ignore", over="ignore"):
        change: np.ndarray = after.astype(np.float64) - before.astype(np.float64)
    return change


def differences(
    snapshot_a: Snapshot,
    snapshot_b: Snapshot,
    names: Sequence[str] | None = None,
    known: Mapping[str, ParamDiff] | None = None,
) -> tuple[ParamDiff, ...]:
    """The change of every parameter (or of `names`, in that order) from `snapshot_a` to `snapshot_b`.

    Those that are `known` are not computed again.
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
                    f"the snapshot of step {snapshot.step} has no parameter {name!r}; {choices(name, snapshot.params)}",
                    code="O105",
                )

    return tuple((known or {}).get(name) or stored_difference(snapshot_a, snapshot_b, name) for name in names)


def stored_difference(snapshot_a: Snapshot, snapshot_b: Snapshot, name: str, arrays: Pair | None = None) -> ParamDiff:
    """The change of one parameter between snapshots, of its `arrays` if they are at hand; `read` reads them anew."""

    def read() -> Pair:
        return snapshot_a.params[name], snapshot_b.params[name]

    return difference(*(arrays or read()), name, read)
