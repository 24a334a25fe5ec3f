"""`build` of the demo's run, with everything on."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, Settings, contestant, spoken
from benchmarks.runs import write_run


def measure(settings: Settings) -> list[Row]:
    """Seconds from the run directory to the written page, once UMAP is imported and compiled."""
    run = settings.folder / "demo"
    if settings.tiny:
        write_run(run, images=30)
    else:
        record(run)
    with contestant(settings, "benchmarks.building:page", run=str(run), out=str(settings.folder / "page.html")) as side:
        first = side.run()["seconds"]
        taken = tuple(side.run()["seconds"] for _ in range(settings.rounds))
    return [Row("`build` of the demo run", taken, 6.0, "s", f"the first in a process {spoken(first)}")]


def record(run: Path) -> None:
    """Train as `reportgen demo` does."""
    from reportgen.data import load_dataset
    from reportgen.models import build
    from reportgen.training import train

    train(run, load_dataset("mnist5k"), build("lenet", 10), epochs=10)


def page(run: str, out: str) -> Callable[[], None]:
    """Build and save, as `reportgen build` does."""
    from reportgen import build

    def make() -> None:
        build(run).save(out)

    return make
