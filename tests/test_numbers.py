"""Every number that `--numbers` writes, recomputed from the raw run by code that shares nothing with analysis/.

Only json, csv, safetensors, NumPy, SciPy and scikit-learn are used here, and a forward pass written by hand.
"""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.signal import correlate2d

import reportgen
from reportgen.core.report import Document, Section
from tests import snapshots

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def report(recorded) -> reportgen.Report:
    return reportgen.build(recorded, embedding="pca")


@pytest.fixture(scope="module")
def built(report) -> Document:
    return report.document


@pytest.fixture(scope="module")
def numbers(report, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    report.write_numbers(folder)
    return folder


def section(report: Document, anchor: str) -> Section:
    return next(part for part in report.sections if part.anchor == anchor)


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def raw(run: Path, kind: str, step: int) -> dict[str, np.ndarray]:
    tensors = snapshots.raw(run, step) if kind == "snapshots" else load_file(run / kind / f"{step:08d}.safetensors")
    return {name.removeprefix("params/"): array for name, array in tensors.items()}


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
    flat = pool.reshape(len(images), -1)
    hidden = flat @ params["hidden/kernel"].astype(np.float64) + params["hidden/bias"]
    hidden_relu = np.maximum(hidden, 0)
    scores = hidden_relu @ params["output/kernel"].astype(np.float64) + params["output/bias"]
    values = {"conv1": conv, "conv1/relu": relu, "conv1/max_pool": pool, "conv1/flatten": flat}
    values |= {"hidden": hidden, "hidden/relu": hidden_relu, "output": scores}
    return images, data["evaluation_labels"], values


def test_metrics(recorded, numbers):
    written = rows(numbers, "metrics.csv")
    steps = [json.loads(line) for line in (recorded / "steps.jsonl").read_text().splitlines()]
    epochs = {row["step"]: row for row in map(json.loads, (recorded / "epochs.jsonl").read_text().splitlines())}
    assert [int(row["step"]) for row in written] == list(range(13))
    assert [float(row["train_loss"]) for row in written[1:]] == [row["reported"]["train_loss"] for row in steps]
    for row in written:
        kept = epochs.get(int(row["step"]))
        assert (row["val_accuracy"] != "") == (kept is not None)
        if kept:
            assert float(row["val_accuracy"]) == kept["measured"]["val_accuracy"]
            assert float(row["val_loss"]) == kept["reported"]["val_loss"]
    for epoch in (1, 2):
        batch = [float(row["train_loss"]) for row in written if row["epoch"] == str(epoch)]
        assert float(written[6 * epoch]["epoch_train_loss"]) == pytest.approx(np.mean(batch), rel=1e-7)


def test_layers(numbers):
    written = [tuple(row.values())[:4] for row in rows(numbers, "layers.csv")]
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


def test_activity_around_its_mean(recorded, forward, numbers):
    """Over all evaluation images, also before training, where few are classified correctly."""
    _, labels, values = forward
    first = raw(recorded, "activations", 0)
    total = {name: first[f"label_sums/{name}"] + first[f"missed_sums/{name}"] for name in values}
    counts = np.bincount(labels, minlength=10)
    checked = 0
    for row in rows(numbers, "activity.csv"):
        if row["layer"] not in values:
            continue
        channel, label = int(row["channel"]), CLASSES.index(row["label"])
        sums = values[row["layer"]][..., channel].reshape(len(labels), -1).sum(axis=1)
        now = np.array([sums[labels == each].mean() for each in range(10)])
        before = total[row["layer"]][:, channel] / counts
        for name, each in (("around_mean", now), ("before", before)):
            size = np.abs(each).mean()
            expected = (each[label] - each.mean()) / size if size else 0.0
            assert float(row[name]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        checked += 1
    assert checked > 100


def test_excitations(forward, numbers):
    _, labels, values = forward
    checked = 0
    for row in rows(numbers, "excitations.csv"):
        if row["layer"] in values:
            maps = values[row["layer"]][..., int(row["channel"])].reshape(len(labels), -1).max(axis=1)
            assert float(row["value"]) == pytest.approx(np.sort(maps)[-int(row["rank"])], rel=1e-4, abs=1e-4)
            assert float(row["value"]) == pytest.approx(maps[int(row["image"])], rel=1e-4, abs=1e-4)
            assert row["label"] == CLASSES[labels[int(row["image"])]]
            checked += 1
    assert checked > 100


def test_channels(recorded, forward, numbers):
    maps = raw(recorded, "activations", 12)
    _, labels, values = forward
    written = rows(numbers, "channels.csv")
    assert {row["layer"] for row in written} == set(values)
    assert len(written) == 10 * sum(value.shape[-1] for value in values.values())
    # The probe images are the first evaluation image of each class.
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(10)]
    names = [f"probe {label} ({label})" for label in range(10)]
    for row in written:
        image = names.index(row["image"])
        channel = maps[f"maps/{row['layer']}"][image, ..., int(row["channel"])]
        assert float(row["max"]) == channel.max()
        # A layer without positions has no y and x.
        place = tuple(int(row[axis]) for axis in ("y", "x") if row[axis])
        assert place == np.unravel_index(channel.argmax(), channel.shape)
        assert float(row["min"]) == channel.min()
        assert float(row["mean"]) == pytest.approx(channel.astype(np.float64).mean(), rel=1e-6, abs=1e-9)
        by_hand = values[row["layer"]][first[image], ..., int(row["channel"])]
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


def test_embedding_quality(recorded, numbers):
    """Neighbourhoods by scikit-learn, distances by SciPy, the rest by loops, from the positions that were written."""
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    def unit(vectors: np.ndarray) -> np.ndarray:
        centred = vectors - vectors.mean(axis=0)
        return centred / np.sqrt((centred**2).sum(axis=1).mean())

    units: list[np.ndarray] = []
    quality = rows(numbers, "embedding_quality.csv")
    points = np.array([(float(row["x"]), float(row["y"])) for row in rows(numbers, "embedding.csv")]).reshape(3, -1, 2)
    labels = load_file(recorded / "data.safetensors")["embedding_labels"]
    assert [(row["epoch"], row["points"]) for row in quality] == [("0", "300"), ("1", "300"), ("2", "300")]
    for frame, (step, row) in enumerate(zip((0, 6, 12), quality, strict=True)):
        vectors = raw(recorded, "activations", step)["embedding_vectors"].astype(np.float64)
        assert float(row["trustworthiness"]) == pytest.approx(trustworthiness(vectors, points[frame], n_neighbors=15))
        assert float(row["continuity"]) == pytest.approx(trustworthiness(points[frame], vectors, n_neighbors=15))
        far, shown = pdist(vectors), pdist(points[frame])
        stress = 1 - (far * shown).sum() ** 2 / ((far**2).sum() * (shown**2).sum())
        assert float(row["stress"]) == pytest.approx(stress)
        _, near = NearestNeighbors(n_neighbors=15).fit(points[frame]).kneighbors()
        _, among = NearestNeighbors(n_neighbors=15).fit(vectors).kneighbors()
        shared = np.mean([len(set(a) & set(b)) / 15 for a, b in zip(near, among, strict=True)])
        assert float(row["preservation"]) == pytest.approx(shared, abs=1e-3)
        votes = [np.bincount(labels[neighbors]).argmax() for neighbors in near]
        assert float(row["neighbor_accuracy"]) == pytest.approx(np.mean(votes == labels), abs=1 / 300)
        if frame:
            moved = [np.hypot(*(a - b)) for a, b in zip(points[frame], points[frame - 1], strict=True)]
            radius = np.sqrt(((points[frame] - points[frame].mean(axis=0)) ** 2).sum(axis=1).mean())
            assert float(row["movement"]) == pytest.approx(np.mean(moved) / radius)
            changed = np.linalg.norm(unit(vectors) - units[-1], axis=1)
            assert float(row["following"]) == pytest.approx(spearmanr(changed, moved).statistic)
        else:
            assert row["movement"] == row["following"] == ""
        units.append(unit(vectors))


def test_overlay(recorded, numbers, built):
    """Placed by the linear map that the embedding's own points show, and the sentence that counts them."""
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import NearestNeighbors

    last = raw(recorded, "activations", 12)
    data = load_file(recorded / "data.safetensors")
    frame = np.array([(float(r["x"]), float(r["y"])) for r in rows(numbers, "embedding.csv") if r["epoch"] == "2"])
    placed = rows(numbers, "overlay.csv")
    found = np.array([(float(row["x"]), float(row["y"])) for row in placed])
    linear = LinearRegression().fit(last["embedding_vectors"].astype(np.float64), frame)
    np.testing.assert_allclose(found, linear.predict(last["evaluation_vectors"].astype(np.float64)), atol=1e-5)
    labels = data["evaluation_labels"]
    assert [row["label"] for row in placed] == [CLASSES[label] for label in labels]
    _, near = NearestNeighbors(n_neighbors=15).fit(frame).kneighbors(found)
    votes = np.array([np.bincount(data["embedding_labels"][row]).argmax() for row in near])
    share = f"{100 * np.mean(votes == labels):.1f}\xa0% of 100 evaluation images fall among training images"
    assert section(built, "overlay").finding.startswith(share)


def test_predictions(forward, numbers):
    _, labels, values = forward
    written = rows(numbers, "predictions.csv")
    scores = values["output"]
    guesses = scores.argmax(axis=1)
    assert [(row["label"], row["predicted"]) for row in written] == [
        (CLASSES[label], CLASSES[guess]) for label, guess in zip(labels, guesses, strict=True)
    ]
    margins = [score.max() - score[label] for score, label in zip(scores, labels, strict=True)]
    np.testing.assert_allclose([float(row["margin"]) for row in written], margins, atol=1e-4)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([float(row["confidence"]) for row in written], probabilities.max(axis=1), atol=1e-4)


def proportion_interval(hits: float, of: float) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(int(hits), int(of)).proportion_ci(method="wilson")
    return interval.low, interval.high


def test_calibration(numbers, built):
    """Recomputed from predictions.csv."""
    answers = rows(numbers, "predictions.csv")
    confidence = np.array([float(row["confidence"]) for row in answers])
    right = np.array([row["label"] == row["predicted"] for row in answers])
    written = rows(numbers, "calibration.csv")
    error = 0.0
    for row in written:
        inside = (confidence > float(row["bin_low"])) & (confidence <= float(row["bin_high"]))
        assert (int(row["examples"]), int(row["correct"])) == (inside.sum(), right[inside].sum())
        if not inside.any():
            assert {row[name] for name in ("confidence", "accuracy", "low", "high")} == {""}
            continue
        assert float(row["confidence"]) == pytest.approx(confidence[inside].mean(), abs=1e-6)
        assert float(row["accuracy"]) == pytest.approx(right[inside].mean(), abs=1e-9)
        ends = proportion_interval(right[inside].sum(), inside.sum())
        assert (float(row["low"]), float(row["high"])) == pytest.approx(ends, abs=1e-5)
        error += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
    assert f"ECE {error:.3f}" in section(built, "trust").finding
    assert (float(written[0]["bin_low"]), float(written[-1]["bin_high"]), len(written)) == (0, 1, 15)


def test_measures_of_each_class(forward, numbers):
    from sklearn.metrics import precision_recall_fscore_support

    _, labels, values = forward
    guesses = values["output"].argmax(axis=1)
    expected = precision_recall_fscore_support(labels, guesses, labels=range(10), zero_division=np.nan)
    for label, row in enumerate(rows(numbers, "classes.csv")):
        both, guessed, have = (
            ((labels == label) & (guesses == label)).sum(),
            (guesses == label).sum(),
            expected[3][label],
        )
        assert [int(row[name]) for name in ("both", "predicted", "true")] == [both, guessed, have]
        for name, column, of in (("precision", expected[0], guessed), ("recall", expected[1], have)):
            if of:
                assert float(row[name]) == pytest.approx(column[label])
                ends = proportion_interval(both, of)
                assert (float(row[f"{name}_low"]), float(row[f"{name}_high"])) == pytest.approx(ends, abs=1e-5)
            else:
                assert row[name] == row[f"{name}_low"] == ""
        low, high = (2 * end / (1 + end) for end in proportion_interval(both, guessed + have - both))
        ends = float(row["f1"]), float(row["f1_low"]), float(row["f1_high"])
        assert ends == pytest.approx((0.0 if not both else expected[2][label], low, high), abs=1e-5)


def test_activity_by_channel(numbers):
    """Recomputed from activity.csv."""
    written = rows(numbers, "activity_channels.csv")
    by_label = rows(numbers, "activity.csv")
    values: dict[tuple[str, str], list[float]] = {}
    activity: dict[tuple[str, str], list[float]] = {}
    for row in by_label:
        if row["ratio"]:
            activity.setdefault((row["layer"], row["channel"]), []).append(float(row["activity"]))
            values.setdefault((row["layer"], row["channel"]), []).append(float(row["ratio"]))
    names = list(dict.fromkeys(row["label"] for row in by_label if row["ratio"]))
    last: dict[str, float] = {}
    for row in written:
        of = np.array(values[row["layer"], row["channel"]])
        if not of.any():
            assert (row["answers_most_to"], row["multiple"], float(row["difference_between_labels"])) == ("", "", 0)
            continue
        spread = of.std() / np.abs(of).mean()
        assert float(row["difference_between_labels"]) == pytest.approx(spread)
        assert spread <= last.get(row["layer"], np.inf) * (1 + 1e-9)
        last[row["layer"]] = spread
        assert row["answers_most_to"] == names[of.argmax()]
        if (of >= 0).all():
            assert float(row["multiple"]) == pytest.approx(of.max() / of.mean())
        else:
            assert row["multiple"] == ""
        sums = np.array(activity[row["layer"], row["channel"]])
        assert row["most_active_for"] == names[sums.argmax()]
        if (sums >= 0).all():
            others = (sums.sum() - sums.max()) / (len(sums) - 1)
            assert float(row["selectivity"]) == pytest.approx((sums.max() - others) / (sums.max() + others))
            assert float(row["times_its_mean"]) == pytest.approx(sums.max() / sums.mean())
        else:
            assert row["selectivity"] == row["times_its_mean"] == ""
        assert row["clear"] == "0", "no label has twenty images"
    assert len(written) == len(values)


def test_health_of_layers(recorded, forward, numbers):
    """Dead, constant and broken channels over all evaluation images, by a forward pass of its own."""
    _, _, values = forward
    written = {(row["layer"], row["epoch"]): row for row in rows(numbers, "health_layers.csv")}
    values = {**values, "hidden/relu": np.maximum(values["hidden"], 0)}
    assert {layer for layer, _ in written} == {"conv1", "conv1/relu", "hidden", "hidden/relu", "output"}
    for layer in ("conv1", "conv1/relu", "hidden", "hidden/relu", "output"):
        flat = values[layer].reshape(-1, values[layer].shape[-1])
        row = written[layer, "2"]
        assert (row["step"], row["images"], row["channels"]) == ("12", "100", str(flat.shape[1]))
        assert int(row["dead"]) == (flat == 0).all(axis=0).sum()
        assert (row["constant"], row["saturated"], row["non_finite"]) == ("0", "", "0")
    assert int(written["hidden/relu", "2"]["dead"]) > 0


def test_health_of_updates(recorded, numbers):
    for row in rows(numbers, "health_updates.csv"):
        step = int(row["step"])
        before, after = (raw(recorded, "snapshots", s)[row["param"]].astype(np.float64) for s in (step - 1, step))
        assert row["updates"] == "1"
        moved = np.sqrt(((after - before) ** 2).sum()) / np.sqrt((before**2).sum())
        assert float(row["ratio"]) == pytest.approx(moved, rel=1e-9)
    assert {row["step"] for row in rows(numbers, "health_updates.csv")} == {"6", "12"}
    assert rows(numbers, "health_parameters.csv") == []


def test_the_score(recorded, numbers):
    written = rows(numbers, "score.csv")
    quantiles = {"value": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
    for row in written:
        step = int(row["step"])
        match row["quantity"]:
            case "weights":
                values = raw(recorded, "snapshots", step)[f"{row['part']}/kernel"]
            case "activations":
                layer = row["part"] if row["part"] == "output" else f"{row['part']}/relu"
                values = raw(recorded, "activations", step)[f"maps/{layer}"]
            case _:
                continue
        expected = np.quantile(values.astype(np.float64), list(quantiles.values()))
        assert [float(row[name]) for name in quantiles] == pytest.approx(expected, abs=1e-12)
    counts = {kind: sum(row["quantity"] == kind for row in written) for kind in ("weights", "activations", "loss")}
    assert counts == {"weights": 3 * 13, "activations": 3 * 3, "loss": 12}
    updates = {(r["param"], r["step"]): r["ratio"] for r in rows(numbers, "health_updates.csv")}
    scored = {(f"{r['part']}/kernel", r["step"]): r["value"] for r in written if r["quantity"] == "update"}
    assert scored == updates
    similar = [row for row in written if row["quantity"] == "similarity"]
    assert [row["step"] for row in similar] == ["0", "6", "12"] and float(similar[-1]["value"]) == pytest.approx(1)
    assert {row["part"] for row in similar} == {"hidden"}
    assert rows(numbers, "score_breaks.csv") == []


def proportion_confint(hits: int, of: int = 100, z: float = 1.959964) -> str:
    """Wilson's interval: the shares p at which `hits` is just within z standard errors of the expected number."""
    p = np.linspace(0, 1, 1_000_001)
    within = p[np.abs(hits / of - p) <= z * np.sqrt(p * (1 - p) / of)]
    return f"{100 * within.min():.1f} to {100 * within.max():.1f}"


def test_sentences_say_what_the_numbers_say(recorded, forward, numbers, built):
    """The findings of the page, put together again from the raw run."""
    _, labels, values = forward
    guesses = values["output"].argmax(axis=1)
    right = guesses == labels
    accuracy = f"{100 * right.mean():.1f}\xa0%"
    figures = dict(built.key_figures)
    lines = (recorded / "epochs.jsonl").read_text().splitlines()
    epochs = [{**row["measured"], **row["reported"]} for row in map(json.loads, lines)]
    interval = proportion_confint(right.sum())
    training = f"{100 * epochs[-1]['train_accuracy']:.1f}\xa0%"
    assert built.title == "tiny on tiny"
    assert built.headline == (
        f"tiny classifies {right.sum()} of 100 test images correctly ({accuracy}, 95\xa0% interval {interval}) after "
        f"2 epochs; training {training}; one seed."
    )
    assert figures["accuracy"] == accuracy
    assert figures["loss"] == f"{epochs[-1]['val_loss']:.4f}"
    assert (figures["steps"], figures["epochs"]) == ("12", "2")
    weights = {name: value.astype(np.float64) for name, value in raw(recorded, "snapshots", 12).items()}
    assert figures["parameters"] == f"{sum(value.size for value in weights.values()):,}"

    wrong = 100 - right.sum()
    finding = section(built, "mistakes").finding
    start = f"{wrong} of 100 evaluation images are misclassified ({wrong:.1f}\xa0%, 95\xa0% interval "
    assert finding.startswith(f"{start}{proportion_confint(wrong)})")
    pairs = [(label, guess) for label, guess in zip(labels.tolist(), guesses.tolist(), strict=True) if label != guess]
    counts = sorted(pairs.count(pair) for pair in set(pairs))
    said = re.findall(r"most often (\d) is taken for (\d) \((\d+) times\)", finding)
    assert bool(said) == (counts[-1] > counts[-2])
    for true, predicted, count in said:
        assert int(count) == counts[-1] == pairs.count((int(true), int(predicted)))

    before = {name: value.astype(np.float64) for name, value in raw(recorded, "snapshots", 0).items()}
    kernels = [name for name in weights if weights[name].ndim >= 2]
    changed = {n: np.abs(weights[n] - before[n]).mean() / np.abs(before[n]).mean() for n in kernels}
    ends = (max(kernels, key=lambda n: changed[n]), min(kernels, key=lambda n: changed[n]))
    finding = section(built, "parameters").finding
    assert finding.startswith(f"{ends[0]} changed most: by {100 * changed[ends[0]]:.1f}\xa0% of its initial size")
    assert f"{ends[1]} least, by {100 * changed[ends[1]]:.1f}\xa0%" in finding

    away = sum((((weights[n] - before[n]) * before[n]) > 0).sum() for n in kernels)
    toward = sum((((weights[n] - before[n]) * before[n]) < 0).sum() for n in kernels)
    correlations = [np.corrcoef(before[n].ravel(), (weights[n] - before[n]).ravel())[0, 1] for n in kernels]
    finding = section(built, "change").finding
    share = f"{100 * away / (away + toward):.1f}\xa0%"
    chance = abs(away - toward) <= 3 * (away + toward) ** 0.5
    said = f"About as many kernel weights grew away from zero ({share})" if chance else f"{share} grew away from zero"
    assert said in finding
    for end in (min(correlations), max(correlations)):
        assert f"{end:.2f}".replace("-", "−") in finding

    finding = section(built, "curves").finding
    first, last = (100 * epochs[i]["val_accuracy"] for i in (0, -1))
    assert f"from {first:.1f}\xa0% to {last:.1f}\xa0% in 2 epochs" in finding
    assert f"{epochs[-1]['val_loss']:.4f}" in finding

    finding = section(built, "strongest").finding
    maps = raw(recorded, "activations", 12)["maps/conv1"]
    strongest = [int(image.max(axis=(0, 1)).argmax()) for image in maps]
    counts = [strongest.count(channel) for channel in range(4)]
    where = "all" if max(counts) == 10 else f"{max(counts)} of 10"
    assert finding.startswith(f"In conv1, channel {counts.index(max(counts))} has the largest value on {where} images")

    quality = rows(numbers, "embedding_quality.csv")
    finding = section(built, "embedding").finding
    for row in (quality[0], quality[-1]):
        assert f"{100 * float(row['neighbor_accuracy']):.1f}\xa0% " in finding
    assert f"points still moved {float(quality[-1]['movement']):.2f} of the radius in the last epoch" in finding

    finding = section(built, "health").finding
    ratios = {r["param"]: float(r["ratio"]) for r in rows(numbers, "health_updates.csv") if r["step"] == "12"}
    for name in (min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)):
        assert f"{100 * ratios[name]:.1f}\xa0% ({name})" in finding
    dead = {r["layer"]: (r["dead"], r["channels"]) for r in rows(numbers, "health_layers.csv") if r["epoch"] == "2"}
    assert "{} of {} channels of hidden/relu are dead".format(*dead["hidden/relu"]) in finding

    assert np.bincount(labels[right]).max() < 20
    said = f"No channel clearly prefers a label, over the {right.sum()} correctly classified of 100 evaluation images."
    assert section(built, "activity").finding == said


def test_report_json_has_what_is_needed_to_judge_the_run(numbers):
    provenance = json.loads((numbers / "report.json").read_text(encoding="utf-8"))
    assert provenance["config"]["seed"] == 0
    assert provenance["packages"]["jax"]
    assert len(provenance["dataset_fingerprint"]) == 64
    assert {"git_commit", "git_dirty", "device", "seconds"} <= set(provenance)
