"""Names for shapes: what the axes of an array count, in the order that the field writes them.

    def mean_activity(sums: ByLabel, counts: LabelCounts) -> ByLabel: ...

To Python and to type checkers each is `numpy.ndarray`. The tests check the shapes too (`tests/shapes.py`):
the text is one of jaxtyping's dtypes and its axes, where equal names in one signature, or in the fields of one
dataclass, are equal sizes, `...` is any axes, `*shape` any axes that are the same ones again.
"""

from typing import Annotated

import numpy as np

Labels = Annotated[np.ndarray, "Int64 example"]
"""Index of a class for each example; -1 is none."""

Targets = Annotated[np.ndarray, "Shaped example ..."]
"""What the outputs of several examples are compared with."""

FramePredictions = Annotated[np.ndarray, "Int64 frame example"]
"""Index of the predicted class of each example in each frame; negative for none."""

Correct = Annotated[np.ndarray, "Bool _"]
"""Whether each example is classified correctly."""

LogitGaps = Annotated[np.ndarray, "Float32 example"]
Activations = Annotated[np.ndarray, "Shaped example ..."]
"""A layer's output for several examples."""

EmbeddingVectors = Annotated[np.ndarray, "Shaped example unit"]
Pixels = Annotated[np.ndarray, "Float32 y x color"]
"""One picture from 0 to 255; one or three colours."""

PixelBatch = Annotated[np.ndarray, "Float32 example y x color"]

LabelCounts = Annotated[np.ndarray, "Int64 label"]
PerLabel = Annotated[np.ndarray, "Float64 label"]
ByLabel = Annotated[np.ndarray, "Float64 label channel"]
SummedLabels = Annotated[np.ndarray, "Int64 summed"]
BySummedLabel = Annotated[np.ndarray, "Float64 summed channel"]
PerChannel = Annotated[np.ndarray, "Float64 channel"]
ChannelNumbers = Annotated[np.ndarray, "Int64 channel"]
"""A whole number for each channel: its place in an order, or its label."""
ChannelFlags = Annotated[np.ndarray, "Bool channel"]

ChannelRanges = Annotated[np.ndarray, "Float32 2 channel"]
"""The least and the largest value of each channel."""

ByExample = Annotated[np.ndarray, "Float64 example channel"]
ByExampleCounts = Annotated[np.ndarray, "Int64 example channel"]
ByExamplePlaces = Annotated[np.ndarray, "Int64 example channel axis"]
ChannelPlaces = Annotated[np.ndarray, "Int64 channel axis"]
"""A place in each channel: an index for each axis between example and channel."""

RankedValues = Annotated[np.ndarray, "Float32 rank channel"]
RankedExamples = Annotated[np.ndarray, "Int64 rank channel"]
RankedPlaces = Annotated[np.ndarray, "Int64 rank channel axis"]

ClassMatrix = Annotated[np.ndarray, "Int64 class class"]
"""Counts, true class by predicted class."""

BinCounts = Annotated[np.ndarray, "Int64 bin"]
PerBin = Annotated[np.ndarray, "Float64 bin"]
Shares = Annotated[np.ndarray, "Float _"]
"""From 0 to 1, for each example; unnamed, as unequal numbers of two sides are refused in words."""

RankedHits = Annotated[np.ndarray, "Int64 rank"]
PerClass = Annotated[np.ndarray, "Float64 class"]
ClassCounts = Annotated[np.ndarray, "Int64 class"]

ExampleScores = Annotated[np.ndarray, "Float32 example class"]
RankedClasses = Annotated[np.ndarray, "Int32 example rank"]
RankedProbabilities = Annotated[np.ndarray, "Float32 example rank"]
ExampleValues = Annotated[np.ndarray, "Float32 example value"]
ProbeOutputs = Annotated[np.ndarray, "Shaped probe ..."]
ExampleErrors = Annotated[np.ndarray, "Float32 example"]
PerExample = Annotated[np.ndarray, "Float64 _"]
"""Unnamed: unequal numbers of two sides are refused in words."""
PerPosition = Annotated[np.ndarray, "Float64 time"]
PositionCounts = Annotated[np.ndarray, "Int64 time"]
TokenLosses = Annotated[np.ndarray, "Float32 sequence time"]
TokenIds = Annotated[np.ndarray, "Int64 sequence time"]

ChannelMatrix = Annotated[np.ndarray, "Float64 channel other"]
"""A value for each channel of one network with each of another."""

Chosen = Annotated[np.ndarray, "Int64 chosen"]
"""Indices of some examples."""

ChannelValues = Annotated[np.ndarray, "Float64 _ _"]
"""[example, channel], to compute with; two in one signature may have other numbers of channels."""

Fingerprints = Annotated[np.ndarray, "UInt64 _"]
"""A number for each example that equal examples share."""

ChannelVectors = Annotated[np.ndarray, "Shaped _ _"]
"""A value per channel for each of some examples."""

Places = Annotated[np.ndarray, "Int64 _"]
"""Indices of some examples, in one signature as many as there are each time."""

Float64Array = Annotated[np.ndarray, "Float64 *shape"]
"""Values of any shape, to compute with."""

Packable = Annotated[np.ndarray, "Shaped _ ..."]
"""A value at each of some steps or frames; several in one signature may have other numbers of them."""


Points = Annotated[np.ndarray, "Shaped point unit"]
PointIndices = Annotated[np.ndarray, "Int64 point"]
PerUnit = Annotated[np.ndarray, "Float64 unit"]
Plane = Annotated[np.ndarray, "Float64 unit 2"]
"""Two directions in the space of the units."""

Layout = Annotated[np.ndarray, "Float64 point 2"]
Positions = Annotated[np.ndarray, "Float64 point axis"]
Frames = Annotated[np.ndarray, "Float64 frame point 2"]

Queries = Annotated[np.ndarray, "Shaped query unit"]
Neighbors = Annotated[np.ndarray, "Int64 query neighbor"]
NeighborDistances = Annotated[np.ndarray, "Float64 query neighbor"]
NeighborPlaces = Annotated[np.ndarray, "Float64 query neighbor 2"]
QueryDistances = Annotated[np.ndarray, "Float64 _ point"]
Placed = Annotated[np.ndarray, "Float64 query 2"]

AttentionWeights = Annotated[np.ndarray, "Float64 example head query key"]
"""The share of each key in what each query reads: from 0 to 1, 1 in all; NaN where a query reads nothing."""

PerHead = Annotated[np.ndarray, "Float64 head"]
Rollout = Annotated[np.ndarray, "Float64 example query key"]

Steps = Annotated[np.ndarray, "Int64 state"]
"""Updates after which a network's states were kept."""

Gram = Annotated[np.ndarray, "Float64 state state"]
"""Inner products of states."""
PerState = Annotated[np.ndarray, "Float64 state"]
Path2 = Annotated[np.ndarray, "Float64 state 2"]
Directions = Annotated[np.ndarray, "Float64 2 state"]
PerComponent = Annotated[np.ndarray, "Float64 component"]
PerGridColumn = Annotated[np.ndarray, "Float64 column"]
PerGridRow = Annotated[np.ndarray, "Float64 row"]
GridLosses = Annotated[np.ndarray, "Float64 row column"]
PerLinePoint = Annotated[np.ndarray, "Float64 point"]
