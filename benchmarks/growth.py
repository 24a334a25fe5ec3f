"""How build time, page size and memory grow with snapshots, channels, evaluation images and layers.

Each point is a build of a synthetic run in a process of its own. The rows ask of each curve whether its last
stretch grows faster than in proportion, and whether memory stays flat in images and snapshots.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.measure import Row, Settings, contestant, read_digits
from benchmarks.runs import write_run

AXES = {
    "snapshots": (10, 100, 1000),
    "channels": (64, 256, 1024, 4096),
    "images": (1000, 10_000, 60_000),
    "layers": (2, 8, 32),
}
TINY = {"snapshots": (2, 4), "channels": (2,), "images": (20,), "layers": (1,)}
FIELDS = (("seconds", "build, s", 1), ("bytes", "page, MB", 1e-6), ("peak", "memory, MB", 1e-6))
PLOT = Path(__file__).parent / "growth.svg"


def measure(settings: Settings) -> list[Row]:
    """The curves; `growth.svg` beside this file shows them."""
    curves = {axis: _curve(settings, axis, sizes) for axis, sizes in (TINY if settings.tiny else AXES).items()}
    rows = []
    for axis, points in curves.items():
        sizes = sorted(points)
        if len(sizes) < 2:
            continue
        last, before = points[sizes[-1]], points[sizes[-2]]
        for field, what, scale in FIELDS[:2]:
            steeper = median(_column(last, field)) / median(_column(before, field)) / (sizes[-1] / sizes[-2])
            shown = ", ".join(f"{size:,}: {median(_column(points[size], field)) * scale:.2f}" for size in sizes)
            rows.append(Row(f"growth of {what.split(',')[0]} with {axis}, to proportional", (steeper,), 1.1, "", shown))
        if axis in ("snapshots", "images"):
            rise = median(_column(last, "peak")) / median(_column(points[sizes[0]], "peak"))
            shown = ", ".join(f"{size:,}: {median(_column(points[size], 'peak')) / 1e6:.0f} MB" for size in sizes)
            rows.append(Row(f"build's memory at {sizes[-1]:,} {axis} / at {sizes[0]:,}", (rise,), 1.2, "", shown))
    rows += [_recorded(settings), _sized(settings)]
    if not settings.tiny:
        _plot(curves)
    return rows


def _column(taken: list[dict[str, float]], field: str) -> list[float]:
    return [one[field] for one in taken]


def _curve(settings: Settings, axis: str, sizes: tuple[int, ...]) -> dict[int, list[dict[str, float]]]:
    found: dict[int, list[dict[str, float]]] = {}
    for size in sizes:
        run = settings.folder / f"{axis}{size}"
        write_run(run, **{"snapshots": 10, "channels": 8, "images": 1000, "layers": 2, axis: size})
        found[size] = []
        for _ in range(1 if settings.tiny else 3):
            with contestant(
                settings, "benchmarks.growth:page", run=str(run), out=str(settings.folder / "grown")
            ) as side:
                found[size].append(side.run())
    return found


def page(run: str, out: str) -> Callable[[], dict[str, float]]:
    """A linear embedding, for UMAP's own growth is not ours; returns the page's bytes as well."""
    from reportgen import build

    def make() -> dict[str, float]:
        return {"bytes": float(build(run, embedding="pca").save(out).stat().st_size)}

    return make


def _recorded(settings: Settings) -> Row:
    """Memory of the recorder's evaluation, on all test images against a tenth of them."""
    peaks = []
    for count in (1000, 10_000):
        file = settings.digits_file(count * 6 if settings.data_dir else 1000, 100)
        with contestant(settings, "benchmarks.growth:evaluation", file=file) as side:
            peaks.append(max(side.run()["peak"], 1.0))
    shown = " / ".join(f"{peak / 1e6:.0f} MB" for peak in reversed(peaks))
    return Row("recorder's memory over 60,000 evaluation images / over 6,000", (peaks[1] / peaks[0],), 1.2, "", shown)


def evaluation(file: str) -> Callable[[], None]:
    """The recorder's pass over the training images, with 2,000 vectors of the hidden layer."""
    import jax

    from reportgen.capture import prepare
    from reportgen.core.outcome import Kind, Task
    from reportgen.core.run import Batch
    from reportgen.evaluate import Observer
    from reportgen.models import build

    images, labels, *_ = read_digits(file)
    model = build("mnist_cnn", 10)
    variables = model.init(jax.random.key(0), images[:1])
    evaluation = Batch(len(images), images, labels)
    batches = {"probe": Batch(1, images[:1]), "evaluation": evaluation, "embedding": Batch(2000)}
    observe = Observer(prepare(model, variables, images[:1]), batches, Task(Kind.CLASSIFICATION), 10, "hidden")

    def run() -> None:
        observe(variables, step=0, epoch=0)

    return run


def _sized(settings: Settings) -> Row:
    """Memory of the recorder's evaluation of as many pixels in few large images as in many small ones."""
    sizes = (8, 16) if settings.tiny else (32, 128, 512)
    peaks = {}
    for size in sizes:
        with contestant(settings, "benchmarks.growth:sized", size=size, images=(2 * sizes[-1] // size) ** 2) as side:
            peaks[size] = max(side.run()["peak"], 1.0)
    shown = ", ".join(f"{size}: {peak / 1e6:.0f} MB" for size, peak in peaks.items())
    figure = f"recorder's memory, 4 images of {sizes[-1]} pixels a side / as many pixels in images of {sizes[0]}"
    return Row(figure, (peaks[sizes[-1]] / peaks[sizes[0]],), 2.0, "", shown)


def sized(size: int, images: int) -> Callable[[], None]:
    """The recorder's evaluation of two convolutions on square images, of which one is the probe."""
    import jax
    from flax import linen as nn

    from reportgen.capture import prepare
    from reportgen.core.outcome import Kind, Task
    from reportgen.core.run import Batch
    from reportgen.evaluate import Observer

    inputs = np.random.default_rng(0).random((images, size, size, 3), np.float32)
    layers = [nn.Conv(16, (3, 3)), nn.relu, nn.Conv(16, (3, 3)), nn.relu, lambda x: x.mean((1, 2)), nn.Dense(10)]
    model = nn.Sequential(layers)
    variables = model.init(jax.random.key(0), inputs[:1])
    batches = {"probe": Batch(1, inputs[:1, :32, :32]), "evaluation": Batch(images, inputs, np.arange(images) % 10)}
    observe = Observer(prepare(model, variables, inputs[:1]), batches, Task(Kind.CLASSIFICATION), 10)

    def run() -> None:
        observe(variables, step=0, epoch=0)

    return run


def _plot(curves: dict[str, dict[int, list[dict[str, float]]]]) -> None:
    """A panel per axis and measure; log-log, with proportional growth in grey."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "growth", "font.size": 8}):
        figure = Figure(figsize=(10, 6), layout="constrained")
        panels = figure.subplots(len(FIELDS), len(curves), squeeze=False)
        for column, (axis, points) in enumerate(curves.items()):
            sizes = np.array(sorted(points))
            for line, (field, what, scale) in enumerate(FIELDS):
                place = panels[line][column]
                middle = np.array([median(_column(points[size], field)) for size in sizes.tolist()]) * scale
                place.loglog(sizes, middle[-1] * sizes / sizes[-1], color="0.8", label="in proportion")
                place.loglog(sizes, middle, "o-", color="C0")
                place.set_xlabel(axis if line == len(FIELDS) - 1 else "")
                place.set_ylabel(what if column == 0 else "")
                place.set_ylim(middle.min() / 3, middle.max() * 3)
        panels[0][0].legend(frameon=False)
        figure.savefig(PLOT, metadata={"Date": None})
