"""What is claimed about speed, to be run again: `make bench`, or `python -m benchmarks NAME...`.

Each name is a file that measures one row of RESULTS.md or a few; `peers/` holds what it is measured against.
"""

BENCHMARKS = (
    "whole_job",
    "recording",
    "step",
    "activity",
    "building",
    "pictures",
    "animation",
    "embedding",
    "reading",
    "startup",
    "growth",
)
