"""A site of many runs."""

import shutil
import time

from benchmarks.building import record
from benchmarks.measure import Row, Settings
from benchmarks.runs import write_run
from reportgen import build_site


def measure(settings: Settings) -> list[Row]:
    """Seconds for the pages of 50 demo runs and their index, and once more where one of them changed."""
    first, count = settings.folder / "run-0", 3 if settings.tiny else 50
    if settings.tiny:
        write_run(first, images=30)
    else:
        record(first)
    runs = [first, *(shutil.copytree(first, settings.folder / f"run-{number}") for number in range(1, count))]
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        site = build_site(runs, settings.folder / "site")
        taken.append(time.perf_counter() - began)
        assert not site.failed
        (runs[-1] / "steps.jsonl").touch()
    return [
        Row(f"a site of {count} demo runs", (taken[0],), 60, "s", f"{taken[0] / count:.1f} s a run"),
        Row("the same, where one of them changed", (taken[1],), 10, "s"),
    ]
