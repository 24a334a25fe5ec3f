"""The loss around the way that a training took: `Run.landscape`."""

from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import (
    GridLosses,
    Path2,
    PerComponent,
    PerGridColumn,
    PerGridRow,
    PerLinePoint,
    PerState,
    Steps,
)


@dataclass(frozen=True)
class Landscape:
    """The loss on a plane near a training's states, and on the line between two of them.

    steps        the states: snapshots through whose parameters the plane is laid, ascending
    path         [state, 2]: the point of the plane nearest to each state, in the units of the parameters. The plane
                 goes through the last state, its origin, along the two largest principal directions of all states
    distances    [state]: from each state to that point
    shares       [component]: of the states' variance around their mean, descending; the first two are the plane's
    state_loss   [state]: the loss of each state itself
    x, y         [column], [row]: where on the plane the loss was computed
    loss         [row, column]: the loss there; not finite where the network's output is not
    between      the two steps that the line joins
    along        [point]: from 0 at the first of them to 1 at the second
    line_loss    [point]: the loss there
    measure      what the loss is, such as "cross-entropy"
    examples     how many it is the mean over
    part         what they are: "training" or "evaluation"
    reestimated  whether batch statistics were estimated anew at each point, from the same examples
    """

    steps: Steps
    path: Path2
    distances: PerState
    shares: PerComponent
    state_loss: PerState
    x: PerGridColumn
    y: PerGridRow
    loss: GridLosses
    between: tuple[int, int]
    along: PerLinePoint
    line_loss: PerLinePoint
    measure: str
    examples: int
    part: str
    reestimated: bool

    def hidden(self) -> np.ndarray:
        """[state]: the share of each state's distance from the last one that leads out of the plane, from 0 to 1."""
        inside = np.linalg.norm(self.path, axis=1)
        whole = np.hypot(inside, self.distances)
        return self.distances / np.where(whole > 0, whole, 1)
