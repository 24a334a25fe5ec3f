"""What all tests share: one tiny recorded run.

The run is made once per session by the real training loop: LeNet's little brother on 300 of
scikit-learn's digits, two epochs. Tests that change it copy it first.
"""

import gc
import os

# Before jax is imported anywhere: no accelerator is probed for.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Nor is an array given axes that nobody wrote: many programs of JAX run so, and what runs here must too.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from reportgen.data import Dataset, make_dataset

# These networks run for milliseconds: XLA's optimisations cost more than they save, and so do its newer emitters of
# fused loops (of the CPU time that a small training's programs take to compile, 0.4 is left without them). `make soak`
# has both.
if not os.environ.get("REPORTGEN_SOAK"):
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    if version("jaxlib").startswith("0.10."):  # XLA ends the process at a flag that it does not know
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

# Compiled programs are shared by the session's processes, and by nothing else: most of the tests' time is compiling.
# Without a limit to their size, for which jax would look at all that are there for each one that comes (a quarter of
# the tests' time), and lock the folder: who reads a program that is just being written compiles it as well.
_compiled: str | None = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.mkdtemp(prefix="reportgen-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = "-1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


# What is recorded to and read from elsewhere is kept for the session alone.
_remote: str | None = None
if "REPORTGEN_REMOTE" not in os.environ:
    _remote = os.environ["REPORTGEN_REMOTE"] = tempfile.mkdtemp(prefix="reportgen-tests-remote-")

# The collector walks jax's and matplotlib's many objects for a thirtieth of the tests' time.
gc.set_threshold(50_000)

# No example may fail for its time: on a machine that others keep busy any can take a second.
untimed = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
# The same examples each time, so that a failure is a change's; `make soak` draws others.
hypothesis.settings.register_profile("long", **untimed)
hypothesis.settings.register_profile("short", derandomize=True, database=None, **untimed)
hypothesis.settings.load_profile("long" if os.environ.get("REPORTGEN_SOAK") else "short")


#: What takes longest goes first: at the end the other processes would wait for it.
LONGEST = (
    "architectures/",
    "browser/",
    "training/test_train",
    "benchmarks/",
    "test_cli",
    "inspection/",
    "reliability/",
    "remote/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than there are cores: many tests wait for a browser or for another process."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(cores) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the order is else as it was."""
    items.sort(key=lambda item: not item.nodeid.removeprefix("tests/").startswith(LONGEST))


def pytest_unconfigure() -> None:
    for folder in (_compiled, _remote):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def tiny_dataset() -> Dataset:
    """300 + 100 of scikit-learn's 8x8 digits."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    return make_dataset(
        "tiny", pixels[:300], labels[:300], pixels[300:400], labels[300:400], [str(digit) for digit in range(10)]
    )


def tiny_model():
    """conv1 (4 maps, 3x3 same), relu, max-pool, hidden (16), relu, output (10)."""
    import flax.linen as nn

    class Tiny(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = False):
            x = nn.relu(nn.Conv(4, (3, 3), name="conv1")(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
            x = x.reshape(len(x), -1)
            x = nn.relu(nn.Dense(16, name="hidden")(x))
            x = nn.Dropout(0.1, deterministic=not train)(x)
            return nn.Dense(10, name="output")(x)

    return Tiny()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """A run directory: two epochs of six batches of 50. Not to be changed."""
    from reportgen.training import train

    path = tmp_path_factory.mktemp("recorded") / "run"
    train(path, tiny_dataset(), tiny_model(), model_name="tiny", epochs=2, batch_size=50, learning_rate=0.01)
    return path


@pytest.fixture(scope="session")
def umap_():
    """umap-learn's module, run by Python: numba would compile it for longer than all else takes."""
    import numba

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        from umap import umap_
    for name, function in list(vars(umap_).items()):
        setattr(umap_, name, getattr(function, "py_func", function))
    return umap_


@pytest.fixture
def ranks_promoted() -> Iterator[None]:
    """For models that rely on JAX giving arrays the axes that they lack."""
    import jax

    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def run_copy(recorded, tmp_path) -> Path:
    """A copy of the recorded run that a test may damage."""
    return Path(shutil.copytree(recorded, tmp_path / "run"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder named by REPORTGEN_DATA: `mnist/` with the IDX files, `squeezenet/` with weights and faces."""
    folder = os.environ.get("REPORTGEN_DATA")
    if not folder:
        pytest.skip("REPORTGEN_DATA names no folder with MNIST and SqueezeNet")
    return Path(folder)
