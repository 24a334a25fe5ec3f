"""The processes that build pages, and the bars that show how far each is.

with Workers(2, shown=True) as workers:
    answers = dict(workers.build(jobs))      # name -> an Entry, or a sentence that says why there is no page
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from reportgen.core.progress import Bar
from reportgen.sections.runs import Entry

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Libraries of linear algebra would start threads on every core in each process."""

Job = dict[str, Any]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """So many processes, each begun when it is first needed, and ended with the block."""

    def __init__(self, count: int, shown: bool):
        self._shown = shown
        self._rows: SimpleQueue[int] = SimpleQueue()
        for row in range(count):
            self._rows.put(row)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = ThreadPoolExecutor(count, "reportgen-site")

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._processes.values()):
            process.kill()
        self._threads.shutdown()
        for process in self._processes.values():
            _ended(process)

    def build(self, jobs: Sequence[Job]) -> Iterator[tuple[str, Entry | str]]:
        """The answer to each job as it comes."""
        begun = {self._threads.submit(self._built, job): job["name"] for job in jobs}
        for done in as_completed(begun):
            yield begun[done], done.result()

    def _built(self, job: Job) -> Entry | str:
        row = self._rows.get()
        try:
            with Bar(job["name"], None, "section", shown=self._shown, row=row + 1) as bar:
                return self._answer(row, job, bar)
        finally:
            self._rows.put(row)

    def _answer(self, row: int, job: Job, bar: Bar) -> Entry | str:
        process = self._processes.get(row) or self._begun(row)
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                said = json.loads(line)
                if "entry" in said:
                    return msgspec.convert(said["entry"], Entry)
                if "failed" in said:
                    return str(said["failed"])
                bar.reach(said["at"], said["done"], said["of"])
        code = _ended(self._processes.pop(row))
        return f"the process that built it ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"

    def _begun(self, row: int) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
        threads = dict.fromkeys(THREADS, "1") if cores() > 1 else {}
        self._processes[row] = process = subprocess.Popen(
            [sys.executable, "-P", "-m", "reportgen.site.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**threads, **os.environ, "PYTHONPATH": path},
        )
        return process


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit code of a process that ends."""
    with suppress(BrokenPipeError), process:  # closes the pipes and waits
        pass
    return process.wait()
