"""All channels of a layer as one encoded picture, against matplotlib with one axes per channel."""

import io
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Here, Row, Settings, in_turns, ratio


def measure(settings: Settings) -> list[Row]:
    """A wide and a large layer."""
    rows = []
    for channels, side, target in ((512, 13, 0.002), (64, 113, 0.15)):
        shape = {"channels": 4 if settings.tiny else channels, "side": side}
        sides = {name: Here(f"benchmarks.pictures:{name}", shape) for name in ("ours", "axes")}
        taken = in_turns(sides, settings.rounds)
        figure = f"all channels of {channels} x {side} x {side} as one picture / matplotlib, an axes per channel"
        rows.append(ratio(figure, taken["ours"], taken["axes"], target))
    return rows


def _maps(channels: int, side: int) -> np.ndarray:
    """Smooth non-negative maps, as after a ReLU."""
    rng = np.random.default_rng(0)
    across = np.linspace(0, 3, side)
    phase, speed = rng.uniform(0, 6, (channels, 1, 1)), rng.uniform(0.5, 3, (channels, 1, 1))
    waves = np.sin(phase + speed * across[:, None]) * np.cos(speed * across) + rng.normal(
        0, 0.1, (channels, side, side)
    )
    return np.maximum(waves, 0).astype(np.float32)


def ours(channels: int, side: int) -> Callable[[], None]:
    """The report's mosaic, numbered and with the strongest channel outlined."""
    from reportgen.figures.mosaic import mosaic

    maps = _maps(channels, side)

    def run() -> None:
        strongest = int(maps.max(axis=(1, 2)).argmax())
        mosaic(maps, 0, float(maps.max()), labels=range(channels), outlined=[strongest])

    return run


def axes(channels: int, side: int) -> Callable[[], None]:
    """A figure with one axes per channel, on Agg, to PNG; without pyplot, tight layout or titles, which cost more."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    maps = _maps(channels, side)
    columns = int(np.ceil(np.sqrt(channels)))

    def run() -> None:
        figure = Figure(figsize=(10, 10))
        FigureCanvasAgg(figure)
        for index, tile in enumerate(maps):
            place = figure.add_subplot(-(-channels // columns), columns, index + 1)
            place.imshow(tile, cmap="gray", vmin=0, vmax=float(maps.max()))
            place.axis("off")
        figure.savefig(io.BytesIO(), format="png")

    return run
