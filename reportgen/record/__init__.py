"""The recorder: what a user's training loop calls.

from reportgen.record import Recorder
"""

from reportgen.record.keep import Keep, Start
from reportgen.record.recorder import Recorder

__all__ = ["Keep", "Recorder", "Start"]
