"""Marks on a traced model: where a module begins, and what it returned.

    with scope(path, library=False):
        output = call()
    output = mark(output, CallTag(path, ...))

A mark is JAX's own `checkpoint_name`, an identity that stands in the traced program wherever the module
was called: also inside jit, remat, vmap and scan, where a value that Python kept aside could not leave.
`program` reads the marks and takes them out again.
"""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, unquote

import jax
from jax.ad_checkpoint import checkpoint_name

PREFIX = "reportgen:"

NAMED_SCOPES = "<reportgen named >"
"""A scope inside which `jax.named_scope` names stand for modules: that of a plain function."""

_SCOPE = re.compile(r"<reportgen (module|library|function|named) ([^>]*)>")


@dataclass(frozen=True)
class CallTag:
    """Of which module call a value is a result.

    `path` is the layer's as the report shows it ("Block_0/Conv_1"), `module` where its parameters are
    (the same, but for `nn.remat`, which renames), `kind` the class. `method` is the method's name where
    it is not `__call__`. A `library` module is Flax's own and not looked into for functional operations.
    `leaf` is the place in the output, such as "[0]" of a tuple.
    """

    path: str
    module: str
    kind: str
    library: bool
    method: str = ""
    leaf: str = ""


def scope(path: str, library: bool) -> AbstractContextManager[None]:
    """Equations that are made inside are known to belong to the module `path`."""
    return jax.named_scope(scope_name(path, "library" if library else "module"))


def scope_name(path: str, kind: str) -> str:
    """The name that `scope_of` reads again."""
    return f"<reportgen {kind} {quote(path, safe='/')}>"


def scope_of(name_stack: Any) -> tuple[str, str]:
    """Module path of an equation, and where it was made: "module", "library" (a module of Flax's own), or
    "function" (one of JAX's own, called in a module of the user's); ("", "module") outside of all.
    """
    text = str(name_stack)
    scopes = list(_SCOPE.finditer(text))
    if not scopes:
        return "", "module"
    kind, path = scopes[-1].groups()
    if kind == "named":
        # "jit(f)" and "vmap(f)" are JAX's own.
        names = [name for name in text[scopes[-1].end() :].split("/") if name and "(" not in name]
        return "/".join(names), "module"
    return unquote(path), kind


def mark(output: Any, tag: CallTag) -> Any:
    """The same output, its traced arrays marked; anything else is returned unchanged."""

    def marked(place: Any, value: Any) -> Any:
        if not traced(value):
            return value
        leaf = jax.tree_util.keystr(place)
        name: Any = checkpoint_name  # it has no types
        return name(value, PREFIX + json.dumps({**asdict(tag), "leaf": leaf}))

    return jax.tree_util.tree_map_with_path(marked, output)


def traced(value: Any) -> bool:
    """Whether a value is an array of the program that is being traced; random keys are none."""
    return isinstance(value, jax.core.Tracer) and not jax.numpy.issubdtype(value.dtype, jax.dtypes.extended)


def tag_of(equation: Any) -> CallTag | None:
    """The tag of a marking equation, None for any other."""
    name = equation.params.get("name") if equation.primitive.name == "name" else None
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return None
    return CallTag(**json.loads(name.removeprefix(PREFIX)))


def at(reason: str, place: str) -> str:
    """The reason why something is not captured, with the line of the model's code: "its value ... (model.py:12)"."""
    return f"{reason} ({place})" if place else reason


def reason_unmarked(output: Any) -> str | None:
    """Why nothing of a module's output could be marked; None where something was."""
    leaves = jax.tree.leaves(output)
    if any(traced(leaf) for leaf in leaves):
        return None
    if not leaves:
        return "it returned nothing"
    kinds = ", ".join(sorted({type(leaf).__name__ for leaf in leaves}))
    return f"it returned no array that follows from the input, but {kinds}"


def shown_methods(cls: type, library: Callable[[type], bool]) -> list[str]:
    """The methods of a module's class whose results are captured: `__call__` and the user's public ones.

    Of library modules, `__call__` and `attend` (an embedding used as output layer).
    """
    names = ["__call__", "attend"]
    for base in cls.__mro__:
        if base is not object and not library(base):
            # Skip properties and attributes: they are not calls.
            names += [k for k, v in vars(base).items() if not k.startswith("_") and _is_method(v)]
    return [name for name in dict.fromkeys(names) if name != "setup" and callable(getattr(cls, name, None))]


def _is_method(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)
