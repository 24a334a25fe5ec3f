"""Recording under pressure: a slow disk, a full disk, a clock that goes backwards, another recorder."""

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reportgen.record.recorder as recorder_module
from reportgen.errors import RunError
from reportgen.record import Keep, Recorder
from reportgen.store import RunWriter, open_run
from reportgen.training.checkpoint import Checkpoints, latest
from tests.conftest import tiny_model
from tests.reliability.worker import TRAINING, dataset

ROOT = Path(__file__).parents[2]
IMAGES, LABELS = np.random.default_rng(0).random((12, 5), np.float32), np.arange(12) % 3
SHAPE = (5, 377)


class Wide(nn.Module):
    """A kernel whose shape nothing else in the process has."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(SHAPE[1], name="wide")(x)))


def recorder(path: Path, **options) -> Recorder:
    model = Wide()
    variables = model.init(jax.random.key(0), IMAGES[:1])
    return Recorder(path, model, variables, probe=(IMAGES[:2], LABELS[:2]), evaluation=(IMAGES, LABELS), **options)


def copies() -> int:
    """Copies of all parameters that are alive on the device."""
    return sum(array.shape == (SHAPE[0] * SHAPE[1] + 4 * SHAPE[1] + 3,) for array in jax.live_arrays())


def test_memory_stays_bounded_while_the_disk_is_slower_than_the_training(tmp_path, monkeypatch):
    kept, allowed = 10 * SHAPE[0] * SHAPE[1] * 4, threading.Event()
    monkeypatch.setattr(recorder_module, "WAITING_BYTES", kept)
    recording = recorder(tmp_path / "run", keep=Keep(every="batch"))
    recording.flush()
    params = {"wide": {"kernel": np.zeros(SHAPE, np.float32), "bias": np.zeros(SHAPE[1], np.float32)}}
    params["Dense_0"] = {"kernel": np.zeros((SHAPE[1], 3), np.float32), "bias": np.zeros(3, np.float32)}
    params = jax.tree.map(jnp.asarray, params)
    write = RunWriter.record

    def slow(self, *arguments, **options):
        allowed.wait()
        write(self, *arguments, **options)

    monkeypatch.setattr(RunWriter, "record", slow)
    done = []

    def loop():
        for step in range(60):
            recording.step(params, loss=1.0)
            done.append(step)

    before = copies()
    thread = threading.Thread(target=loop)
    thread.start()
    while len(done) < 2:
        time.sleep(0.01)
    # The loop now waits: for as long as nothing is written, it gets no further.
    settled = -1
    while settled != len(done):
        settled = len(done)
        time.sleep(0.3)
    waiting = copies() - before
    assert settled < 20
    # What waits, what is being written, and what the loop is about to hand over.
    assert 0 < waiting <= recording._background._capacity + 2
    assert waiting <= 12
    allowed.set()
    thread.join()
    recording.close()
    assert len(done) == 60
    assert len(open_run(tmp_path / "run").snapshots) == 61
    assert copies() == before


def test_a_failing_disk_is_told_at_the_next_call_and_again_when_closing(tmp_path, monkeypatch):
    recording = recorder(tmp_path / "run")
    recording.flush()

    def full(*_, **__):
        raise RunError("00-000000.segment could not be written: No space left on device")

    monkeypatch.setattr(RunWriter, "record", full)
    params = Wide().init(jax.random.key(0), IMAGES[:1])["params"]
    with pytest.raises(RunError, match="No space left on device"):
        # The thread may be quick enough for the second half of `step` to know already.
        recording.step(params, loss=1.0)
        recording.flush()
    with pytest.raises(RunError, match="No space left on device"):
        recording.step(params, loss=1.0)
    with pytest.raises(RunError, match="No space left on device"):
        recording.close()
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert list(run.snapshots) == [0]


def test_a_second_recorder_is_refused_while_the_first_is_open(tmp_path):
    with recorder(tmp_path / "run"):
        code = (
            "import sys; from pathlib import Path; from reportgen.store import RunWriter; "
            "from tests.reliability.runs import header; RunWriter(Path(sys.argv[1]), header(3, 6, 1), overwrite=True)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 1
        assert "is being recorded into by another process" in done.stderr
        assert list(open_run(tmp_path / "run").snapshots) == [0]


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path, monkeypatch):
    """The wall clock is asked for nothing; durations are of a clock that only goes forward."""
    from reportgen.training import train

    train(tmp_path / "forward", dataset(), tiny_model(), **{**TRAINING, "epochs": 1})
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    train(tmp_path / "backward", dataset(), tiny_model(), **{**TRAINING, "epochs": 1})
    monkeypatch.undo()
    one, two = (open_run(tmp_path / name, verify=True) for name in ("forward", "backward"))
    assert two.provenance["seconds"] > 0
    assert one.steps == two.steps
    assert one.epochs == two.epochs
    for name, value in one.snapshots[5].params.items():
        assert two.snapshots[5].params[name].tobytes() == value.tobytes()


@pytest.mark.parametrize("limit", [3_000, 60_000])
def test_training_on_a_full_disk_is_one_sentence_and_exit_code_2(tmp_path, limit):
    """Small files fit, so the disk is full for the data, or later for what Orbax or the recorder writes."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()),) * 2); "
        "from reportgen.cli import main; main()"
    )
    arguments = ["train", "-o", tmp_path / "run", "--dataset", "digits", "--model", "tests.reliability.nets:tiny"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--epochs", "1", str(limit)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # jax writes its compiled programs in place: what it can not finish must not be found by another test.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "could not be written" in done.stderr.splitlines()[-1]


def state(seed: int) -> dict[str, jax.Array]:
    return {"params": jax.random.normal(jax.random.key(seed), (300, 300)), "step": jax.numpy.asarray(seed)}


def test_a_checkpoint_that_a_full_disk_did_not_take_leaves_the_one_before(tmp_path, monkeypatch):
    def full(*_, **__):
        raise ValueError(f"OUT_OF_RANGE: Error writing {'x' * 500}: Failed to write 220998 bytes: File too large")

    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1))
        monkeypatch.setattr(checkpoints._manager, "save", full)
        with pytest.raises(RunError, match=r"checkpoint could not be written.{,300}File too large"):
            checkpoints.save(2, state(2))
    epoch, found = latest(tmp_path, like=state(0))
    assert epoch == 1
    assert np.array_equal(found["params"], state(1)["params"])


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_of_two_checkpoints_the_whole_one_is_resumed_from(tmp_path, how):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1))
        checkpoints.save(2, state(2))

    def damage(epoch: int) -> None:
        file = max((tmp_path / "checkpoints" / str(epoch)).rglob("*"), key=lambda file: file.stat().st_size)
        content = bytearray(file.read_bytes())
        assert len(content) > 300_000
        content[150_000] ^= 255
        file.write_bytes(content if how == "flipped" else content[:150_000])

    damage(2)
    epoch, found = latest(tmp_path, like=state(0))
    assert epoch == 1
    assert np.array_equal(found["params"], state(1)["params"])
    damage(1)
    with pytest.raises(RunError, match="is damaged, or does not fit"):
        latest(tmp_path, like=state(0))
    with Checkpoints(tmp_path) as checkpoints:  # a training that goes on comes there again
        checkpoints.save(2, state(3))
    epoch, found = latest(tmp_path, like=state(0))
    assert epoch == 2 and np.array_equal(found["params"], state(3)["params"])
    gc.collect()
