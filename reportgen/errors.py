"""The exceptions that reportgen raises on purpose.

    ReportgenError            something the user can mend; the message says what and how
    ├── DataError             a dataset, image or label array is missing, damaged or of the wrong shape
    ├── ModelError            a model, layer or apply function does not do what was asked of it
    ├── WeightsError          a checkpoint can't be read, or does not fit the model
    ├── RunError              a run directory is missing, damaged, in use, or holds something else
    └── OptionError           an option's value is not among those that exist

The command line prints the message alone and exits with 2; any other exception is a bug.
"""

import difflib
from collections.abc import Iterable


class ReportgenError(Exception):
    """Base of everything below: the message is meant for the user."""


class DataError(ReportgenError):
    """A dataset, image or label array is missing, damaged or of the wrong shape."""


class ModelError(ReportgenError):
    """A model, layer or apply function does not do what was asked of it."""


class WeightsError(ReportgenError):
    """A checkpoint can't be read, or does not fit the model."""


class RunError(ReportgenError):
    """A run directory is missing, damaged, in use, or holds something else."""


class OptionError(ReportgenError):
    """An option's value is not among those that exist."""


def choices(wanted: str, existing: Iterable[str]) -> str:
    """End of a message about an unknown name: the closest existing names, then all of them.

    >>> choices("lenat", ["lenet", "mnist_cnn"])
    'did you mean lenet? Existing: lenet, mnist_cnn'
    """
    names = list(existing)
    close = difflib.get_close_matches(wanted, names, n=3)
    listed = ", ".join(names[:40]) + (f", and {len(names) - 40} more" if len(names) > 40 else "")
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}Existing: {listed or 'none'}"
