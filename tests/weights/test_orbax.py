"""Orbax folders: both layouts, a manager's steps, an NNX state; damage ends in WeightsError."""

import asyncio
import gc
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen import weights
from reportgen.errors import WeightsError
from reportgen.weights import load_into
from reportgen.weights.tree import flatten

TREE = {
    "params": {
        "conv1": {"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "bias": np.ones(4, np.float32)},
        "blocks": [jnp.full(2, 0.5, jnp.bfloat16), jnp.zeros((), jnp.int32)],
    },
    "step": 5,
    "none": None,
}


def assert_is_tree(found: dict, factor: int = 1) -> None:
    assert sorted("/".join(path) for path in flatten(found)) == [
        "params/blocks/0",
        "params/blocks/1",
        "params/conv1/bias",
        "params/conv1/kernel",
        "step",
    ]
    assert all(isinstance(leaf, np.ndarray) for leaf in flatten(found).values())
    np.testing.assert_array_equal(found["params"]["conv1"]["kernel"], factor * TREE["params"]["conv1"]["kernel"])
    np.testing.assert_array_equal(found["params"]["conv1"]["bias"], np.ones(4, np.float32))
    assert found["params"]["blocks"]["0"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(found["params"]["blocks"]["0"], [0.5, 0.5])
    assert found["step"] == 5


def times(factor: int) -> dict:
    kernel = factor * TREE["params"]["conv1"]["kernel"]
    return TREE | {"params": TREE["params"] | {"conv1": TREE["params"]["conv1"] | {"kernel": kernel}}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one checkpoint per layout."""
    root = tmp_path_factory.mktemp("orbax 100% ?")
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(root / "pytree", args=ocp.args.PyTreeSave(TREE))
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)) as checkpointer:
        checkpointer.save(root / "files", args=ocp.args.PyTreeSave(TREE))
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_zarr3=True)) as checkpointer:
        checkpointer.save(root / "zarr3", args=ocp.args.PyTreeSave(TREE | {"note": "text", "empty": {"list": []}}))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(root / "standard", TREE)
    with ocp.CheckpointManager(root / "manager") as manager:
        for step in (3, 20):
            manager.save(step, args=ocp.args.StandardSave(times(step)))
    options = ocp.CheckpointManagerOptions(step_prefix="step", step_format_fixed_length=6)
    with ocp.CheckpointManager(root / "named", options=options) as manager:
        for step in (3, 20):
            items = {"state": ocp.args.PyTreeSave(times(step)), "extra": ocp.args.JsonSave({"a": 1})}
            manager.save(step, args=ocp.args.Composite(**items))
    return root


@pytest.mark.parametrize("layout", ["pytree", "files", "zarr3", "standard"])
def test_single_checkpoints(saved: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_is_tree(weights.read(saved / layout))
    monkeypatch.chdir(saved)
    assert_is_tree(weights.read(layout))
    with pytest.raises(WeightsError, match="a single checkpoint, without steps; leave step 3 out"):
        weights.read(saved / layout, step=3)


@pytest.mark.parametrize(("manager", "third"), [("manager", "3"), ("named", "step_000003")])
def test_a_manager_with_and_without_step(saved: Path, manager: str, third: str) -> None:
    assert_is_tree(weights.read(saved / manager), 20)
    assert_is_tree(weights.read(saved / manager, step=3), 3)
    assert_is_tree(weights.read(saved / manager / third), 3)
    with pytest.raises(WeightsError, match="no step 4; it has 3, 20"):
        weights.read(saved / manager, step=4)


def test_a_step_that_is_still_being_written_is_none(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "manager", tmp_path / "manager")
    (tmp_path / "manager" / "30.orbax-checkpoint-tmp-1").mkdir()
    assert_is_tree(weights.read(tmp_path / "manager"), 20)


def test_an_nnx_state_fits_its_model(tmp_path: Path) -> None:
    class Net(nnx.Module):
        def __init__(self, seed: int) -> None:
            rngs = nnx.Rngs(seed)
            self.first = nnx.Linear(2, 3, rngs=rngs)
            self.rest = nnx.List([nnx.Linear(3, 2, rngs=rngs)])

    state = nnx.state(Net(0))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "nnx", state)
    expected = nnx.to_pure_dict(nnx.state(Net(1)))
    found = load_into(weights.read(tmp_path / "nnx"), expected)
    for path, leaf in flatten(nnx.to_pure_dict(state)).items():
        np.testing.assert_array_equal(flatten(found)[path], leaf)


def test_no_orbax_folder(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(WeightsError, match="no Orbax checkpoint in this folder"):
        weights.read(tmp_path)


def test_items_are_branches_where_there_are_several(tmp_path: Path, saved: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(saved / "standard", tmp_path / name)
    for tree in weights.read(tmp_path).values():
        assert_is_tree(tree)
    expected = {"kernel": np.zeros((2, 3, 4), np.float32), "bias": np.zeros(4, np.float32)}
    with pytest.raises(WeightsError, match="several trees fit the model: one/params/conv1, two/params/conv1; name one"):
        load_into(weights.read(tmp_path), expected)
    shutil.rmtree(tmp_path / "two")
    assert_is_tree(weights.read(tmp_path))


def test_missing_and_hostile_files(tmp_path: Path, saved: Path) -> None:
    folder = tmp_path / "files"
    shutil.copytree(saved / "files", folder)
    described = folder / "params.conv1.kernel" / ".zarray"
    plain = json.loads(described.read_text())
    for change in ({"shape": [1 << 40, 3, 4]}, {"chunks": [1 << 40, 3, 4]}):
        described.write_text(json.dumps(plain | change))
        with pytest.raises(WeightsError, match=r"claims .* bytes of arrays, more than the 268,435,456"):
            weights.read(folder)
    described.write_text(json.dumps(plain))
    assert_is_tree(weights.read(folder))
    (folder / "params.conv1.kernel" / "0.0.0").unlink()
    with pytest.raises(WeightsError, match="not a readable Orbax checkpoint"):
        weights.read(folder)
    shutil.rmtree(folder / "params.conv1.kernel")
    with pytest.raises(WeightsError, match="not a readable Orbax checkpoint"):
        weights.read(folder)


def test_a_damaged_folder_ends_in_silence(tmp_path: Path, saved: Path, caplog, capfd) -> None:
    """Orbax would leave the other arrays' reads to themselves, and what they raise would be printed later."""
    folder = tmp_path / "standard"
    shutil.copytree(saved / "standard", folder)
    manifest = folder / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:-1] + b"\0")

    async def read_in_a_notebook() -> None:
        weights.read(folder)

    with ThreadPoolExecutor(1) as thread:  # a browser's tests leave a loop running in this one
        for _ in range(5):
            with pytest.raises(WeightsError, match="not a readable Orbax checkpoint"):
                weights.read(folder)
            with pytest.raises(WeightsError, match="not a readable Orbax checkpoint"):
                thread.submit(lambda: asyncio.run(read_in_a_notebook())).result()
    gc.collect()  # a task that nobody asked for its result complains when it is freed
    assert caplog.text == "" and capfd.readouterr().err == ""


def test_entries_that_point_out_of_the_folder(tmp_path: Path, saved: Path) -> None:
    folder = tmp_path / "inner" / "files"
    shutil.copytree(saved / "files", folder)
    shutil.copytree(folder / "params.conv1.bias", tmp_path / "secret")
    text = (folder / "_METADATA").read_text()
    assert '"key": "step"' in text
    for name in ("../../secret", str(tmp_path / "secret")):
        (folder / "_METADATA").write_text(text.replace('"key": "step"', f'"key": "{name}"'))
        with pytest.raises(WeightsError, match=r"points out of the folder|Invalid file path"):
            weights.read(folder)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_mutated_folders(tmp_path: Path, saved: Path, data: st.DataObject) -> None:
    folder = tmp_path / "mutated"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved / data.draw(st.sampled_from(["standard", "files"])), folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    # OCDBT's data files are named at random; their order is all that a replay can rely on.
    file = files[data.draw(st.integers(0, 200)) % len(files)]
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, 5000)) % len(content)] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, 0]))])
    try:
        found = weights.read(folder)
    except WeightsError as problem:
        assert str(folder) in str(problem)
    else:
        assert all(isinstance(leaf, np.ndarray) for leaf in flatten(found).values())
