"""When each example was learned: first classified correctly, and forgotten again.

    history = learning(predicted, labels)          # predicted [frame, example], a frame per recorded epoch
    history.first[604], history.forgotten[604]     # frames, -1 for never

An example is forgotten where it goes from correct to wrong between two frames (Toneva et al., An Empirical Study of
Example Forgetting during Deep Neural Network Learning, ICLR 2019; there from one update to the next).
"""

from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import FramePredictions, Labels


@dataclass(frozen=True, eq=False)
class Learning:
    """What became of each example, [example] int64.

    first      the first frame in which it is correct, -1 for none
    forgotten  the last frame in which it is wrong after it was correct in the one before, -1 for none
    times      how often it was forgotten
    """

    first: Labels
    forgotten: Labels
    times: Labels


def learning(predicted: FramePredictions, labels: Labels) -> Learning:
    """The history of predictions [frame, example] for examples with `labels` [example]."""
    right = predicted == labels
    lost = right[:-1] & ~right[1:]
    frames = np.arange(1, len(right))[:, None]
    return Learning(
        first=np.where(right.any(axis=0), right.argmax(axis=0), -1).astype(np.int64),
        forgotten=np.where(lost, frames, -1).max(axis=0, initial=-1).astype(np.int64),
        times=lost.sum(axis=0).astype(np.int64),
    )
