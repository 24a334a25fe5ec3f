"""Shows what a JAX/Flax network learned, in one self-contained HTML report.

    import reportgen

    with reportgen.Recorder("runs/mine", model, variables, probe=probe, evaluation=test) as recorder:
        ...                                    # recorder.step(params, loss=loss), recorder.epoch(variables)
    reportgen.build("runs/mine").save("report.html")

Importing this module imports neither jax nor matplotlib: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reportgen.errors import naming_the_extra

if TYPE_CHECKING:
    from reportgen.api import BuiltReport, build, inspect
    from reportgen.core.report import Figure, Section, Table, Text
    from reportgen.core.run import Run
    from reportgen.data import load
    from reportgen.errors import ReportgenError
    from reportgen.record import Keep, Recorder
    from reportgen.store import open_run
    from reportgen.training import train

__version__ = "0.1.0"

_HOME = {
    "BuiltReport": "reportgen.api",
    "Figure": "reportgen.core.report",
    "Keep": "reportgen.record",
    "Recorder": "reportgen.record",
    "ReportgenError": "reportgen.errors",
    "Run": "reportgen.core.run",
    "Section": "reportgen.core.report",
    "Table": "reportgen.core.report",
    "Text": "reportgen.core.report",
    "build": "reportgen.api",
    "inspect": "reportgen.api",
    "load": "reportgen.data",
    "open_run": "reportgen.store",
    "train": "reportgen.training",
}

__all__ = [
    "BuiltReport",
    "Figure",
    "Keep",
    "Recorder",
    "ReportgenError",
    "Run",
    "Section",
    "Table",
    "Text",
    "__version__",
    "build",
    "inspect",
    "load",
    "open_run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reportgen' has no attribute {name!r}")
    with naming_the_extra():
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
