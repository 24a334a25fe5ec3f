"""Which updates are kept: as asked for, and fewer where recording takes more of the training's time than it may.

pace = Pace(every=1, share=0.03)
if pace.keeps(step): ...
pace.spent(step, seconds)
"""

import os
import time

from reportgen.core.numbers import ordinal

GRACE = 1.0
"""Seconds that recording may take before its share of the time is looked at."""


class Pace:
    """Keeps every n-th update, 0 for none; with a `share`, only multiples of growing powers of two of them.

    The share is that of the caller's time since updates were last left out. Where `SOURCE_DATE_EPOCH` is set, whose
    user asks for output that depends on no clock, none are.
    """

    def __init__(self, every: int, share: float | None):
        self._every = every
        self._share = None if os.environ.get("SOURCE_DATE_EPOCH") else share
        self.stride = 1
        """Only multiples of it, of the updates that are asked for, are kept."""
        self._seconds = 0.0
        self._since = -1.0
        self.note = ""
        """What was left out, "" for nothing."""

    def keeps(self, step: int) -> bool:
        """Whether the variables after this update are kept."""
        return bool(self._every) and step % (self._every * self.stride) == 0

    def spent(self, step: int, seconds: float) -> None:
        """Note what recording an update took of the caller's time."""
        if self._since < 0:  # the first one compiles
            self._since = time.monotonic()
            return
        self._seconds += seconds
        if self._share is None or self._seconds < max(GRACE, self._share * (time.monotonic() - self._since)):
            return
        self.stride *= 2
        self._seconds, self._since = 0.0, time.monotonic()
        self.note = f"after update {step:,} only every {ordinal(self._every * self.stride)}, to take at most "
        self.note += f"{self._share:.2%}".replace(".00%", "%").replace("%", " % of the time")
