"""The table of models: every entry trains a step; a user's factory is found, and errors say what to do."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from reportgen import models
from reportgen.errors import ModelError
from tests.models.params import random_variables

IMAGES = np.random.default_rng(0).random((2, 32, 31, 3), np.float32)


@pytest.mark.parametrize("name", list(models.MODELS))
def test_every_model_gives_logits_and_gradients(name: str) -> None:
    model = models.build(name, 7, IMAGES.shape[1:])
    if isinstance(model, nnx.Module):
        graph, params = nnx.split(model)

        def apply(params, train):
            return nnx.merge(graph, params)(IMAGES, train=train)
    else:
        params = random_variables(model, IMAGES)

        def apply(params, train):
            return model.apply(params, IMAGES, train=train, rngs={"dropout": jax.random.key(1)})

    def run(params):
        return apply(params, False), jax.grad(lambda params: apply(params, True).sum())(params)

    # Compiling is all the time this takes, and optimising most of that.
    logits, gradients = jax.jit(run, compiler_options={"xla_backend_optimization_level": 0})(params)
    assert logits.shape == (2, 7)
    assert logits.dtype == jnp.float32
    assert jnp.isfinite(logits).all()
    assert all((np.asarray(leaf) != 0).any() for leaf in jax.tree.leaves(gradients))


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module into the current folder and gives its name, a new one each time."""
    monkeypatch.chdir(tmp_path)
    written = []

    def write(source: str) -> str:
        name = f"nets_of_{tmp_path.name.replace('-', '_')}_{len(written)}"
        (tmp_path / f"{name}.py").write_text(f"from flax import linen as nn\nfrom flax import nnx\n{source}\n")
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_factory_in_the_current_folder(nets) -> None:
    path = list(sys.path)
    helper = nets("def make(n): return nn.Dense(n)")
    name = nets(f"def make(n):\n    from {helper} import make\n    return make(n)")
    model = models.build(f"{name}:make", 5)
    assert isinstance(model, nn.Dense)
    assert model.features == 5
    assert sys.path == path


def test_what_a_factory_declares_is_what_it_gets(nets) -> None:
    name = nets(
        "class Net(nnx.Module):\n"
        "    def __init__(self, n, shape, seed): self.got = nnx.static((n, shape, seed))\n"
        "def everything(n, *, image_shape, seed): return Net(n, image_shape, seed)\n"
        "def only_seed(seed): return Net(None, None, seed)\n"
        "def nothing(): return nn.Dense(3)\n"
        "class Fixed(nn.Module):\n    features: int = 4\n"
        "class NoFields(nn.Module):\n    pass\n"
    )
    assert models.build(f"{name}:everything", 5, (8, 9, 1), 3).got == (5, (8, 9, 1), 3)
    assert models.build(f"{name}:only_seed", 5, seed=8).got == (None, None, 8)
    assert models.build(f"{name}:nothing", 5).features == 3
    assert models.build(f"{name}:Fixed", 5).features == 5
    assert models.build(f"{name}:Fixed").features == 4
    assert isinstance(models.build(f"{name}:NoFields", 5), nn.Module)


@pytest.mark.parametrize(
    ("arguments", "used"),
    [
        ("outs", "outs"),
        ("width=64, num_classes=3", "num_classes"),
        ("image_shape, classes", "classes"),
        ("seed, *, n_classes", "n_classes"),
        ("width=64, *, number_of_labels=3", "number_of_labels"),
        ("n, /, image_shape", "n"),
        ("*n", "n[0]"),
        ("classes, **others", "classes"),
    ],
)
def test_the_number_of_classes_goes_to_the_argument_that_is_called_so(nets, arguments: str, used: str) -> None:
    assert models.build(f"{nets(f'def make({arguments}): return nn.Dense({used})')}:make", 5).features == 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "lenat",
            r"no model 'lenat'; did you mean lenet.*Existing: lenet, lenet_nnx, mnist_cnn, squeezenet, ",
        ),
        ("", r"no model ''; existing: lenet"),
        (":make", "not of the form MODULE:FACTORY"),
        ("nets:", "not of the form MODULE:FACTORY"),
        (".nets:make", "not of the form MODULE:FACTORY"),
        (
            "no_such_module_of_ours:make",
            "no module no_such_module_of_ours, neither in the current folder nor",
        ),
        ("json.absent.deeper:make", r"no module json\.absent"),
        ("absent_net.py:make", "give the module, not the file: absent_net:make"),
        ("json:loadz", r"no loadz in json; did you mean load"),
        ("json:__doc__", "__doc__ in json is not callable"),
        ("builtins:dict", "can't be called with the number of classes"),
    ],
)
def test_a_model_that_is_not_there(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        models.build(spec, 10)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import absent_thing_of_ours", "importing .* failed: No module named 'absent_thing_of_ours'"),
        ("def make(:", "importing .* failed: SyntaxError"),
        ("1 / 0", "importing .* failed: ZeroDivisionError: division by zero"),
        ("def make(n): return n", r"make returned int; expected a flax"),
        ("def make(n): return nn.Dense", r"returned the class Dense, not an instance"),
        ("def make(n): return 1 / 0", r"make\(n=10\) failed: ZeroDivisionError"),
        (
            "def make(n, width): return nn.Dense(n)",
            r"can't be called with the number of classes \(missing.*'width'",
        ),
        ("make = 3", "make in .* is not callable"),
    ],
)
def test_a_factory_that_does_not_work(nets, source: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        models.build(f"{nets(source)}:make", 10)


def test_a_number_of_classes_that_is_needed(nets) -> None:
    with pytest.raises(ModelError, match="can't be called without the number of classes"):
        models.build(f"{nets('def make(n): return nn.Dense(n)')}:make")


def test_a_models_own_error_passes_through() -> None:
    with pytest.raises(ModelError, match="lenet_nnx needs images of at least 16x16 pixels, not 8x8"):
        models.build("lenet_nnx", 10, (8, 8, 1))


def test_importing_the_room_imports_no_jax() -> None:
    code = "import reportgen.models, sys; print({'jax', 'flax'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
