"""Flax's own capture of a Linen model, run in the same trace as the marks, and what the two say of each other.

    found = Intermediates(model, marked=lambda: True)
    output = apply(found.model, variables, images)      # while JAX traces it
    found.values                                        # {Call: traced array}

`found.model` is the user's model but for its `apply`, which asks Flax for `capture_intermediates` too
and hands back what the user asked for. Flax sows a result after the interceptors ran, so what it sows is
the marked value itself: `program` looks that up in the traced program, for every value that Flax gives.
As the values are only named and not returned, this costs nothing when the program runs.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from flax.core.scope import in_filter
from flax.core.tracers import current_trace
from jax.extend.core import Literal

from reportgen.capture.marks import traced

COLLECTION = "intermediates"


class Call(NamedTuple):
    """A result of a module's call: module path (where its parameters are), method, call index, leaf of the output."""

    module: str
    method: str
    number: int
    leaf: str


class Intermediates:
    """A stand-in `model`, and after it was applied the `values` that Flax captured.

    `marked()` tells of the call that just ended whether it was marked: those are captured. `flax_capture_error` is the
    reason where Flax's capture could not be used, so that the marks stand alone; "" where it was.
    """

    def __init__(self, model: nn.Module, marked: Callable[[], bool]):
        self.values: dict[Call, Any] = {}
        self.flax_capture_error = "the model's `apply` was not called"
        self._own = model.apply
        self._marked = marked
        self._level = current_trace()
        self._counts: Counter[Any] = Counter()
        # A copy of the same class: isinstance, attributes and clones are what they are; Linen's are frozen.
        self.model = copy.copy(model)
        object.__setattr__(self.model, "apply", self._apply)

    def _apply(
        self,
        variables: Mapping[str, Any],
        *args: Any,
        mutable: Any = False,
        capture_intermediates: Any = False,
        **kwargs: Any,
    ) -> Any:
        if capture_intermediates or in_filter(mutable, COLLECTION):
            self.flax_capture_error = "the model is applied with intermediates of the user's own"
        elif current_trace() != self._level:
            self.flax_capture_error = "the model is applied inside a JAX transformation, which its values can't leave"
        else:
            self.flax_capture_error = ""
        if self.flax_capture_error:
            return self._own(variables, *args, mutable=mutable, capture_intermediates=capture_intermediates, **kwargs)
        sown: set[tuple[tuple[str, ...], str, int]] = set()

        def keep(module: nn.Module, method: str) -> bool:
            if not self._marked():
                return False
            # Flax sows right after this: the place tells its value from what the user sows under this name.
            sown.add((module.path, method, len(module.get_variable(COLLECTION, method, ()))))
            return True

        fresh = {name: value for name, value in variables.items() if name != COLLECTION}
        output, state = self._own(fresh, *args, mutable=mutable, capture_intermediates=keep, **kwargs)
        self._take(state.get(COLLECTION, {}), sown)
        if mutable is False:
            return output
        return output, type(state)({name: value for name, value in state.items() if name != COLLECTION})

    def _take(self, collection: Mapping[str, Any], sown: Iterable[tuple[tuple[str, ...], str, int]]) -> None:
        for path, method, place in sorted(sown):
            node: Any = collection
            for part in (*path, method):
                node = node.get(part) if isinstance(node, Mapping) else None
            if node is None:
                continue  # inside nn.scan, nn.vmap or nn.RNN, which drop collections they were not asked to keep
            key = "/".join(path), method
            for leaf, value in jax.tree_util.tree_leaves_with_path(node[place]):
                if traced(value):
                    self.values[Call(*key, self._counts[key], jax.tree_util.keystr(leaf))] = value
            self._counts[key] += 1


MOVES = ("transpose", "broadcast_in_dim")
"""What nn.vmap and nn.scan do to a value on its way out: the axes change their places, no value changes."""


def ways_back(variable: Any, made_by: Mapping[Any, Any], moved: Mapping[Any, Any]) -> Iterator[Any]:
    """The variable, then those that it is made from by `MOVES`, or according to `moved` (out of loops)."""
    while not isinstance(variable, Literal):
        yield variable
        equation = made_by.get(variable)
        if variable in moved:
            variable = moved[variable]
        elif equation is not None and equation.primitive.name in MOVES:
            variable = equation.invars[0]
        else:
            return
