"""Trains the built-in models, or a user's, and records them through `record.Recorder`.

from reportgen.training import train
"""

from reportgen.training.again import read_report
from reportgen.training.loop import Summary, train

__all__ = ["Summary", "read_report", "train"]
