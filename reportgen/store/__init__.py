"""The run directory: written atomically while training, read lazily by the report.

from reportgen.store import open_run
run = open_run("demo/run")
"""

from reportgen.store.reader import open_run
from reportgen.store.writer import RunWriter

__all__ = ["RunWriter", "open_run"]
