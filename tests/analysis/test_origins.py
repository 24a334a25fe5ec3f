"""Where two runs differ on the way in, on runs of plain arrays."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.analysis.origins import differing, layer_changes, origins, parting
from reportgen.core.network import Layer, Network, Role
from reportgen.core.run import MetricRow, Metrics, Snapshot
from reportgen.store import open_run
from tests.reliability.runs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(write_run(tmp_path_factory.mktemp("origins") / "run", images=30))


def trained(run, updates, losses=()):
    """The run with parameters that start at 1 and move by each of `updates` (arrays of two)."""
    values = np.cumsum([np.array([1.0, -2.0]), *updates], axis=0)
    snapshots = {step: Snapshot(step, 1, {"params": {"a": v, "b": np.zeros(3)}}) for step, v in enumerate(values)}
    rows = tuple(MetricRow(step, 1, reported={"train_loss": loss}) for step, loss in enumerate(losses, 1))
    return replace(run, snapshots=snapshots, metrics=Metrics(rows, ()))


UPDATES = [np.array([0.1, 0.3]), np.array([0.2, -0.1]), np.array([0.3, 0.1])]


def test_a_run_has_no_differences_from_itself(run):
    found = origins(run, run)
    assert (found.settings, found.circumstances, found.layers, found.dtypes) == ((), (), (), ())
    assert found.frozen == ((), ()) and found.parting.step is None and found.parting.same_until == 4
    assert found.examples["evaluation"].shared == 30 and found.examples["evaluation"].in_order


def test_settings_are_told_by_their_dotted_names():
    before, after = {"a": 1, "b": {"c": 2, "d": 3}, "e": None}, {"a": 1, "b": {"c": 5, "d": 3}, "f": [1]}
    assert [(s.name, s.before, s.after) for s in differing(before, after)] == [("b.c", 2, 5), ("f", None, [1])]


def test_what_any_two_runs_have_of_their_own_is_no_difference(run):
    facts = {**run.provenance, "seconds": 9.0, "date": "2031-01-01", "command": "train -o b"}
    facts |= {"evaluating_seconds": 2.0, "snapshots_kept": "after update 586 only every 8th", "snapshots_thinned": 1}
    assert origins(run, replace(run, provenance=facts)).circumstances == ()
    (setting,) = origins(run, replace(run, provenance={**facts, "device": "gpu"})).circumstances
    assert setting.name == "device"


def test_layers_are_added_removed_and_changed():
    def network(*layers):
        return Network("net", {path: Layer(path, op, Role.OTHER, (4,)) for path, op in layers})

    before = network(("a", "Dense"), ("a/relu", "relu"), ("b", "Dense"))
    after = network(("a", "Dense"), ("a/tanh", "tanh"), ("b", "Conv"), ("c", "Dense"))
    changes = [(c.before and c.before.path, c.after and c.after.path) for c in layer_changes(before, after)]
    assert changes == [("a/relu", "a/tanh"), ("b", "b"), (None, "c")]


@pytest.mark.parametrize("change", [1, 2, 3])
def test_the_first_step_that_differs_is_found(run, change):
    updates = [u + 0.05 * (number >= change) for number, u in enumerate(UPDATES, 1)]
    found = parting(trained(run, UPDATES), trained(run, updates))
    assert (found.same_until, found.step, found.names) == (change - 1, change, ("a",))


def test_another_first_loss_is_told_before_the_update(run):
    base = trained(run, UPDATES, [2.0, 1.9, 1.8])
    found = parting(base, trained(run, [2 * u for u in UPDATES], [2.5, 1.9, 1.8]))
    assert found.loss == (1, 2.0, 2.5) and found.update == ""


def test_a_larger_update_weight_decay_and_another_optimizer_are_told_apart(run):
    losses, base = [2.0, 1.0, 0.5], trained(run, UPDATES, [2.0, 1.9, 1.8])
    start = np.array([1.0, -2.0])

    def update(first):
        found = parting(base, trained(run, [first, *UPDATES[1:]], losses))
        return found.update, round(found.factor, 6)

    assert update(3 * UPDATES[0]) == ("larger", 3)
    assert update(UPDATES[0] - 0.01 * start) == ("decay", -0.01)
    assert update(np.array([0.5, -0.05]))[0] == "other"


def test_what_seeds_and_the_order_of_batches_give_is_one_configuration(run):
    losses = [2.0, 1.9, 1.8]
    base = trained(run, UPDATES, losses)

    def one(first, losses=losses, seed=None, start=None):
        other = trained(run, [first, *UPDATES[1:]], losses)
        if start is not None:
            other = replace(other, snapshots={**other.snapshots, 0: Snapshot(0, 0, {"params": start})})
        config = {name: value for name, value in run.config.items() if name != "seed"}
        pair = [config, config] if seed is None else [{**config, "seed": 0}, {**config, "seed": seed}]
        sides = zip((base, other), pair, strict=True)
        return origins(*(replace(side, config=known) for side, known in sides)).one_configuration

    start = {"a": np.array([3.0, 4.0]), "b": np.zeros(3)}
    assert one(UPDATES[0]) and one(UPDATES[0], start=start) and one(UPDATES[0], start=start, seed=1)
    assert not one(UPDATES[0], start=start, seed=0)  # another start in spite of the seed
    assert one(-UPDATES[0], [2.5, 1.9, 1.8]) and one(-UPDATES[0], [2.0, 9.9, 1.8], seed=1)
    assert not one(-UPDATES[0], [2.0, 9.9, 1.8])  # the second batch alone
    assert not one(3 * UPDATES[0]) and not one(-UPDATES[0])  # another update from an equal loss
    assert one(-np.array([0.5, 0.1]), [])  # no loss was reported: perhaps another batch
    assert not one(3 * UPDATES[0], [])


def test_a_type_with_fewer_digits_starts_from_the_same_parameters(run):
    base = trained(run, UPDATES)
    third = {"params": {"a": np.array([1 / 3, 2.0]), "b": np.zeros(3)}}
    half = {"params": {name: array.astype(np.float16) for name, array in third["params"].items()}}
    pair = [replace(base, snapshots={**base.snapshots, 0: Snapshot(0, 0, first)}) for first in (third, half)]
    assert parting(*pair).step is None
    off = {"params": {**half["params"], "a": half["params"]["a"] * np.float16(1.01)}}
    assert parting(pair[0], replace(base, snapshots={**base.snapshots, 0: Snapshot(0, 0, off)})).names == ("a",)


def test_rounding_is_no_difference(run):
    base = trained(run, UPDATES)
    assert parting(base, trained(run, [u * (1 + 1e-9) for u in UPDATES])).step is None


def test_constant_parameters_say_nothing_of_a_seed(run):
    other = trained(run, UPDATES)
    first = {"params": {"a": np.array([3.0, 4.0]), "b": np.zeros(3)}}
    found = parting(trained(run, UPDATES), replace(other, snapshots={**other.snapshots, 0: Snapshot(0, 0, first)}))
    assert (found.same_until, found.names, found.of) == (None, ("a",), 1)


def test_relabelled_and_rescaled_examples_are_counted(run):
    batch = run.batch("evaluation")
    labels = np.where(batch.labels == 2, 0, batch.labels)
    other = replace(run, batches={**run.batches, "evaluation": replace(batch, targets=labels)})
    change = origins(run, other).examples["evaluation"]
    assert change.relabelled == ((2, 0, 10),) and change.counts == ((10, 10, 10), (20, 10, 0))
    scaled = replace(run, batches={**run.batches, "evaluation": replace(batch, inputs=batch.inputs[:] * 2 - 1)})
    change = origins(run, scaled).examples["evaluation"]
    assert change.rescaled == pytest.approx((2, -1)) and change.shared == 0
    turned = replace(batch, inputs=batch.inputs[:][::-1], targets=batch.labels[::-1])
    change = origins(run, replace(run, batches={**run.batches, "evaluation": turned})).examples["evaluation"]
    assert change.shared == 30 and not change.in_order and change.relabelled == ()


def test_other_shapes_have_no_parting(run):
    other = {0: Snapshot(0, 0, {"params": {"a": np.zeros(5)}})}
    assert parting(run, replace(run, snapshots=other)) is None
