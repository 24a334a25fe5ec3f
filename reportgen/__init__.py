"""Shows what a JAX/Flax network learned, in one self-contained HTML report.

    import reportgen

    with reportgen.Recorder("runs/mine", model, variables, probe=probe, evaluation=test) as recorder:
        ...                                    # recorder.step(params, loss=loss), recorder.epoch(variables)
    reportgen.build("runs/mine").save("report.html")

Importing this module imports neither jax nor matplotlib: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reportgen.errors import naming_the_extra, warn

if TYPE_CHECKING:
    from reportgen.api import build, inspect
    from reportgen.comparing import ComparisonReport, compare
    from reportgen.core.outcome import Task
    from reportgen.core.report import Figure, Section, Table, Text
    from reportgen.core.run import Run
    from reportgen.data import load_dataset
    from reportgen.errors import ReportgenError
    from reportgen.record import Keep, Recorder
    from reportgen.reported import Report
    from reportgen.sections import PageContext
    from reportgen.site import Site, build_site
    from reportgen.store import open_run, save_run, upload
    from reportgen.training import train
    from reportgen.training.landscape import landscape
    from reportgen.training.replay import replay
    from reportgen.weights.checkpoint import Checkpoint

__version__ = "0.1.0"

_HOME = {
    "Checkpoint": "reportgen.weights.checkpoint",
    "ComparisonReport": "reportgen.comparing",
    "Figure": "reportgen.core.report",
    "Keep": "reportgen.record",
    "PageContext": "reportgen.sections",
    "Recorder": "reportgen.record",
    "Report": "reportgen.reported",
    "ReportgenError": "reportgen.errors",
    "Run": "reportgen.core.run",
    "Section": "reportgen.core.report",
    "Site": "reportgen.site",
    "Table": "reportgen.core.report",
    "Task": "reportgen.core.outcome",
    "Text": "reportgen.core.report",
    "build": "reportgen.api",
    "build_site": "reportgen.site",
    "compare": "reportgen.comparing",
    "inspect": "reportgen.api",
    "landscape": "reportgen.training.landscape",
    "load_dataset": "reportgen.data",
    "open_run": "reportgen.store",
    "replay": "reportgen.training.replay",
    "save_run": "reportgen.store",
    "train": "reportgen.training",
    "upload": "reportgen.store",
}

__all__ = [
    "Checkpoint",
    "ComparisonReport",
    "Figure",
    "Keep",
    "PageContext",
    "Recorder",
    "Report",
    "ReportgenError",
    "Run",
    "Section",
    "Site",
    "Table",
    "Task",
    "Text",
    "__version__",
    "build",
    "build_site",
    "compare",
    "inspect",
    "landscape",
    "load_dataset",
    "open_run",
    "replay",
    "save_run",
    "train",
    "upload",
]


_RENAMED = {"BuiltReport": "Report", "load": "load_dataset"}
"""Earlier names, which work for one more release."""


if not TYPE_CHECKING:  # to type checkers any other name is an error

    def __getattr__(name: str) -> Any:
        if name in _RENAMED:
            warn(f"reportgen.{name} is called reportgen.{_RENAMED[name]} now", DeprecationWarning, code="N101")
            name = _RENAMED[name]
        if name not in _HOME:
            raise AttributeError(f"module 'reportgen' has no attribute {name!r}")
        with naming_the_extra():
            return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
