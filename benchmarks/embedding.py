"""The embedding over epochs and placing new points, against umap-learn's own way of both."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings, contestant, ratio


def measure(settings: Settings) -> list[Row]:
    """Hidden vectors (512) of mnist_cnn before training and after each of three epochs, 2,000 training images."""
    file = _vectors(settings)
    common = {"file": file, "passes": 3 if settings.tiny else None}
    with (
        contestant(settings, "benchmarks.embedding:chained", file=file) as ours,
        contestant(settings, "benchmarks.embedding:independent", **common) as peer,
        contestant(settings, "benchmarks.embedding:placed", file=file) as placing,
        contestant(settings, "benchmarks.embedding:transformed", **common) as transforming,
    ):
        taken: dict[str, list[dict[str, float]]] = {"ours": [], "peer": [], "placing": [], "transforming": []}
        for side in (ours, peer, placing, transforming):
            side.run()
        for _ in range(settings.rounds):
            for name, side in zip(taken, (ours, peer, placing, transforming), strict=True):
                taken[name].append(side.run())
    frame = ratio("a chained frame / independent `umap.UMAP`", taken["ours"], taken["peer"], 0.15)
    lost = [b["trust"] - a["trust"] for a, b in zip(taken["ours"], taken["peer"], strict=True)]
    trusted = [statistics.median(t["trust"] for t in taken[name]) for name in ("ours", "peer")]
    place = ratio("placing 10,000 points / `UMAP.transform`", taken["placing"], taken["transforming"], 0.1)
    worse = [b["accuracy"] - a["accuracy"] for a, b in zip(taken["placing"], taken["transforming"], strict=True)]
    rates = [statistics.median(t["accuracy"] for t in taken[name]) for name in ("placing", "transforming")]
    return [
        frame,
        Row("trustworthiness lost by it", tuple(lost), 0.004, detail="{:.4f} / {:.4f}".format(*trusted)),
        place,
        Row("2-D neighbour accuracy lost by it", tuple(worse), 0.01, detail="{:.4f} / {:.4f}".format(*rates)),
    ]


def _vectors(settings: Settings) -> str:
    """An .npz of `frames` [epoch, point, unit], `labels`, `new` [point, unit] and `new_labels`, made by a training."""
    from reportgen.models import build
    from reportgen.store import open_run
    from reportgen.training import train

    file, run = settings.folder / "vectors.npz", settings.folder / "vectors"
    if settings.tiny:
        random, labels = np.random.default_rng(0), np.arange(20) % 10
        frames, new = random.random((2, 20, 8), np.float32), random.random((20, 8), np.float32)
        np.savez(file, frames=frames, labels=labels, new=new, new_labels=labels)
    if not file.exists():
        data = settings.digits(10_000, 10_000)
        train(run, data, build("mnist_cnn", 10), snapshot_every="epoch", epochs=3)
        found = [open_run(run).observations[step] for step in open_run(run).observations]
        final = found[-1]
        np.savez(
            file,
            frames=np.stack([one.vectors["embedding"] for one in found]),
            labels=data.train_labels[:2000],
            new=final.vectors["evaluation"],
            new_labels=data.test_labels[: len(final.vectors["evaluation"])],
        )
    return str(file)


def _read(file: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return arrays["frames"], arrays["labels"], arrays["new"], arrays["new_labels"]


def chained(file: str) -> Callable[[], dict[str, float]]:
    """All frames as the report makes them, with both measures; seconds per frame, less those of the first alone."""
    import time

    from reportgen.analysis.embedding import embed

    frames, labels, _, _ = _read(file)

    def run() -> dict[str, float]:
        started = time.perf_counter()
        embed([frames[0]], labels)
        alone = time.perf_counter() - started
        started = time.perf_counter()
        found = embed(list(frames), labels)
        seconds = (time.perf_counter() - started - alone) / (len(frames) - 1)
        return {"seconds": seconds, "trust": statistics.mean(value or 0.0 for value in found.trust[1:])}

    return run


def independent(file: str, passes: int | None) -> Callable[[], dict[str, float]]:
    """`umap.UMAP` of each frame but the first, at its defaults on all cores; rated outside the time."""
    import time

    from reportgen.analysis.neighbors import trustworthiness

    frames, _, _, _ = _read(file)
    number = 0

    def run() -> dict[str, float]:
        nonlocal number
        number = number % (len(frames) - 1) + 1
        started = time.perf_counter()
        layout = _umap(frames[number], passes).fit_transform(frames[number])
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "trust": trustworthiness(frames[number], layout.astype(np.float64)) or 0.0}

    return run


def placed(file: str) -> Callable[[], dict[str, float]]:
    """The test points in the report's final frame."""
    import time

    from reportgen.analysis.embedding import embed, place

    frames, labels, new, truth = _read(file)
    layout = embed(list(frames), labels).frames[-1]

    def run() -> dict[str, float]:
        started = time.perf_counter()
        found = place(frames[-1], layout, new)
        return {"seconds": time.perf_counter() - started, "accuracy": _rate(layout, labels, found, truth)}

    return run


def transformed(file: str, passes: int | None) -> Callable[[], dict[str, float]]:
    """The test points by `transform` of a UMAP fitted to the final frame."""
    import time

    frames, labels, new, truth = _read(file)
    model = _umap(frames[-1], passes).fit(frames[-1])

    def run() -> dict[str, float]:
        started = time.perf_counter()
        found = model.transform(new)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "accuracy": _rate(model.embedding_, labels, found, truth)}

    return run


def _umap(vectors: np.ndarray, passes: int | None) -> Any:
    """umap-learn's own, at its defaults but for the neighbours; `passes` is for tiny sizes only."""
    from umap import UMAP

    from reportgen.analysis.embedding import UMAP_NEIGHBORS

    # There a seed and one thread: the loop for several would be compiled for longer than it runs.
    quick = {} if passes is None else {"n_epochs": passes, "random_state": 0, "n_jobs": 1}
    return UMAP(n_neighbors=min(UMAP_NEIGHBORS, len(vectors) - 1), **quick)


def _rate(layout: np.ndarray, labels: np.ndarray, placed: np.ndarray, truth: np.ndarray) -> float:
    """Share of placed points whose 15 nearest in the layout vote for their label."""
    from sklearn.neighbors import KNeighborsClassifier

    return float(KNeighborsClassifier(15).fit(layout, labels).score(placed, truth))
