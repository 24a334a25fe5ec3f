"""The exceptions that reportgen raises on purpose.

ReportgenError is the base of all: something the user can mend, and the message says what and how. Each is also the
built-in exception that it is a case of. The command line prints message and code alone and exits with 2; any other
exception is a bug. The code stands for a kind of trouble, which a page of the documentation explains.

warn("what does not end anything", code="C202")     # names the line of the user's own code
"""

import difflib
import inspect
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: The extra of the distribution that brings a package.
EXTRAS = {
    "jax": "record",
    "jaxlib": "record",
    "flax": "record",
    "optax": "record",
    "orbax": "record",
    "tensorstore": "record",
    "numba": "umap",
    "tensorboard": "tensorboard",
    "fsspec": "remote",
    "s3fs": "remote",
}


class ReportgenError(Exception):
    """Base of everything below: the message is meant for the user.

    `code` names the kind of trouble ("D104"), "" for none. A traceback shows it below the message.
    """

    def __init__(self, *args: Any, code: str = ""):
        super().__init__(*args)
        self.code = code
        if code:
            self.add_note(f"[{code}] what this means, and what to do: reportgen explain {code}")


class DataError(ReportgenError, ValueError):
    """A dataset, image or label array is damaged or of the wrong shape."""


class NoDataError(DataError, FileNotFoundError):
    """A file or folder of data does not exist."""


class ModelError(ReportgenError, ValueError):
    """A model, layer or apply function can't do what is required of it."""


class WeightsError(ReportgenError, ValueError):
    """A checkpoint can't be read, or does not fit the model."""


class NoWeightsError(WeightsError, FileNotFoundError):
    """A checkpoint does not exist."""


class RunError(ReportgenError):
    """A run directory is missing, damaged, in use, or holds something else."""


class NoRunError(RunError, FileNotFoundError):
    """A directory does not exist or does not hold a run."""


class RunExistsError(RunError, FileExistsError):
    """A run exists already and may not be replaced."""


class DamagedError(RunError):
    """A file of a run turned out missing or damaged while it was read; the rest of the run may be whole."""


class MissingError(ReportgenError, ImportError):
    """A package that only some of reportgen needs is not installed; the message names the extra that brings it."""


class OptionError(ReportgenError, ValueError):
    """An option's value is invalid."""


def expect(name: str, value: Any, kinds: Any, words: str) -> None:
    """Raise OptionError ("title must be a text, not 3") unless an argument is of a kind that `words` name."""
    if not isinstance(value, kinds):
        raise OptionError(f"{name} must be {words}, not {value!r:.80}", code="O101")


def reason_of(problem: Exception) -> str:
    """What another library raised, for a sentence of ours: its first line, at most 300 characters, or its kind.

    >>> reason_of(ValueError("shapes differ\\nat line 3")), reason_of(KeyError())
    ('shapes differ', 'KeyError')
    """
    return str(problem).strip().partition("\n")[0][:300] or type(problem).__name__


def choices(wanted: str, existing: Iterable[str]) -> str:
    """End of a message about an unknown name: the closest existing names, then all of them.

    >>> choices("lenat", ["lenet", "mnist_cnn"])
    'did you mean lenet? Existing: lenet, mnist_cnn'
    """
    names, wanted = list(existing), str(wanted)
    close = difflib.get_close_matches(wanted, names, n=3)
    listed = ", ".join(names[:40]) + (f", and {len(names) - 40} more" if len(names) > 40 else "")
    hint = f"did you mean {' or '.join(close)}? Existing" if close else "existing"
    return f"{hint}: {listed or 'none'}"


def warn(message: str, category: type[Warning] = UserWarning, *, code: str) -> None:
    """Warn, naming the line that called reportgen, however deep in it the warning arises.

    The text ends in the code of the kind of trouble, by which the warning can be filtered.
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "reportgen":
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{message} [{code}]", category, stacklevel=level)


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
            f"this needs {package}, which is not installed: pip install 'reportgen-jax[{EXTRAS[package]}]'", code="P107"
        ) from missing
