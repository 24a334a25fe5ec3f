"""The score of a training, on runs made by hand: where it broke, which layers are shown, how little is read."""

from pathlib import Path

import numpy as np
import pytest

from reportgen.analysis.checkup import checkup
from reportgen.analysis.score import POINTS, STAVES, STEPS, Score, loss_jump, score, similar_to_last
from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.core.run import MetricRow, Metrics, Observation, Run, Snapshot

GRADIENTS = {"grad_norm": 3.0, "grad_norm/l01": 1.0, "l02.kernel.gradient": 2.0}


class Counted(dict):
    """A mapping that notes which of its values were asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked: set[object] = set()

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)


def run(layers: int, steps: int, epochs: int, *, losses=None, weights=None, dead_from=None, reported=None) -> Run:
    """A chain of dense layers of four channels each with a relu; layer 1 is dead from an epoch on."""
    rng = np.random.default_rng(0)
    chain: dict[str, Layer] = {}
    before = INPUT
    for number in range(layers):
        name = f"l{number:02d}"
        chain[name] = Layer(name, "Dense", Role.DENSE, (4,), (), inputs=(before,), params={f"{name}/kernel": (4, 4)})
        before = f"{name}/relu"
        chain[before] = Layer(before, "relu", Role.ACTIVATION, (4,), (), inputs=(name,))
    kernels = {f"{name}/kernel": rng.normal(size=(4, 4)) for name in chain if "/" not in name}

    def params(step: int) -> dict[str, np.ndarray]:
        return kernels if weights is None else {name: weights(step, kernel) for name, kernel in kernels.items()}

    observations = {}
    for epoch in range(epochs + 1):
        dead = dead_from is not None and epoch >= dead_from
        values = {name: np.ones((3, 4)) * (0 if dead and name == "l01/relu" else 1 + epoch) for name in chain}
        spans = {name: np.stack([0 * value[0], value[0]]).astype(np.float32) for name, value in values.items()}
        step = round(epoch * steps / epochs)
        vectors = {"embedding": np.random.default_rng(epoch).normal(size=(30, 5)) + np.arange(30)[:, None] * epoch}
        observations[step] = Observation(step, epoch, values, spans, vectors)
    rows = [
        MetricRow(step, 1, {}, {"train_loss": float(loss), **(reported or {})})
        for step, loss in enumerate([] if losses is None else losses, 1)
    ]
    return Run(
        path=Path("nowhere"),
        classes=("x",),
        network=Network("net", chain),
        config={},
        provenance={},
        metrics=Metrics(tuple(rows)),
        snapshots=Counted({step: Snapshot(step, 0, {"params": params(step)}) for step in range(steps + 1)}),
        observations=observations,
        batches={},
        embed_layer="l01/relu",
    )


def of(training: Run) -> Score:
    return score(training, checkup(training), similar_to_last(training))


def falling(count: int, noise: float = 0.05) -> np.ndarray:
    return 2 * np.exp(-np.arange(count) / 60) + 0.1 + noise * np.abs(np.random.default_rng(1).normal(size=count))


def lanes(result: Score, name: str) -> dict[str, np.ndarray]:
    staff = next(staff for staff in result.staves if staff.name == name)
    return {lane.quantity: lane.values for lane in staff.lanes}


def test_a_sound_training_has_no_break_and_a_staff_for_each_kernel():
    result = of(run(3, 300, 5, losses=falling(300), reported=GRADIENTS))
    assert result.breaks == ()
    assert [staff.name for staff in result.staves] == ["Whole network", "l00", "l01", "l02"]
    assert set(lanes(result, "Whole network")) == {"loss", "gradient"}
    assert set(lanes(result, "l01")) == {"weights", "activations", "dead", "update", "gradient", "similarity"}
    assert lanes(result, "l01")["similarity"][-1] == pytest.approx(1)
    assert lanes(result, "l01")["gradient"][0] == 1 and lanes(result, "l02")["gradient"][0] == 2
    assert "gradient" not in lanes(result, "l00")


def test_quantiles_are_those_of_the_values():
    training = run(2, 10, 2)
    first = training.snapshots[0].params["l00/kernel"]
    assert lanes(of(training), "l00")["weights"][0] == pytest.approx(np.quantile(first, (0.5, 0.05, 0.25, 0.75, 0.95)))


def test_the_step_at_which_something_broke_is_found_of_each_kind():
    losses = falling(300)
    losses[150:] += 1.5
    losses[220:] = np.nan
    result = of(run(3, 300, 3, losses=losses, weights=lambda step, k: k if step < 230 else k * np.inf, dead_from=1))
    assert [(one.step, one.what, one.where) for one in result.breaks] == [
        (100, "all channels dead", "l01/relu"),
        (151, "loss jumps", ""),
        (221, "training loss not finite", ""),
        (230, "parameters not finite", "l00/kernel"),
    ]
    weights = lanes(result, "l00")["weights"]
    assert np.isfinite(weights[0]).all() and np.isnan(weights[-1]).all()


@pytest.mark.parametrize(
    "losses",
    [
        falling(400),
        falling(400, noise=0.5),
        np.r_[falling(200), [9.0], falling(100)[-100:] * 0 + 0.1],  # one bad batch
        np.full(300, 2.3) + 1e-4 * np.random.default_rng(2).normal(size=300),  # nothing is learned
        np.full(100, 1.0),
        falling(20),
        np.zeros(0),
    ],
)
def test_noise_is_no_jump(losses):
    assert loss_jump(losses) is None


def test_a_jump_is_found_at_its_first_update_also_in_negative_losses():
    losses = -falling(300)[::-1]
    losses[250:] += 30
    assert loss_jump(losses) == 250


def test_of_three_hundred_layers_and_a_long_training_a_bounded_part_is_read_and_shown():
    training = run(300, 2_000, 100, losses=falling(2_000), dead_from=60)
    found = checkup(training)
    training.snapshots.asked.clear()
    result = score(training, found, None)
    assert len(training.snapshots.asked) <= STEPS
    shown = [staff.name for staff in result.staves[1:]]
    assert len(shown) == STAVES and shown == sorted(shown)
    assert {"l00", "l299", "l01"} <= set(shown), "the ends, and the one that died"
    assert len(result.others) == 300 - STAVES
    assert max(len(lane.steps) for staff in result.staves for lane in staff.lanes) <= POINTS
