"""Folders elsewhere, as s3://bucket/runs/a: reached by fsspec, written by way of a spool, read by way of a copy.

    place = place_of("s3://bucket/runs/a")         # None for a path of this machine
    folder = fetched(place, wanted)                # a copy of what is wanted of it
    with copied("s3://bucket/x.npz", NoDataError) as path: ...
    with delivered("s3://bucket/a.html") as path:  # written to this machine, then taken there
        path.write_text(page)

Everything above works on folders of this machine, and knows nothing of what lies between.
"""

from reportgen.remote.cache import copied, fetched
from reportgen.remote.deliver import delivered
from reportgen.remote.place import Place, kept_folder, place_of
from reportgen.remote.spool import Spool

__all__ = ["Place", "Spool", "copied", "delivered", "fetched", "kept_folder", "place_of"]
