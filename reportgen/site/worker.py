"""A process that builds pages: a line of JSON on standard input for each, lines of JSON on standard output.

    {"run": "runs/a", "file": "site/runs/a.html", "name": "a", "page": "runs/a.html", "view": {...}}
    {"at": "3/17 Confusion matrix", "done": 3, "of": 17}
    {"entry": {...}}         or {"failed": "a does not hold a run: it has no run.json"}

    python -m reportgen.site.worker

A process of its own, and not `multiprocessing`, which would run a caller's script again.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from reportgen.api import build
from reportgen.cli_streams import open_streams
from reportgen.errors import ReportgenError
from reportgen.sections.runs import entry_of


def serve() -> None:
    """Build what is asked for until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks ends this one
    answers = os.dup(1)
    os.dup2(2, 1)  # what a section prints is no answer
    open_streams()

    def answer(content: Any) -> None:
        # A single call, as the embedding's thread tells how far it is too.
        os.write(answers, msgspec.json.encode(content) + b"\n")

    for line in sys.stdin:
        answer(_page(json.loads(line), answer))


def _page(asked: dict[str, Any], answer: Callable[[Any], None]) -> dict[str, Any]:
    view = asked["view"]
    if isinstance(view["normalize"], list):
        view["normalize"] = tuple(view["normalize"])
    try:
        report = build(asked["run"], **view, progress=lambda at, done, of: answer({"at": at, "done": done, "of": of}))
        report.save(asked["file"])
        return {"entry": entry_of(report.document, report.run, asked["name"], asked["page"])}
    except ReportgenError as error:
        return {"failed": str(error)}
    except Exception as error:
        # A bug of ours, or a section of another package's: the other pages are built nevertheless.
        traceback.print_exc()
        return {"failed": f"reportgen failed with {type(error).__name__}: {error}"}


if __name__ == "__main__":
    serve()
