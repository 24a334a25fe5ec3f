"""The look over a whole run, on runs made by hand: what is found, and how little is read for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reportgen.analysis.checkup import EPOCHS, checkup, final_health
from reportgen.analysis.diffs import differences
from reportgen.analysis.health import first_non_finite, ranges_health
from reportgen.core.network import ATTENTION, Layer, Network, role_of
from reportgen.core.outcome import Classification
from reportgen.core.run import MetricRow, Metrics, Observation, Run, Snapshot
from reportgen.errors import DataError

NONE = np.zeros(0, np.int64)


class Counted(dict):
    """A mapping that notes which of its values were asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked: list[int] = []

    def __getitem__(self, key):
        self.asked.append(key)
        return super().__getitem__(key)


def answers(step: int, epoch: int, ranges: dict[str, np.ndarray], maps: dict[str, np.ndarray] | None = None):
    outcome = Classification(np.zeros(7, np.int64), np.zeros(7, np.float32), NONE, {}, np.zeros(0))
    return Observation(step, epoch, maps or {}, ranges, outcome=outcome)


def run(snapshots, activations, layers=("a", "b"), steps=()) -> Run:
    ops = {"a": "Dense", "b": "relu", "p": "max_pool", "t": "tanh"}
    return Run(
        path=Path("nowhere"),
        classes=("x",),
        network=Network("net", {path: Layer(path, ops[path], role_of(ops[path]), (3,)) for path in layers}),
        config={},
        provenance={},
        metrics=Metrics(tuple(steps)),
        snapshots=snapshots,
        observations=activations,
        batches={},
    )


def kept(count: int, broken_from: int | None = None, per_epoch: int = 10) -> Counted:
    kernel = np.ones((2, 2))
    return Counted(
        {
            step: Snapshot(
                step,
                -(-step // per_epoch),
                {
                    "params": {
                        "k": kernel * np.nan if broken_from is not None and step >= broken_from else kernel * 1.5**step,
                        "b": np.zeros(2, np.float32),
                    }
                },
            )
            for step in range(count)
        }
    )


GOOD = np.array([[-1, 0, 0.25], [1, 0, 0.25]], np.float32)


@pytest.mark.parametrize("broken_from", [0, 1, 7, 10, 11, 333, 600])
def test_the_first_broken_snapshot_is_found_among_hundreds_by_reading_few(broken_from):
    snapshots = kept(601, broken_from)
    ends = range(0, 601, 10)
    broken, looked = first_non_finite(snapshots, ends)
    assert [(part.step, part.name, part.nan) for part in broken] == [(broken_from, "k", 4)]
    assert broken_from in looked
    assert len(snapshots.asked) == len(looked) <= 61 + 5


def test_each_parameter_of_a_whole_run_is_read_once_and_compared_on_the_way():
    params = {step: Counted({"k": np.full((2, 2), 1.0 + step), "b": np.zeros(2)}) for step in range(4)}
    snapshots = {step: Snapshot(step, step, {"params": params[step]}) for step in params}
    found = checkup(run(snapshots, {}), (1, 3), ("k",))
    assert list(found.compared) == ["k"]
    (change,) = differences(snapshots[1], snapshots[3], ("k",), found.compared)
    assert change is found.compared["k"] and change.mean == 2.0 and change.max_abs == 2.0 and change.relative == 1.0
    assert found.looked == (0, 1, 2, 3) and [update.ratio for update in found.updates["k"]] == [1.0, 0.5, 1 / 3]
    assert all(sorted(each.asked) == ["b", "k"] for each in params.values())
    np.testing.assert_array_equal(change.delta, np.full((2, 2), 2.0))
    assert not checkup(run(snapshots, {})).compared and not checkup(run(snapshots, {}), (1, 3), ("other",)).compared


def test_whole_snapshots_are_whole():
    snapshots = kept(21)
    assert first_non_finite(snapshots, [0, 10, 20]) == ((), (0, 10, 20))
    assert first_non_finite(snapshots, []) == ((), ())


def test_channels_from_ranges():
    ranges = np.array([[0, 2, -1, np.nan, -np.inf, 0], [0, 2, 1, np.nan, 3, 1e-30]])
    health = ranges_health("x", ranges, 100, np.zeros((0, 6)))
    assert (health.dead, health.constant, health.non_finite) == ((0,), (1,), (3, 4))
    assert (health.images, health.channels, health.saturated) == (100, 6, None)
    maps = np.repeat(np.tanh([[0.0, 9, 9, 9, 9, 0.5]]), 50, axis=0) + np.array([[0.0], [1e-9]] * 25)
    assert ranges_health("x", ranges, 100, maps, "tanh").saturated == (2,)
    with pytest.raises(DataError, match=r"ranges are \[2, channel\]"):
        ranges_health("x", np.zeros(3), 1, np.zeros((0, 3)))


def test_a_layer_without_positions_has_no_data_and_is_not_broken():
    health = ranges_health("x", np.array([[np.inf], [-np.inf]]), 5, np.zeros((0, 1)))
    assert (health.dead, health.constant, health.non_finite) == ((), (), ())


def test_a_run_over_epochs():
    activations = {10 * e: answers(10 * e, e, {"a": GOOD, "b": GOOD * (e < 2), "p": GOOD}) for e in range(3)}
    found = checkup(run(kept(21), activations, ("a", "b", "p")))
    assert found.epochs == (0, 1, 2)
    assert found.looked == found.steps == (0, 10, 20)
    assert [health.dead for health in found.channels["b"]] == [(1,), (1,), (0, 1, 2)]
    assert [health.constant for health in found.channels["a"]] == [(2,)] * 3
    assert "p" not in found.channels
    assert (found.images, found.whole, found.broken, found.broken_layer, found.loss) == (7, True, (), None, None)
    assert [(u.step, u.epoch, u.updates) for u in found.updates["k"]] == [(10, 1, 1), (20, 2, 1)]
    assert [u.ratio for u in found.updates["k"]] == pytest.approx([0.5, 0.5])
    assert set(found.updates) == {"k"}


def test_the_first_broken_layer_is_named_although_a_later_one_is_whole_again():
    nan = GOOD * [1, np.nan, 1]
    activations = {10 * e: answers(10 * e, e, {"a": nan if e >= 1 else GOOD, "b": GOOD}) for e in range(3)}
    epoch, layer = checkup(run(kept(21), activations)).broken_layer
    assert (epoch, layer.path, layer.non_finite) == (1, "a", (1,))


def test_hundreds_of_epochs_are_thinned_and_the_first_broken_one_is_still_found():
    activations = Counted({e: answers(e, e, {"a": GOOD * (np.nan if e >= 137 else 1), "b": GOOD}) for e in range(400)})
    snapshots = kept(400, per_epoch=1)
    found = checkup(run(snapshots, activations))
    assert len(found.epochs) == EPOCHS
    assert (found.epochs[0], found.epochs[-1]) == (0, 399)
    assert found.broken_layer[0] == 137
    assert len(activations.asked) <= EPOCHS + 2 * (400 // EPOCHS)
    assert len(snapshots.asked) <= 5 * EPOCHS


def test_keys_that_no_query_reads_are_no_dead_channels():
    weights = Layer("w", "attention_weights", role_of("attention_weights"), (2, 3, 3), axes=ATTENTION)
    made = run(kept(3), {2: answers(2, 1, {"w": np.array([[0, 0, 0], [0, 1, 1]], np.float32), "a": GOOD})}, ("a",))
    made = replace(made, network=Network("net", {**made.network.layers, "w": weights}))
    assert list(checkup(made).channels) == ["a"] and [health.path for health in final_health(made)] == ["a"]


def test_without_ranges_the_probe_images_judge():
    maps = {"a": np.ones((4, 3), np.float32), "b": np.zeros((4, 3), np.float32)}
    found = checkup(run(kept(3), {0: answers(0, 0, {}, maps), 2: answers(2, 1, {}, maps)}))
    assert (found.whole, found.images) == (False, 4)
    assert found.channels["b"][-1].dead == (0, 1, 2)


def test_losses_that_are_not_finite_and_a_run_of_one_snapshot():
    steps = [MetricRow(step, 1, {}, {"train_loss": loss}) for step, loss in ((1, 1.0), (2, np.inf), (3, np.nan))]
    found = checkup(run(kept(1), {}, steps=steps))
    assert found.loss == (2, 2)
    assert found.epochs == ()
    assert found.channels == {}
    assert found.updates == {"k": ()}
