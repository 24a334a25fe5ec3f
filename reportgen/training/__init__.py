"""Trains the built-in models, or a user's, and records them through `record.Recorder`.

from reportgen.training import train
"""

from reportgen.training.loop import Summary, train
from reportgen.training.reproduce import read_report

__all__ = ["Summary", "read_report", "train"]
