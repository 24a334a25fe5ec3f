"""The run directory: written atomically while training, read lazily by the report.

from reportgen.store import open_run, snapshot_epoch
run = open_run("demo/run")
"""

from reportgen.store.reader import open_run, snapshot_epoch
from reportgen.store.writer import RunWriter

__all__ = ["RunWriter", "open_run", "snapshot_epoch"]
