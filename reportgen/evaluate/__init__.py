"""The one place where batches pass through a captured model: an evaluator, and reducers of what it computes.

    evaluator = Evaluator(capture, [Ranges(), Predictions()])
    ranges, (predictions, logit_gap) = evaluator(variables, inputs, labels)

A further reducer is a class with the three methods of `Reducer`, in a file of its own.
"""

from reportgen.evaluate.evaluator import Evaluator, Examples, Reducer, predicted
from reportgen.evaluate.observe import Observer
from reportgen.evaluate.outcomes import loss_of
from reportgen.evaluate.parts import token_leaf
from reportgen.evaluate.reducers import LabelSums, Maps, Predictions, Ranges, Vectors
from reportgen.evaluate.task import MOST_VALUES, is_single, scores_in, task_of
from reportgen.evaluate.top import Top

__all__ = [
    "MOST_VALUES",
    "Evaluator",
    "Examples",
    "LabelSums",
    "Maps",
    "Observer",
    "Predictions",
    "Ranges",
    "Reducer",
    "Top",
    "Vectors",
    "is_single",
    "loss_of",
    "predicted",
    "scores_in",
    "task_of",
    "token_leaf",
]
