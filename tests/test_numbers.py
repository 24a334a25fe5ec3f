"""Every number that `--numbers` writes, recomputed from the raw run by code that shares nothing with analysis/.

Only json, csv, safetensors, NumPy, SciPy and scikit-learn are used here, and a forward pass written by hand.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.signal import correlate2d

import reportgen

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def numbers(recorded, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    reportgen.build(recorded, embedding="pca").write_numbers(folder)
    return folder


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def raw(run: Path, kind: str, step: int) -> dict[str, np.ndarray]:
    return load_file(run / kind / f"{step:08d}.safetensors")


@pytest.fixture(scope="module")
def forward(recorded):
    """Layer path -> activations of the evaluation images at the last step, by hand."""
    params, data = raw(recorded, "snapshots", 12), load_file(recorded / "data.safetensors")
    images = data["evaluation_images"].astype(np.float64)
    if "evaluation_images_divisor" in data:
        images /= 255
    kernel = params["conv1/kernel"].astype(np.float64)
    conv = np.stack(
        [
            np.stack([correlate2d(image[..., 0], kernel[:, :, 0, c], mode="same") for c in range(4)], axis=-1)
            for image in images
        ]
    )
    conv = conv + params["conv1/bias"]
    relu = np.maximum(conv, 0)
    pool = relu.reshape(-1, 4, 2, 4, 2, 4).max(axis=(2, 4))
    hidden = pool.reshape(len(images), -1) @ params["hidden/kernel"].astype(np.float64) + params["hidden/bias"]
    scores = np.maximum(hidden, 0) @ params["output/kernel"].astype(np.float64) + params["output/bias"]
    values = {"conv1": conv, "conv1/relu": relu, "conv1/max_pool": pool, "hidden": hidden, "output": scores}
    return images, data["evaluation_labels"], values


def test_metrics(recorded, numbers):
    written = rows(numbers, "metrics.csv")
    steps = [json.loads(line) for line in (recorded / "steps.jsonl").read_text().splitlines()]
    epochs = {row["step"]: row for row in map(json.loads, (recorded / "epochs.jsonl").read_text().splitlines())}
    assert [int(row["step"]) for row in written] == list(range(13))
    assert [float(row["train_loss"]) for row in written[1:]] == [row["train_loss"] for row in steps]
    for row in written:
        kept = epochs.get(int(row["step"]))
        assert (row["val_accuracy"] != "") == (kept is not None)
        if kept:
            assert float(row["val_accuracy"]) == kept["val_accuracy"]
            assert float(row["val_loss"]) == kept["val_loss"]
    for epoch in (1, 2):
        batch = [float(row["train_loss"]) for row in written if row["epoch"] == str(epoch)]
        assert float(written[6 * epoch]["epoch_train_loss"]) == pytest.approx(np.mean(batch), rel=1e-12)


def test_layers(numbers):
    written = [tuple(row.values()) for row in rows(numbers, "layers.csv")]
    assert written == [
        ("conv1", "Conv", "8x8x4", "40"),
        ("conv1/relu", "relu", "8x8x4", "0"),
        ("conv1/max_pool", "max_pool", "4x4x4", "0"),
        ("conv1/flatten", "flatten", "64", "0"),
        ("hidden", "Dense", "16", str(64 * 16 + 16)),
        ("hidden/relu", "relu", "16", "0"),
        ("Dropout_0", "Dropout", "16", "0"),
        ("output", "Dense", "10", "170"),
    ]


def test_confusion(forward, numbers):
    from sklearn.metrics import confusion_matrix

    _, labels, values = forward
    written = rows(numbers, "confusion.csv")
    assert [row["true"] for row in written] == CLASSES
    matrix = [[int(row[name]) for name in CLASSES] for row in written]
    np.testing.assert_array_equal(matrix, confusion_matrix(labels, values["output"].argmax(axis=1), labels=range(10)))


def test_diffs(recorded, numbers):
    before, after = raw(recorded, "snapshots", 0), raw(recorded, "snapshots", 12)
    written = {row["param"]: row for row in rows(numbers, "diffs.csv")}
    assert set(written) == set(before)
    for name, row in written.items():
        start = before[name].astype(np.float64).ravel()
        change = after[name].astype(np.float64).ravel() - start
        assert (row["from_step"], row["to_step"]) == ("0", "12")
        assert float(row["mean"]) == pytest.approx(change.mean(), rel=1e-9, abs=1e-15)
        assert float(row["mean_abs"]) == pytest.approx(np.abs(change).mean(), rel=1e-9)
        assert float(row["max_abs"]) == np.abs(change).max()
        assert int(row["increased"]) == (change > 0).sum()
        assert int(row["decreased"]) == (change < 0).sum()
        if start.std() > 0:
            assert float(row["init_delta_correlation"]) == pytest.approx(np.corrcoef(start, change)[0, 1], rel=1e-6)
        else:
            assert row["init_delta_correlation"] == ""
        assert int(row["away_from_zero"]) == ((start * change) > 0).sum()


def test_activity(forward, numbers):
    images, labels, values = forward
    right = values["output"].argmax(axis=1) == labels
    written = rows(numbers, "activity.csv")
    assert {row["layer"] for row in written} >= set(values)
    checked = 0
    for row in written:
        if row["layer"] not in values:
            continue
        chosen = right & (labels == CLASSES.index(row["label"]))
        assert int(row["images"]) == chosen.sum()
        if not chosen.any():
            assert row["activity"] == row["input_mean_sum"] == row["ratio"] == ""
            continue
        channel = values[row["layer"]][chosen][..., int(row["channel"])].reshape(chosen.sum(), -1)
        activity, inputs = channel.sum(axis=1).mean(), images[chosen].reshape(chosen.sum(), -1).sum(axis=1).mean()
        assert float(row["activity"]) == pytest.approx(activity, rel=1e-4, abs=1e-3)
        assert float(row["input_mean_sum"]) == pytest.approx(inputs, rel=1e-6)
        assert float(row["ratio"]) == pytest.approx(activity / inputs, rel=1e-4, abs=1e-4)
        checked += 1
    assert checked > 100


def test_channels(recorded, forward, numbers):
    maps = raw(recorded, "activations", 12)
    _, labels, values = forward
    written = rows(numbers, "channels.csv")
    assert {row["layer"] for row in written} == {"conv1", "conv1/relu", "conv1/max_pool"}
    # The probe images are the first evaluation image of each class.
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(10)]
    for row in written:
        channel = maps[f"maps/{row['layer']}"][int(row["image"]), ..., int(row["channel"])]
        assert float(row["max"]) == channel.max()
        assert (int(row["y"]), int(row["x"])) == np.unravel_index(channel.argmax(), channel.shape)
        assert float(row["min"]) == channel.min()
        assert float(row["mean"]) == pytest.approx(channel.astype(np.float64).mean(), rel=1e-6, abs=1e-9)
        by_hand = values[row["layer"]][first[int(row["image"])], ..., int(row["channel"])]
        np.testing.assert_allclose(channel, by_hand, rtol=1e-4, atol=1e-5)


def test_embedding(recorded, numbers):
    from sklearn.decomposition import PCA

    written = rows(numbers, "embedding.csv")
    labels = load_file(recorded / "data.safetensors")["embedding_labels"]
    assert [row["epoch"] for row in written] == ["0"] * 300 + ["1"] * 300 + ["2"] * 300
    assert [row["label"] for row in written[:300]] == [CLASSES[label] for label in labels]
    # One plane for all epochs: the principal components of the stacked, centred, unit-radius vectors.
    frames = []
    for step in (0, 6, 12):
        vectors = raw(recorded, "activations", step)["embedding_vectors"].astype(np.float64)
        vectors -= vectors.mean(axis=0)
        frames.append(vectors / np.sqrt((vectors**2).sum(axis=1).mean()))
    expected = PCA(2).fit_transform(np.concatenate(frames))
    found = np.array([(float(row["x"]), float(row["y"])) for row in written])
    for axis in (0, 1):
        sign = np.sign((expected[:, axis] * found[:, axis]).sum())
        np.testing.assert_allclose(found[:, axis], sign * expected[:, axis], atol=1e-5)


def test_report_json_has_what_is_needed_to_judge_the_run(numbers):
    provenance = json.loads((numbers / "report.json").read_text(encoding="utf-8"))
    assert provenance["config"]["seed"] == 0
    assert provenance["packages"]["jax"]
    assert len(provenance["dataset_fingerprint"]) == 64
    assert {"git_commit", "git_dirty", "device", "seconds"} <= set(provenance)
