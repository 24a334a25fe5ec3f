"""A frame of the epoch animation, against a fresh matplotlib figure saved as PNG."""

import io
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Here, Row, Settings, in_turns, ratio

CLASSES = [str(digit) for digit in range(10)]


def measure(settings: Settings) -> list[Row]:
    """2,000 points of ten classes, twenty frames; time per frame, the GIF's encoding among it."""
    shape = {"frames": 2 if settings.tiny else 20, "points": 40 if settings.tiny else 2000}
    sides = {name: Here(f"benchmarks.animation:{name}", shape) for name in ("ours", "figures")}
    taken = in_turns(sides, settings.rounds)
    return [ratio("one animation frame / a fresh matplotlib figure saved as PNG", taken["ours"], taken["figures"], 0.1)]


def _clouds(frames: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten clouds that part; [frame, point, 2] and labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(points) % 10
    angle = labels * 0.628
    goal = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    share = np.linspace(0.2, 1, frames)[:, None, None]
    return share * goal + rng.normal(0, 1, (frames, points, 2)), labels


def ours(frames: int, points: int) -> Callable[[], dict[str, float]]:
    """The report's animation; returns seconds per frame."""
    import time

    from reportgen.figures.animation import animation

    clouds, labels = _clouds(frames, points)

    def run() -> dict[str, float]:
        started = time.perf_counter()
        animation(list(clouds), labels, CLASSES, [f"epoch {i}" for i in range(frames)])
        return {"seconds": (time.perf_counter() - started) / frames}

    return run


def figures(frames: int, points: int) -> Callable[[], dict[str, float]]:
    """A figure per frame of the same size, one scatter, a title, no legend; returns seconds per frame."""
    import time

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clouds, labels = _clouds(frames, points)

    def run() -> dict[str, float]:
        started = time.perf_counter()
        for index, cloud in enumerate(clouds):
            figure = Figure(figsize=(5.6, 6.08), dpi=100)
            FigureCanvasAgg(figure)
            place = figure.add_subplot()
            place.scatter(cloud[:, 0], cloud[:, 1], c=labels, cmap="tab10", s=6)
            place.set_title(f"epoch {index}")
            figure.savefig(io.BytesIO(), format="png")
        return {"seconds": (time.perf_counter() - started) / frames}

    return run
