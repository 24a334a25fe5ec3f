"""How far a classifier's confidence can be trusted, and how often the truth is among its first guesses.

    ranked = observation.top_classes["evaluation"]
    found = calibration(ranked.probabilities[:, 0], ranked.classes[:, 0] == labels)
    found.error, found.chance, found.accuracy

Confidence is the probability of the predicted class.
"""

from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import BinCounts, Correct, Labels, PerBin, RankedClasses, RankedHits, Shares
from reportgen.errors import DataError

BINS = 15
"""Bins of equal width, as many as in Guo et al. 2017, so that the errors can be compared."""

DRAWS, DRAWN = 1000, 20_000_000
"""Times that outcomes are drawn from the confidences; fewer where that took more numbers than this."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against accuracy in bins of equal width from 0 to 1, each open at its lower end.

    images      [bin] int64: examples whose confidence lies in the bin
    right       [bin] int64: those of them that are classified correctly
    confidence  [bin] float64: their mean confidence; NaN for an empty bin
    error       the expected calibration error, the mean of |accuracy − confidence| over bins, weighted by their
                examples (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017, arXiv:1706.04599); NaN without examples
    chance      (mean, 95th percentile) of the error that a perfectly calibrated network with these confidences would
                have on so many examples, whose outcomes are drawn from the confidences (consistency resampling:
                Bröcker and Smith 2007); NaN likewise
    mean        mean confidence over all examples; NaN likewise
    """

    images: BinCounts
    right: BinCounts
    confidence: PerBin
    error: float
    chance: tuple[float, float]
    mean: float

    @property
    def accuracy(self) -> PerBin:
        """[bin] float64: the share of each bin that is classified correctly; NaN for an empty one."""
        return _divided(self.right.astype(np.float64), self.images)


def calibration(confidence: Shares, right: Correct) -> Calibration:
    """Compare `confidence` [example], from 0 to 1, with whether each is `right`.

    Raises DataError for unequal lengths, or a confidence that is no number from 0 to 1.
    """
    sure = np.asarray(confidence, np.float64)
    if sure.shape != right.shape:
        raise DataError(f"there are {sure.size} confidences for {right.size} answers.", code="A101")
    # The softmax of float32 may exceed 1 by its rounding.
    if not ((sure >= 0) & (sure <= 1 + 1e-6)).all():
        raise DataError("each confidence must be a number from 0 to 1.", code="A101")
    sure = np.minimum(sure, 1.0)
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    images = np.bincount(place, minlength=BINS)
    sums = np.bincount(place, sure, BINS)
    hits = np.bincount(place[right], minlength=BINS)
    if not len(sure):
        return Calibration(images, hits, np.full(BINS, np.nan), np.nan, (np.nan, np.nan), np.nan)
    error = float(np.abs(hits - sums).sum() / len(sure))
    return Calibration(images, hits, _divided(sums, images), error, _chance(sure, place, sums), float(sure.mean()))


def top_right(classes: RankedClasses, labels: Labels) -> RankedHits:
    """[rank] int64: examples whose label is among the classes of the first ranks, up to each."""
    found: RankedHits = (classes == labels[:, None]).cumsum(axis=1).sum(axis=0).astype(np.int64)
    return found


def _divided(sums: PerBin, counts: BinCounts) -> PerBin:
    share: PerBin = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return share


def _chance(sure: np.ndarray, place: np.ndarray, sums: np.ndarray) -> tuple[float, float]:
    order = np.argsort(place, kind="stable")
    filled, starts = np.unique(place[order], return_index=True)
    chances, rng = sure[order].astype(np.float32), np.random.default_rng(0)
    errors = [
        np.abs(np.add.reduceat(rng.random(len(chances), np.float32) < chances, starts, dtype=np.int64) - sums[filled])
        for _ in range(max(20, min(DRAWS, DRAWN // len(sure))))
    ]
    drawn = np.sum(errors, axis=1) / len(sure)
    return float(drawn.mean()), float(np.quantile(drawn, 0.95))
