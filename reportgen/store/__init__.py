"""The run directory: written atomically while training, read lazily by the report.

from reportgen.store import open_run, snapshot_at
run = open_run("demo/run")
"""

from reportgen.store.batches import as_bytes
from reportgen.store.elsewhere import RunSpool, run_folder, target, upload
from reportgen.store.files import raw_bytes, stored
from reportgen.store.log import part_folder, recorded_pieces
from reportgen.store.packed import Layout, Packed, Piece, order
from reportgen.store.parts import PartWriter
from reportgen.store.reader import networks, open_run, snapshot, snapshot_at, with_all_whole, with_what_is_whole
from reportgen.store.rows import RESERVED
from reportgen.store.save import network_header, save_run
from reportgen.store.schema import variable_tensors
from reportgen.store.writer import RunWriter

__all__ = [
    "RESERVED",
    "Layout",
    "Packed",
    "PartWriter",
    "Piece",
    "RunSpool",
    "RunWriter",
    "as_bytes",
    "network_header",
    "networks",
    "open_run",
    "order",
    "part_folder",
    "raw_bytes",
    "recorded_pieces",
    "run_folder",
    "save_run",
    "snapshot",
    "snapshot_at",
    "stored",
    "target",
    "upload",
    "variable_tensors",
    "with_all_whole",
    "with_what_is_whole",
]
