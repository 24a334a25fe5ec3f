"""Reproduces the claims about speed: `make bench`, or `python -m benchmarks NAME...`.

Each name is a module that measures one or a few rows of RESULTS.md; `peers/` holds the baselines.
"""

BENCHMARKS = (
    "whole_job",
    "recording",
    "log",
    "step",
    "activity",
    "building",
    "many",
    "large",
    "opening",
    "comparing",
    "pictures",
    "drawing",
    "heads",
    "animation",
    "embedding",
    "reading",
    "replaying",
    "startup",
    "growth",
)
