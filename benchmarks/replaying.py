"""`replay` of 20 checkpoints of the four-conv network, against a loop that restores and evaluates them by itself.

What limits it, in seconds of processor time for 20 checkpoints and 1,000 images (2 cores, jax 0.10.2), of 8.8 against
3.3 of the bare loop:

    evaluating, every layer captured and reduced       6.0    the plain pass: 2.3
    the examples that each channel responds to most    1.9    as `reportgen train` keeps them; `Keep()` does not
    reading each checkpoint, beside an evaluation      0.4    Orbax: 1.0
    tracing                                            0.4
    digests and sketches                               0.1

XLA compiles the plain pass into one fusion whose values never leave the cache. A captured value has to be written out,
and the fusion ends there: that alone, without any reduction, doubles the time (returning all layers takes 2.2 of it).
Reducing what is there costs little, all of it in arrays of all layers. Tried without a gain: `optimization_barrier`
around captured values, one reduction for sum, least and largest, `lax.map` over parts of a batch.
Evaluating the loss by a pass of its own took 2.5 more, and arrays for each layer 0.9. Calls that need more than some
32 MB took 1.4 of the time for the same images: they have their memory from the system anew, page by page.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings, contestant, in_turns, ratio, read_digits

CHECKPOINTS = 20
BATCH = 100


def measure(settings: Settings) -> list[Row]:
    """Time in turns, against two scripts; then the peak of memory over the size of one tree, of a network of 67 MB."""
    count = 2 if settings.tiny else CHECKPOINTS
    folder, file = settings.folder / "checkpoints", settings.digits_file(100, 10_000)
    model = "mnist_cnn"
    _save(folder, model, file, count)
    shared = {"folder": str(folder), "model": model, "file": file}
    with (
        contestant(settings, "benchmarks.replaying:ours", out=str(settings.folder / "replayed"), **shared) as ours,
        contestant(settings, "benchmarks.replaying:captured", **shared) as captured,
        contestant(settings, "benchmarks.replaying:bare", **shared) as bare,
    ):
        taken = in_turns({"ours": ours, "captured": captured, "bare": bare}, settings.rounds)
    figure = f"`replay` of {CHECKPOINTS} checkpoints / restoring each, `capture_intermediates`, sums per label in NumPy"
    rows = [
        ratio(figure, taken["ours"], taken["captured"], 1.3),
        ratio("the same / restoring each, loss and accuracy alone", taken["ours"], taken["bare"], 1.3),
    ]
    size = 64 if settings.tiny else 4096
    wide = settings.folder / "wide"
    with contestant(settings, "benchmarks.replaying:large", folder=str(wide), size=size) as side:
        side.run()  # what JAX holds once it has compiled is no tree
        peaks = [side.run()["peak"] for _ in range(1 if settings.tiny else 3)]
    tree = (size * size + size) * 4
    shown = f"{median(peaks) / 1e6:.0f} MB / {tree / 1e6:.0f} MB"
    values = tuple(peak / tree for peak in peaks)
    return [*rows, Row("peak of memory of a replay / one checkpoint's parameters", values, 2.5, "", shown)]


def _save(folder: Path, model: str, file: str, count: int) -> None:
    import jax
    import optax
    import orbax.checkpoint as ocp

    from reportgen.models import build

    params = build(model, 10).init(jax.random.key(0), _dataset(file).test_images[:1])["params"]
    with ocp.CheckpointManager(folder) as manager:
        for step in range(count):
            params = optax.tree.scale(np.float32(1.01), params)
            state = {"step": step, "params": params, "opt_state": optax.adam(1e-3).init(params)}
            manager.save(step, args=ocp.args.StandardSave(state))


def _restored(folder: str) -> Iterator[Any]:
    """The parameters of one checkpoint after the other, as Orbax restores them."""
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(folder) as manager:
        for step in manager.all_steps():
            yield manager.restore(step, args=ocp.args.StandardRestore())["params"]


def ours(folder: str, model: str, file: str, out: str) -> Callable[[], None]:
    """Replay into a run, which is replaced each time."""
    import reportgen
    from reportgen.models import build
    from reportgen.training.loop import first_of_each_class

    network, dataset = build(model, 10), _dataset(file)
    probe, labels = first_of_each_class(dataset)

    def replay() -> None:
        test = (dataset.test_images, dataset.test_labels)
        reportgen.replay(folder, network, out, probe=(probe, labels), evaluation=test, overwrite=True)

    return replay


def bare(folder: str, model: str, file: str) -> Callable[[], None]:
    """What a script would do: restore each by Orbax, then loss and accuracy over the test images, batch by batch."""
    import jax
    import jax.numpy as jnp
    import optax

    from reportgen.models import build

    network, dataset = build(model, 10), _dataset(file)
    images, labels = dataset.test_images, dataset.test_labels
    batch = min(BATCH, len(images))

    @jax.jit
    def evaluated(params: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = network.apply({"params": params}, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, y)
        return losses.sum(), (scores.argmax(-1) == y).sum()

    def evaluate() -> None:
        for params in _restored(folder):
            parts = [
                evaluated(params, images[at : at + batch], labels[at : at + batch])
                for at in range(0, len(images) - batch + 1, batch)
            ]
            jnp.asarray(parts).block_until_ready()

    return evaluate


def captured(folder: str, model: str, file: str) -> Callable[[], None]:
    """The same with what a replay records: each channel's range, and its sum per label, from every layer's maps."""
    import jax

    from reportgen.models import build

    network, dataset = build(model, 10), _dataset(file)
    images, labels = dataset.test_images, dataset.test_labels
    batch = min(BATCH, len(images))

    @jax.jit
    def forward(params: Any, x: jax.Array) -> Any:
        return network.apply({"params": params}, x, capture_intermediates=True)[1]["intermediates"]

    def evaluate() -> None:
        for params in _restored(folder):
            for at in range(0, len(images) - batch + 1, batch):
                one_hot = np.eye(10, dtype=np.float32)[labels[at : at + batch]]
                for leaf in jax.tree.leaves(forward(params, images[at : at + batch])):
                    maps = np.asarray(leaf).reshape(batch, -1, leaf.shape[-1])
                    maps.min(axis=(0, 1)), maps.max(axis=(0, 1)), one_hot.T @ maps.sum(axis=1)

    return evaluate


def large(folder: str, size: int) -> Callable[[], None]:
    """Replay three checkpoints of one dense layer of `size` by `size`."""
    import flax.linen as nn
    import jax
    import orbax.checkpoint as ocp

    import reportgen

    network, x = nn.Dense(size), np.ones((4, size), np.float32)
    with ocp.CheckpointManager(folder) as manager:
        for step in range(3):
            params = network.init(jax.random.key(step), x)["params"]
            manager.save(step, args=ocp.args.StandardSave({"params": params}))
    del params

    def replay() -> None:
        reportgen.replay(folder, network, f"{folder}-run", probe=x, overwrite=True)

    return replay


def _dataset(file: str) -> Any:
    from reportgen.data import make_dataset

    x, y, x_test, y_test = read_digits(file)
    return make_dataset("digits", x, y, x_test, y_test, tuple(map(str, range(10))))
