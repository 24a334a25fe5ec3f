"""Activity per label of all convolutions over 10,000 images, against PyTorch's hooks and against whole maps."""

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Contestant, Here, Missing, Row, Settings, contestant, ratio, read_digits


def measure(settings: Settings) -> list[Row]:
    """Time and memory, each round in new processes: memory that a process keeps would hide its growth."""
    file = settings.digits_file(100, 10_000)
    sides: dict[str, tuple[str, dict]] = {
        "ours": ("benchmarks.activity:ours", {}),
        "maps": ("benchmarks.activity:whole_maps", {}),
        "hooks": ("benchmarks.peers.torch_cnn:activity", {"batches": [10] if settings.tiny else [50, 100, 250, 500]}),
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    missing = None
    for _ in range(settings.rounds):
        for name, (function, arguments) in sides.items():
            try:
                with contestant(settings, function, file=file, **arguments) as side:
                    taken[name].append(_first_and_best(side))
            except Missing as error:
                missing = error
    memory = (taken["ours"], taken["maps"], 0.2, "peak")
    rows = [
        ratio("the same / plain `capture_intermediates`, whole maps in NumPy: time", taken["ours"], taken["maps"], 0.4),
        ratio("the same / plain `capture_intermediates`: growth of memory", *memory),
    ]
    if missing is not None:
        raise missing
    hooks = ratio("activity per label over 10,000 images / PyTorch's hooks", taken["ours"], taken["hooks"], 0.6)
    return [hooks, *rows]


def _first_and_best(side: Contestant | Here) -> dict[str, float]:
    """The memory of a first call, which compiles as well, and the quicker of two calls after it."""
    first = side.run()
    return {"peak": max(first["peak"], 1.0), "seconds": min(side.run()["seconds"] for _ in range(2))}


def ours(file: str) -> Callable[[], None]:
    """The recorder's own pass, over the convolutions: sums per label, ranges, predictions, logit gaps."""
    from reportgen.process import keep_compiled

    keep_compiled()
    import jax

    from reportgen.capture import prepare
    from reportgen.core.outcome import Kind, Task
    from reportgen.core.run import Batch
    from reportgen.evaluate import Observer
    from reportgen.models import build

    _, _, images, labels = read_digits(file)
    model = build("mnist_cnn", 10)
    variables = model.init(jax.random.key(0), images[:1])
    batches = {"probe": Batch(1, images[:1]), "evaluation": Batch(len(images), images, labels)}
    observe = Observer(
        prepare(model, variables, images[:1], layers=["conv?_?"]), batches, Task(Kind.CLASSIFICATION), 10
    )

    def run() -> None:
        observe(variables, step=0, epoch=0)

    return run


def whole_maps(file: str) -> Callable[[], None]:
    """Flax's own capture, of the convolutions alone, in one call; summed in NumPy."""
    from reportgen.process import keep_compiled

    keep_compiled()
    import flax.linen as nn
    import jax

    from reportgen.models import build

    _, _, images, labels = read_digits(file)
    model = build("mnist_cnn", 10)
    variables = model.init(jax.random.key(0), images[:1])

    @jax.jit
    def capture(variables, images):
        def wanted(module: nn.Module, method: str) -> bool:
            return isinstance(module, nn.Conv) and method == "__call__"

        return model.apply(variables, images, capture_intermediates=wanted, mutable=["intermediates"])

    def run() -> None:
        scores, state = capture(variables, images)
        right = np.argmax(np.asarray(scores), axis=1) == labels
        maps = {name: np.asarray(found["__call__"][0]) for name, found in state["intermediates"].items()}
        sums = {name: value.sum(axis=(1, 2)) for name, value in maps.items()}
        inputs = images.sum(axis=(1, 2, 3))
        for label in range(10):
            chosen = right & (labels == label)
            _ = {name: value[chosen].sum(axis=0) for name, value in sums.items()}, inputs[chosen].sum()

    return run
