"""Data sets, pictures and checkpoints elsewhere, of which a copy is read."""

import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

import reportgen
from reportgen import load_dataset
from reportgen.data.pictures import as_pictures
from reportgen.errors import DataError, NoDataError, NoWeightsError, OptionError, WeightsError
from reportgen.remote import cache
from reportgen.weights import read
from reportgen.weights.checkpoint import Checkpoint
from tests.remote.nets import DATA, MODEL, VARIABLES, scaled

DIGITS = {"images": np.random.default_rng(0).random((40, 8, 8)).astype(np.float32), "labels": np.arange(40) % 4}


def sent(memory, folder, there) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        memory.pipe_file(f"{there}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def flat(tree) -> dict[str, np.ndarray]:
    return {"/".join(path): np.asarray(array) for path, array in flatten_dict(tree).items()}


def test_a_dataset_elsewhere_is_the_one_of_this_machine(memory, tmp_path):
    np.savez(tmp_path / "digits.npz", **DIGITS)
    memory.pipe_file("/data/digits.npz", (tmp_path / "digits.npz").read_bytes())
    memory.pipe_file("/data/huge.bin", b"never fetched")
    here, there = load_dataset(tmp_path / "digits.npz"), load_dataset("memory://data/digits.npz")
    assert (here.name, here.fingerprint) == (there.name, there.fingerprint)
    assert not list(tmp_path.rglob("huge.bin"))
    memory.pipe_file("/data/digits.npz", b"no archive")
    with pytest.raises(DataError, match=r"memory://data/digits.npz"):
        load_dataset("memory://data/digits.npz")
    with pytest.raises(NoDataError, match=r"memory://data/other.npz: no such file or folder"):
        load_dataset("memory://data/other.npz")


def test_a_folder_of_pictures_elsewhere(memory, tmp_path, faces):
    sent(memory, faces, "/faces")
    assert load_dataset("memory://faces").fingerprint == load_dataset(faces).fingerprint
    one = next(iter(sorted(faces.rglob("*.png"))))
    picture = as_pictures([f"memory://faces/{one.relative_to(faces).as_posix()}"])[0]
    assert picture.name == as_pictures([one])[0].name
    np.testing.assert_array_equal(picture.pixels, as_pictures([one])[0].pixels)


@pytest.fixture
def faces(tmp_path):
    from PIL import Image

    for number in range(12):
        path = tmp_path / "faces" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6), 20 * number, np.uint8)).save(path)
    return tmp_path / "faces"


def test_weights_elsewhere(memory, tmp_path):
    save_file(flat(VARIABLES), tmp_path / "model.safetensors")
    memory.pipe_file("/weights/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    tree = read("memory://weights/model.safetensors")
    jax.tree.map(np.testing.assert_array_equal, tree["params"], dict(VARIABLES["params"]))
    memory.pipe_file("/weights/model.safetensors", b"cut")
    with pytest.raises(WeightsError, match=r"^memory://weights/model.safetensors"):
        read("memory://weights/model.safetensors")
    with pytest.raises(NoWeightsError, match="memory://weights/other: no such file or folder"):
        read("memory://weights/other")


def test_a_replay_of_checkpoints_elsewhere(memory, tmp_path):
    with ocp.CheckpointManager(tmp_path / "manager") as manager:
        for step in (1, 2, 3):
            manager.save(step, args=ocp.args.StandardSave({"params": scaled(step)}))
    sent(memory, tmp_path / "manager", "/ckpt/manager")
    here = reportgen.replay(tmp_path / "manager", MODEL, tmp_path / "here", **DATA)
    there = reportgen.replay("memory://ckpt/manager", MODEL, tmp_path / "there", **DATA)
    assert list(here.snapshots) == list(there.snapshots) == [1, 2, 3]
    assert here.config == there.config and here.notes == there.notes
    last = tmp_path / "manager" / "3"
    shutil.copytree(last, tmp_path / "manager" / "4")
    sent(memory, tmp_path / "manager" / "4", "/ckpt/manager/4")
    again = reportgen.replay(Checkpoint("memory://ckpt/manager"), MODEL, tmp_path / "there", **DATA)
    assert list(again.snapshots) == [1, 2, 3, 4]


def test_checkpoints_within_the_run_are_not_replaced_by_it(memory):
    memory.pipe_file("/runs/a/checkpoints/step_001.safetensors", b"")
    for checkpoints in ("memory://runs/a/checkpoints", "memory://runs/a/checkpoints/step_*"):
        with pytest.raises(OptionError, match="the checkpoints lie in memory://runs/a itself"):
            reportgen.replay(checkpoints, MODEL, "memory://runs/a", overwrite=True, **DATA)
    assert memory.exists("/runs/a/checkpoints/step_001.safetensors")


def test_a_pattern_elsewhere_fetches_what_it_names(memory, tmp_path):
    for step in (1, 2):
        save_file(flat({"params": scaled(step)}), tmp_path / f"step_{step:03d}.safetensors")
        memory.pipe_file(f"/ckpt/step_{step:03d}.safetensors", (tmp_path / f"step_{step:03d}.safetensors").read_bytes())
    memory.pipe_file("/ckpt/optimizer_002.safetensors", b"not wanted")
    run = reportgen.replay("memory://ckpt/step_[0-9]*", MODEL, tmp_path / "run", **DATA)
    assert list(run.snapshots) == [1, 2] and not list(tmp_path.rglob("optimizer*"))
    with pytest.raises(NoWeightsError, match=r"memory://ckpt/model-\*: no such file or folder"):
        reportgen.replay("memory://ckpt/model-*", MODEL, tmp_path / "none", **DATA)


def test_what_the_disk_has_no_room_for_is_not_fetched(memory, monkeypatch):
    memory.pipe_file("/data/digits.npz", b"123456789")
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=8))
    with pytest.raises(reportgen.errors.RunError, match=r"GB free, and a copy of memory://data/digits.npz takes"):
        load_dataset("memory://data/digits.npz")
