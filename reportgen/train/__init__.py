"""Trains the built-in models, or a user's, and records them through `record.Recorder`.

from reportgen.train import train
"""

from reportgen.train.again import read_report
from reportgen.train.loop import Summary, train

__all__ = ["Summary", "read_report", "train"]
