"""What opening a recorder has XLA compile, against compiling the network's forward pass."""

from collections.abc import Callable
from statistics import median

from benchmarks.measure import Row, Settings, contestant, spoken

NAMES = ("LeNet", "residual network", "transformer")
COMPILED = "/jax/core/compile/backend_compile_duration"


def measure(settings: Settings) -> list[Row]:
    """Of each: seconds of compiling while it is opened / of compiling the forward pass; nothing comes from a cache."""
    rows = []
    for name in NAMES:
        run = str(settings.folder / name.replace(" ", "-"))
        with contestant(settings, "benchmarks.opening:opened", name=name, run=run, tiny=settings.tiny) as side:
            taken = [side.run() for _ in range(settings.rounds)]
        ours, alone = (spoken(median(each[key] for each in taken)) for key in ("ours", "forward"))
        programs = f"{taken[0]['programs']:.0f} programs, {taken[0]['later']:.0f} more at the first epoch's end"
        figure = f"{name}: compiling at opening / compiling a forward pass"
        rows.append(
            Row(
                figure,
                tuple(each["ours"] / each["forward"] for each in taken),
                1.5,
                detail=f"{ours} / {alone}; {programs}",
            )
        )
    return rows


def opened(name: str, run: str, tiny: bool) -> Callable[[], dict[str, float]]:
    """Open a recorder and record an epoch.

    "ours" and "forward" are seconds of compiling, "programs" what was compiled until it was open, "later" after that.
    """
    import jax
    import numpy as np

    from benchmarks.networks import GPT, ResNet
    from reportgen.models import build
    from reportgen.record import Recorder

    jax.config.update("jax_enable_compilation_cache", False)
    rng, count = np.random.default_rng(0), 20 if tiny else 200
    if name == "transformer":
        model = GPT(width=32, depth=1 if tiny else 4, heads=2, vocabulary=50, length=16)
        tokens = rng.integers(0, 50, (count, 17)).astype(np.int32)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
    else:
        small = name == "LeNet"
        model = build("lenet", 10) if small else ResNet(blocks=(1, 1) if tiny else (2, 2), filters=16, classes=10)
        inputs = rng.random((count, 28, 28, 1) if small else (count, 32, 32, 3)).astype(np.float32)
        targets = np.arange(count) % 10
    variables = jax.jit(model.init)(jax.random.key(0), inputs[:1])
    seconds: list[float] = []

    def note(event: str, duration: float, **_: object) -> None:
        if event == COMPILED:
            seconds.append(duration)

    jax.monitoring.register_event_duration_secs_listener(note)

    def once() -> dict[str, float]:
        seconds.clear()
        jax.jit(model.apply).lower(variables, inputs).compile()
        forward = sum(seconds)
        seconds.clear()
        batches = {"probe": (inputs[:10], targets[:10]), "evaluation": (inputs, targets)}
        with Recorder(run, model, variables, **batches, overwrite=True) as recorder:
            programs, ours = len(seconds), sum(seconds)
            recorder.epoch(variables, steps=1)
        return {"ours": ours, "forward": forward, "programs": programs, "later": len(seconds) - programs}

    return once
