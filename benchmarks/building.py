"""`build` of the demo's run, with everything on."""

from collections.abc import Callable

from benchmarks.measure import Row, Settings, contestant, spoken


def measure(settings: Settings) -> list[Row]:
    """Seconds from the run directory to the written page, once UMAP is imported and compiled."""
    from reportgen.models import build
    from reportgen.training import train

    run = settings.folder / "demo"
    data = settings.digits(40, 20) if settings.tiny else _demo_data()
    few = {"epochs": 1, "batch_size": 20} if settings.tiny else {"epochs": 10}
    train(run, data, build("mnist_cnn" if settings.tiny else "lenet", 10), **few)
    with contestant(settings, "benchmarks.building:page", run=str(run), out=str(settings.folder / "page.html")) as side:
        first = side.run()["seconds"]
        taken = tuple(side.run()["seconds"] for _ in range(settings.rounds))
    return [Row("`build` of the demo run", taken, 6.0, "s", f"the first in a process {spoken(first)}")]


def _demo_data():  # type: ignore[no-untyped-def]
    from reportgen.data import load

    return load("mnist5k")


def page(run: str, out: str) -> Callable[[], None]:
    """Build and save."""
    from reportgen import build

    def make() -> None:
        build(run).save(out)

    return make
