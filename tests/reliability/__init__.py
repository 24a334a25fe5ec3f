"""What a report promises when things go wrong. `make soak` sets REPORTGEN_SOAK for the long form of these tests."""

import os

SOAK = bool(os.environ.get("REPORTGEN_SOAK"))


def count(short: int, long: int) -> int:
    """How many examples to try: `short` in `make test`, `long` in `make soak`."""
    return long if SOAK else short
