"""`reportgen inspect` as a user types it: the page, its numbers, and one sentence for what is wrong."""

import csv
import re
import sys

import numpy as np
import pytest
from PIL import Image

from reportgen.cli import main
from tests.inspection import nets

MODEL = ("--model", "tests.inspection.nets:small")


def run(monkeypatch, capsys, *arguments):
    """(exit code, stdout, stderr) of the command line."""
    monkeypatch.setattr(sys, "argv", ["reportgen", "inspect", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as left:
        code = int(left.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def refused(monkeypatch, capsys, *arguments):
    """The one sentence on stderr of a command that must exit with 2."""
    code, _, err = run(monkeypatch, capsys, *arguments)
    assert code == 2, err
    said = [line for line in re.split(r"[\r\n]", err) if line.startswith("reportgen: ")]
    assert len(said) == 1 and "Traceback" not in err, err
    return said[0]


@pytest.fixture
def files(tmp_path):
    """Weights and three pictures: two of one size, one of another."""
    params = nets.variables(nets.small())["params"]
    flat = {f"{layer}/{name}": np.asarray(value) for layer, tree in params.items() for name, value in tree.items()}
    np.savez(tmp_path / "w.npz", **flat)
    for name, pixels in zip(("a.png", "b.png"), nets.pixels(), strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "other.png")
    return tmp_path


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_and_all_numbers(files, monkeypatch, capsys):
    code, out, err = run(
        *(monkeypatch, capsys, *MODEL, "--weights", files / "w.npz", "--images", files / "a.png", files / "b.png"),
        *("--layers", "conv1*,conv2", "--channels", "1,3", "-o", files / "out" / "page.html"),
        *("--numbers", files / "numbers", "--figures", files / "figures", "--title", "A & B"),
    )
    assert code == 0, err
    assert "page.html" in out
    page = (files / "out" / "page.html").read_text(encoding="utf-8")
    assert "A &amp; B" in page
    for anchor in ("images", "changes", "chosen", "strongest", "maps", "parameters", "health", "network", "overview"):
        assert f'<section id="{anchor}"' in page
    assert str(files) not in page
    listed = rows(files / "numbers" / "channels.csv")
    assert list(listed[0]) == ["image", "layer", "channel", "max", "y", "x", "mean", "min"]
    assert len(listed) == 2 * (6 + 6 + 6 + 4)
    found = nets.small().apply(
        nets.variables(nets.small()), nets.pixels() / np.float32(255), capture_intermediates=True
    )[1]
    maps = {path: np.asarray(found["intermediates"][path]["__call__"][0]) for path in ("conv1", "conv2")}
    for row in listed:
        if row["layer"] in maps:
            channel = maps[row["layer"]][["a.png", "b.png"].index(row["image"])][..., int(row["channel"])]
            assert float(row["max"]) == pytest.approx(channel.max(), rel=1e-5)
            assert float(row["min"]) == pytest.approx(channel.min(), rel=1e-5)
            assert float(row["mean"]) == pytest.approx(channel.mean(dtype=np.float64), rel=1e-4, abs=1e-6)
            assert channel[int(row["y"]), int(row["x"])] == pytest.approx(float(row["max"]), rel=1e-5)
    layers = {row["layer"]: row for row in rows(files / "numbers" / "layers.csv")}
    assert layers["conv2"]["shape"] == "3x4x4" and layers["conv2"]["params"] == str(3 * 3 * 6 * 4 + 4)
    assert (layers["conv2"]["field_height"], layers["conv2"]["field_step_y"]) == ("8", "2")
    changed = rows(files / "numbers" / "changes.csv")
    assert len(changed) == 22
    assert (files / "figures" / "maps-conv1-0.svg").is_file()


def test_two_builds_are_the_same_bytes(files, monkeypatch, capsys):
    pages = []
    for name in ("1.html", "2.html"):
        options = (*MODEL, "--weights", files / "w.npz", "--images", files / "a.png", "-o", files / name)
        assert run(monkeypatch, capsys, *options)[0] == 0
        pages.append((files / name).read_bytes())
    assert len(set(pages[:4])) == 1


def test_images_may_be_given_at_once_or_one_by_one(files, monkeypatch, capsys):
    pages = []
    for images in (
        ("--images", files / "a.png", files / "b.png"),
        ("--images", files / "a.png", "--images", files / "b.png"),
        (f"--images={files / 'a.png'}", files / "b.png"),
        (files / "a.png", files / "b.png"),
        (files / "a.png", "--verify", files / "b.png"),
    ):
        options = (*MODEL, *images, "--weights", files / "w.npz", "--layers", "conv2", "-o", files / "page.html")
        assert run(monkeypatch, capsys, *options)[0] == 0
        pages.append((files / "page.html").read_bytes())
    assert len(set(pages[:4])) == 1


def test_conversions_are_said_on_the_page(files, monkeypatch, capsys):
    Image.fromarray(nets.pixels(1, 1)[0, ..., 0].astype(np.uint16) * 257).save(files / "deep.png")
    options = (*MODEL, "--weights", files / "w.npz", "--images", files / "deep.png", "-o", files / "page.html")
    assert run(monkeypatch, capsys, *options)[0] == 0
    page = (files / "page.html").read_text(encoding="utf-8")
    assert "16 bits a channel, divided by 257; grey, repeated in the three colour channels" in page


def test_a_fixed_range_is_stated_with_its_counts(files, monkeypatch, capsys):
    options = (*MODEL, "--weights", files / "w.npz", "--images", files / "a.png", "--layers", "conv1")
    code, _, err = run(monkeypatch, capsys, *options, "--range", "-0.5,0.5", "-o", files / "page.html")
    assert code == 0, err
    found = nets.small().apply(
        nets.variables(nets.small()), nets.pixels(1) / np.float32(255), capture_intermediates=True
    )
    maps = np.asarray(found[1]["intermediates"]["conv1"]["__call__"][0])
    words = f"{(maps < -0.5).sum()} values below and {(maps > 0.5).sum()} above it are clipped, of {maps.size}."
    assert words in (files / "page.html").read_text(encoding="utf-8")


def test_labelled_images(recorded, files, monkeypatch, capsys):
    code, _, err = run(
        *(monkeypatch, capsys, "--run", recorded, "--model", "tests.conftest:tiny_model", "--dataset", "digits"),
        *("--layers", "conv1,conv1/relu,output", "-o", files / "page.html", "--numbers", files / "numbers"),
    )
    assert code == 0, err
    page = (files / "page.html").read_text(encoding="utf-8")
    activity = page.split('<section id="activity"')[1].split("</section>")[0]
    assert 'id="activity-conv1"' in activity and 'id="activity-conv1-relu"' in activity
    excited = rows(files / "numbers" / "excitations.csv")
    assert len(excited) == (4 + 4 + 10) * 9
    assert len(rows(files / "numbers" / "activity.csv")) == (4 + 4 + 10) * 10


def test_wrong_input_is_one_sentence_and_nothing_is_written(files, monkeypatch, capsys):
    weights, picture = ("--weights", files / "w.npz"), ("--images", files / "a.png")
    (files / "broken.png").write_bytes((files / "a.png").read_bytes()[:60])
    np.savez(files / "less.npz", **{"conv1/kernel": np.zeros((3, 3, 3, 6), np.float32)})
    side = 4097
    Image.new("1", (side, side)).save(files / "bomb.png")
    cases = [
        ((*MODEL, *weights), "no image was given"),
        (("--images", files / "a.png"), "give a model"),
        (("--model", "lenat", *picture), "did you mean lenet"),
        ((*MODEL, "--weights", files / "none.npz", *picture), "no such file"),
        ((*MODEL, "--weights", files / "less.npz", *picture), "5 missing, 0 unexpected"),
        ((*MODEL, *weights, "--images", files / "broken.png"), "not a readable picture"),
        ((*MODEL, *weights, "--images", files / "bomb.png"), "4097x4097 pixels"),
        ((*MODEL, *weights, *picture, files / "other.png"), "two sizes"),
        ((*MODEL, *weights, *picture, "--layers", "conv9"), "no layer matches"),
        ((*MODEL, *weights, *picture, "--layers", "conv2", "--channels", "4"), "0 to 3, counted from 0"),
        ((*MODEL, *weights, *picture, "--channels", "one"), "--channels takes whole numbers"),
        ((*MODEL, *weights, *picture, "--range", "1"), "--range takes two numbers"),
        ((*MODEL, *weights, *picture, "--range", "1,0"), "smaller to a larger"),
        ((*MODEL, *weights, *picture, "--range", "0,1", "--normalize", "layer"), "exclude each other"),
        ((*MODEL, *weights, *picture, "--size", "0"), "--size takes two numbers"),
        ((*MODEL, *weights, *picture, "--rename", "x"), "not of the form OLD=NEW"),
        ((*MODEL, *weights, *picture, "--data-dir", "x"), "give --dataset too"),
        ((*MODEL, *weights, *picture, "--run", files), "either a run, or weights"),
        (("--run", files), "does not hold a run"),
    ]
    for arguments, expected in cases:
        assert expected in refused(monkeypatch, capsys, *arguments, "-o", files / "page.html"), arguments
        assert not (files / "page.html").exists()


def test_help_shows_examples_without_jax(capsys, monkeypatch):
    code, out, _ = run(monkeypatch, capsys, "--help")
    assert code == 0
    for word in (
        "--images",
        "--channels",
        "--normalize",
        "--range",
        "--preprocess",
        "--rename",
        "--layout",
        "squeezenet",
    ):
        assert word in out


def test_pytorchs_weights_are_matched_and_the_matching_is_printed(files, monkeypatch, capsys):
    rng = np.random.default_rng(2)
    shapes = {"conv.weight": (4, 1, 3, 3), "conv.bias": (4,), "fc.weight": (10, 4), "fc.bias": (10,)}
    shapes |= {f"bn.{part}": (4,) for part in ("weight", "bias", "running_mean", "running_var")}
    state = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    np.savez(files / "torch.npz", **state, **{"bn.num_batches_tracked": np.array(7)})
    options = ("--model", "tests.inspection.nets:normed", "--weights", files / "torch.npz", files / "a.png")
    done, output, _ = run(monkeypatch, capsys, *options, "--from", "torch", "-o", files / "torch.html")
    assert done == 0
    assert "bn/running_mean  batch_stats/norm/mean" in output
    assert "conv/weight      params/conv/kernel" in output and "num_batches_tracked" not in output
    assert (files / "torch.html").exists()
