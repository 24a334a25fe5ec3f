"""`compare` of two runs: of the demo, of the four-conv network on all test images; and its memory with more images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.measure import Row, Settings, contestant, spoken
from benchmarks.runs import write_run

IMAGES = (1000, 60_000)


def measure(settings: Settings) -> list[Row]:
    """Seconds from two run directories to the written page, two seeds of one configuration; then peak memory."""
    runs = {"demo": "`compare` of two runs of the demo", "full": "`compare` of two runs, 10,000 evaluation images"}
    rows = []
    for (name, figure), target in zip(runs.items(), (10.0, 20.0), strict=True):
        sides = [settings.folder / f"{name}{seed}" for seed in range(2)]
        for seed, run in enumerate(sides):
            _record(settings, name, seed, run)
        with contestant(settings, "benchmarks.comparing:page", **_paths(settings, *sides)) as side:
            first = side.run()["seconds"]
            taken = tuple(side.run()["seconds"] for _ in range(settings.rounds))
        rows.append(Row(figure, taken, target, "s", f"the first in a process {spoken(first)}"))
    return [*rows, _memory(settings)]


def _record(settings: Settings, name: str, seed: int, run: Path) -> None:
    from reportgen.models import build
    from reportgen.training import train

    if settings.tiny:
        write_run(run, images=30)
    elif name == "demo":
        train(run, replace(settings, data_dir=None).dataset, build("lenet", 10), epochs=10, seed=seed)
    else:
        train(run, settings.digits(6000, 10_000), build("mnist_cnn", 10), epochs=1, seed=seed)


def _paths(settings: Settings, base: Path, new: Path) -> dict[str, str]:
    return {"base": str(base), "new": str(new), "out": str(settings.folder / "compared.html")}


def _memory(settings: Settings) -> Row:
    """Of two synthetic runs with few and with many images, all of which are fingerprinted."""
    few, many = (20, 40) if settings.tiny else IMAGES
    peaks = {}
    for count in (few, many):
        run = settings.folder / f"images{count}"
        write_run(run, images=count)
        taken = []
        for _ in range(1 if settings.tiny else 3):
            with contestant(settings, "benchmarks.comparing:page", **_paths(settings, run, run)) as side:
                taken.append(max(side.run()["peak"], 1.0))
        peaks[count] = median(taken)
    shown = ", ".join(f"{count:,}: {peak / 1e6:.0f} MB" for count, peak in peaks.items())
    return Row(f"`compare`'s memory at {many:,} images / at {few:,}", (peaks[many] / peaks[few],), 1.2, "", shown)


def page(base: str, new: str, out: str) -> Callable[[], None]:
    """Compare and save, as `reportgen compare` does."""
    from reportgen import compare

    def make() -> None:
        compare(base, new).save(out)

    return make
