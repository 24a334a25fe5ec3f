"""Files that are read at offsets: of this machine, or of a copy of a run elsewhere, which is fetched as it is read.

    source = Source(run / "snapshots" / "00-000000.segment")
    with source.opened() as read:
        read(32, 0)                      # 32 bytes at offset 0

Nothing is mapped into memory: a file that somebody truncates would end the process that has it mapped.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reportgen.remote.sparse import Read, sparse_at
from reportgen.store.files import damage_named


class Source:
    """A file by its path."""

    def __init__(self, path: Path):
        self.path = path
        self._sparse = sparse_at(path)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """What reads it: fewer bytes than were asked for at its end. Raises DamagedError where it can't be read."""
        with damage_named(self.path):
            if self._sparse is not None:
                with self._sparse.opened() as read:
                    yield read
            else:
                with self.path.open("rb", buffering=0) as file:
                    number = file.fileno()
                    yield lambda count, offset, until=0: os.pread(number, count, offset)
