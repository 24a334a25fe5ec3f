import json

import numpy as np
import pytest

from reportgen.errors import OptionError, RunError
from reportgen.store import open_run
from reportgen.training import train
from tests.conftest import tiny_dataset, tiny_model

OPTIONS = {"epochs": 2, "batch_size": 50, "learning_rate": 0.01, "model_name": "tiny"}


def params(path, step):
    return {name: np.asarray(array) for name, array in open_run(path).snapshots[step].params.items()}


def test_the_same_seed_gives_the_same_parameters_bit_for_bit(recorded, tmp_path):
    train(tmp_path / "again", tiny_dataset(), tiny_model(), **OPTIONS)
    first, second = params(recorded, 12), params(tmp_path / "again", 12)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_another_seed_gives_others(recorded, tmp_path):
    train(tmp_path / "other", tiny_dataset(), tiny_model(), **OPTIONS, seed=1)
    assert not np.array_equal(params(recorded, 0)["conv1/kernel"], params(tmp_path / "other", 0)["conv1/kernel"])


def test_training_learns_and_says_how_well(tmp_path):
    summary = train(tmp_path / "run", tiny_dataset(), tiny_model(), epochs=8, batch_size=30, learning_rate=0.01)
    run = open_run(tmp_path / "run")
    assert summary.test_accuracy > 0.8
    assert run.epochs[-1]["val_accuracy"] == summary.test_accuracy
    assert run.epochs[-1]["val_loss"] == pytest.approx(summary.test_loss)
    assert run.epochs[-1]["train_loss"] < run.epochs[1]["train_loss"]


def test_the_loss_is_the_mean_cross_entropy_of_the_test_images(recorded):
    """Recomputed from the kept parameters with plain NumPy and SciPy."""
    from scipy.signal import correlate2d
    from scipy.special import log_softmax

    dataset = tiny_dataset()
    run = open_run(recorded)
    for row in run.epochs:
        p = params(recorded, int(row["step"]))
        losses, right = [], 0
        for image, label in zip(dataset.test_images, dataset.test_labels, strict=True):
            maps = np.stack(
                [correlate2d(image[..., 0], p["conv1/kernel"][:, :, 0, c], mode="same") for c in range(4)], -1
            )
            maps = np.maximum(maps + p["conv1/bias"], 0)
            pooled = maps.reshape(4, 2, 4, 2, 4).max(axis=(1, 3))
            hidden = np.maximum(pooled.reshape(-1) @ p["hidden/kernel"] + p["hidden/bias"], 0)
            scores = log_softmax(hidden @ p["output/kernel"] + p["output/bias"])
            losses.append(-scores[label])
            right += scores.argmax() == label
        assert row["val_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert row["val_accuracy"] == right / len(losses)


def test_epochs_0_records_the_untrained_network(tmp_path):
    summary = train(tmp_path / "run", tiny_dataset(), tiny_model(), epochs=0)
    run = open_run(tmp_path / "run")
    assert summary.steps == 0
    assert list(run.snapshots) == [0]
    assert list(run.observations) == [0]
    assert run.status == "finished"


def test_resuming_goes_on_bit_for_bit(recorded, tmp_path):
    train(tmp_path / "run", tiny_dataset(), tiny_model(), **{**OPTIONS, "epochs": 1})
    train(tmp_path / "run", tiny_dataset(), tiny_model(), **OPTIONS, resume=True)
    once, twice = open_run(recorded), open_run(tmp_path / "run")
    assert list(once.snapshots) == list(twice.snapshots)
    for step in once.snapshots:
        a, b = once.snapshots[step].params, twice.snapshots[step].params
        assert all(a[name].tobytes() == b[name].tobytes() for name in a), step
    assert once.steps == twice.steps
    assert once.epochs == twice.epochs
    assert [once.snapshots[s].epoch for s in once.snapshots] == [twice.snapshots[s].epoch for s in twice.snapshots]


def test_resuming_without_a_run_says_so(tmp_path):
    with pytest.raises(RunError, match="no checkpoint to resume from"):
        train(tmp_path / "run", tiny_dataset(), tiny_model(), **OPTIONS, resume=True)


def test_resuming_with_another_model_says_so(run_copy):
    import flax.linen as nn

    class Other(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(10)(x.reshape(len(x), -1))

    with pytest.raises(RunError, match="does not fit this model"):
        train(run_copy, tiny_dataset(), Other(), **OPTIONS, resume=True)
    assert len(open_run(run_copy).snapshots) == 13


def test_an_interrupted_training_leaves_a_run_that_can_be_read(tmp_path, monkeypatch):
    from reportgen.record import Recorder

    step = Recorder.step
    count = iter(range(100))

    def interrupted(self, *args, **kwargs):
        if next(count) == 8:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Recorder, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", tiny_dataset(), tiny_model(), **OPTIONS)
    run = open_run(tmp_path / "run")
    assert run.status == "interrupted"
    assert list(run.snapshots) == list(range(9))
    assert list(run.observations) == [0, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs must be at least 0, not -1"),
        ({"batch_size": 0}, "batch size must be at least 1"),
        ({"learning_rate": float("nan")}, "learning rate must be a positive number, not nan"),
        ({"embed_size": 2}, "embed size must be at least 3"),
        ({"snapshot_every": "week"}, "can't be kept every 'week'"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        train(tmp_path / "run", tiny_dataset(), tiny_model(), **options)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(("every", "steps"), [("epoch", [0, 6, 12]), (4, [0, 4, 6, 8, 12]), ("batch", list(range(13)))])
def test_how_often_snapshots_are_kept(tmp_path, every, steps):
    train(tmp_path / "run", tiny_dataset(), tiny_model(), **OPTIONS, snapshot_every=every)
    assert list(open_run(tmp_path / "run").snapshots) == steps


def test_what_was_asked_for_is_in_the_run(recorded):
    run = json.loads((recorded / "run.json").read_text())
    assert run["config"]["model"] == "tiny"
    assert run["config"]["dataset"] == "tiny"
    assert run["config"]["batch_size"] == 50
    assert run["provenance"]["train_images"] == 300
    assert run["provenance"]["dataset_fingerprint"] == tiny_dataset().fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 3}, "seed 0, now 3"),
        ({"batch_size": 30}, "batch_size 50, now 30"),
        ({"learning_rate": 0.5}, "learning_rate 0.01, now 0.5"),
        ({"model_name": "other"}, "model tiny, now other"),
        ({"snapshot_every": 4}, "snapshot_every 1, now 4"),
        ({"embed_layer": "output"}, "embed_layer not given, now output"),
        ({"seed": 3, "embed_size": 40}, r"embed_size 2000, now 40; .*seed 0, now 3"),
    ],
)
def test_resuming_with_other_options_names_them_and_changes_nothing(run_copy, options, message):
    before = {file: file.read_bytes() for file in run_copy.rglob("*") if file.is_file()}
    with pytest.raises(RunError, match=message):
        train(run_copy, tiny_dataset(), tiny_model(), **{**OPTIONS, "epochs": 3, **options}, resume=True)
    assert {file: file.read_bytes() for file in run_copy.rglob("*") if file.is_file()} == before


def test_resuming_with_other_data_names_its_fingerprint(run_copy):
    from dataclasses import replace

    other = replace(tiny_dataset(), fingerprint="0123456789abcdef")
    with pytest.raises(RunError, match=r"fingerprint of the data .*, now 0123456789ab"):
        train(run_copy, other, tiny_model(), **{**OPTIONS, "epochs": 3}, resume=True)


@pytest.mark.parametrize("epochs", [1, 2])
def test_resuming_a_run_that_is_done_says_so(run_copy, epochs):
    with pytest.raises(OptionError, match=f"nothing is left to do: .* has 2 epochs, and {epochs} are asked for"):
        train(run_copy, tiny_dataset(), tiny_model(), **{**OPTIONS, "epochs": epochs}, resume=True)
    assert len(open_run(run_copy).snapshots) == 13
