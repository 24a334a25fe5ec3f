"""The exceptions that reportgen raises on purpose.

    ReportgenError            something the user can mend; the message says what and how
    ├── DataError             a dataset, image or label array is missing, damaged or of the wrong shape
    ├── ModelError            a model, layer or apply function does not do what was asked of it
    ├── WeightsError          a checkpoint can't be read, or does not fit the model
    ├── RunError              a run directory is missing, damaged, in use, or holds something else
    │   └── DamagedError      a file of a run changed, or does not match its checksum
    ├── MissingError          a package that only some of reportgen needs is not installed
    └── OptionError           an option's value is not among those that exist

The command line prints the message alone and exits with 2; any other exception is a bug.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

#: The extra of the distribution that brings a package.
EXTRAS = {
    "jax": "record",
    "jaxlib": "record",
    "flax": "record",
    "optax": "record",
    "orbax": "record",
    "tensorstore": "record",
    "numba": "umap",
}


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


class DamagedError(RunError):
    """A file of a run turned out missing or damaged while it was read; the rest of the run may be whole."""


class MissingError(ReportgenError, ImportError):
    """A package that only some of reportgen needs is not installed; the message names the extra that brings it."""


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


@contextmanager
def naming_the_extra() -> Iterator[None]:
    """Within, an import of an optional package that is not installed raises MissingError instead."""
    try:
        yield
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingError(
            f"this needs {package}, which is not installed: pip install 'reportgen-jax[{EXTRAS[package]}]'"
        ) from missing
