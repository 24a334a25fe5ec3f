"""Models by name, or from a user's own factory.

    model = build("lenet", num_classes=10)
    model = build("nets:make", 10)             # make(10) of nets.py in the current folder

A factory is a callable that takes the number of classes and returns a Linen or NNX module. The number goes to its
argument num_classes, n_classes, classes or the like, else to the first one, whatever that is called; a factory without
arguments decides itself. It may also declare `image_shape` (height, width, channels) and `seed`, which NNX modules
need. A `__call__` with an argument `train` receives whether the model is being trained. A new model is one file and one
line in MODELS. Importing this module does not import jax.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen.errors import ModelError, ReportgenError, choices

if TYPE_CHECKING:
    from flax import linen, nnx

MODELS: Mapping[str, str] = {
    "lenet": "reportgen.models.lenet:LeNet",
    "lenet_nnx": "reportgen.models.lenet_nnx:lenet_nnx",
    "mnist_cnn": "reportgen.models.mnist_cnn:MnistCNN",
    "squeezenet": "reportgen.models.squeezenet:SqueezeNet",
}
NUMBER_OF_CLASSES = re.compile("((n|nb|num|number)_?(of_)?)?(classes|labels|outputs)")
LINEN_OWN = ("parent", "name")  # fields that every Linen module class has after its own


def build(
    name: str,
    num_classes: int | None = None,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    seed: int = 0,
) -> "linen.Module | nnx.Module":
    """The `flax.linen.Module` or `flax.nnx.Module` that a factory makes.

    `name` is one of MODELS or MODULE:FACTORY; modules are looked up in the current folder first, then
    among the installed ones. Without `num_classes` the factory is called without it and its own default
    applies (for squeezenet, no classifier), as for a factory without a parameter for it.
    `image_shape` and `seed` are passed to factories that have parameters of these names.

    Raises ModelError for an unknown name (the known ones are listed), a module that can't be imported, or a
    factory that does not exist, does not take the arguments, fails, or returns something else.
    """
    if name not in MODELS and ":" not in name:
        raise ModelError(f"no model {name!r}; {choices(name, MODELS)}, MODULE:FACTORY", code="M101")
    module, _, attribute = MODELS.get(name, name).partition(":")
    # The current folder stays importable while the factory runs, which may import more of the user's modules.
    with _current_folder_importable():
        factory = _find(name, module, attribute)
        model = _call(name, factory, num_classes, image_shape, seed)

    from flax import linen, nnx

    if not isinstance(model, linen.Module | nnx.Module):
        what = f"the class {model.__name__}, not an instance" if isinstance(model, type) else type(model).__name__
        raise ModelError(f"{name} returned {what}; expected a flax.linen.Module or flax.nnx.Module", code="M103")
    return model


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:  # it was deleted: installed modules are found as ever
        folder = ""
    sys.path.insert(0, folder)
    # Without this, a module written since the interpreter last listed the folder is not found.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's module may have changed the path itself
            sys.path.remove(folder)


def _find(name: str, module_name: str, attribute: str) -> Callable[..., Any]:
    if not module_name or not attribute or module_name.startswith("."):
        raise ModelError(
            f"{name!r} is not of the form MODULE:FACTORY, as in nets:make for make() in nets.py", code="M101"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        # The missing module is the requested one or one of its packages; otherwise one of its imports failed.
        if problem.name is None or not f"{module_name}.".startswith(f"{problem.name}."):
            raise ModelError(f"{name}: importing {module_name} failed: {problem}", code="M102") from problem
        hint = f"; give the module, not the file: {module_name.removesuffix('.py')}:{attribute}"
        raise ModelError(
            f"{name}: no module {problem.name}, neither in the current folder nor installed"
            f"{hint if module_name.endswith('.py') else ''}",
            code="M102",
        ) from problem
    except Exception as problem:  # whatever the user's module raises while it is imported
        raise ModelError(
            f"{name}: importing {module_name} failed: {type(problem).__name__}: {problem}", code="M102"
        ) from problem
    factory: Callable[..., Any] | None = getattr(module, attribute, None)
    if not callable(factory):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        absent = f"no {attribute} in {module_name}"
        text = absent if factory is None else f"{attribute} in {module_name} is not callable"
        raise ModelError(f"{name}: {text}; {choices(attribute, public)}", code="M101")
    return factory


def _call(
    name: str,
    factory: Callable[..., Any],
    num_classes: int | None,
    image_shape: tuple[int, int, int],
    seed: int,
) -> Any:
    offered = {"image_shape": image_shape, "seed": seed}
    arguments: tuple[int, ...] = ()
    try:
        signature = inspect.signature(factory)
        parameters = signature.parameters
        keywords: dict[str, Any] = {key: value for key, value in offered.items() if key in parameters}
        counted = _counting({key: value for key, value in parameters.items() if key not in {*offered, *LINEN_OWN}})
        if counted is not None and num_classes is not None:
            if counted.kind in (counted.POSITIONAL_ONLY, counted.VAR_POSITIONAL):
                arguments = (num_classes,)
            else:
                keywords[counted.name] = num_classes
        signature.bind(*arguments, **keywords)
    except (TypeError, ValueError) as problem:
        how = "without" if num_classes is None else "with"
        raise ModelError(
            f"{name} can't be called {how} the number of classes ({problem}); "
            "write a function that takes it as its first argument and returns the module",
            code="M103",
        ) from problem
    try:
        return factory(*arguments, **keywords)
    except ReportgenError:
        raise
    except Exception as problem:  # whatever the user's factory raises
        given = ", ".join([*map(str, arguments), *(f"{key}={value}" for key, value in keywords.items())])
        raise ModelError(f"{name}({given}) failed: {type(problem).__name__}: {problem}", code="M103") from problem


def _counting(parameters: Mapping[str, inspect.Parameter]) -> inspect.Parameter | None:
    """The one of a factory's parameters that takes the number of classes; None where none does."""
    for key, parameter in parameters.items():
        if NUMBER_OF_CLASSES.fullmatch(key) and parameter.kind != parameter.VAR_KEYWORD:
            return parameter
    positional = (each for each in parameters.values() if each.kind <= each.VAR_POSITIONAL)
    return next(positional, None)
