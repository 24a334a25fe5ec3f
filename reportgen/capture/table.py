"""The layers of a traced model in call order: their names, what they read, which are the same.

    entries, uncaptured = build(program, params)
    entries[0].layer.path, entries[0].variable

Names follow the modules: "Block_0/Conv_1", a second call "Block_0/Conv_1#2". A functional operation is
named after the layer that it reads ("Conv_0/relu"), or after the module that it is computed in.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.extend.core import Literal

from reportgen.capture.intermediates import Call
from reportgen.capture.operations import depends_on, origin
from reportgen.capture.program import Program, Site
from reportgen.capture.taps import Tag
from reportgen.core.network import INPUT, Role, role_of

CONSTANT = "its value does not depend on the images"


@dataclass(frozen=True)
class Entry:
    """A value that can be captured. `module` is where its own parameters are, None for an operation.

    `op`, `role`, `inputs`, `alias_of` and `tied_to` are as in `core.network.Layer`.
    `call` tells which module call's result it is, `flax` that Flax's own capture gave the same variable.
    """

    path: str
    op: str
    role: Role
    variable: Any
    module: str | None
    inputs: tuple[str, ...]
    alias_of: str | None
    tied_to: str | None
    call: Call | None = None
    flax: bool = False


def build(program: Program, root: bool = False) -> tuple[list[Entry], dict[str, str], dict[str, str]]:
    """The entries in call order; what could not be captured with the reason; and constant library modules.

    The last are Flax's modules whose value does not depend on the images, path -> where its parameters
    are: an embedding of positions, or a gate of an LSTM cell that hands its kernel to the cell.

    With `root`, the model itself is an entry even where its output is that of its last layer.
    """
    return _Table(program, root).build()


class _Table:
    def __init__(self, program: Program, root: bool):
        self._program = program
        self._root = root
        equations = program.jaxpr.eqns
        self._activations = depends_on(equations, program.images)
        self._made_by = {v: equation for equation in equations for v in equation.outvars}
        self._entries: dict[str, Entry] = {}
        self._path_of: dict[Any, str] = {}
        self._calls: Counter = Counter()
        self._first: dict[str, str] = {}
        self._constant: dict[str, str] = {}
        self._constant_library: dict[str, str] = {}

    def build(self) -> tuple[list[Entry], dict[str, str], dict[str, str]]:
        for site in self._program.sites:
            known = not isinstance(site.variable, Literal) and site.variable in self._activations
            if site.tag is not None and known:
                self._add_call(site, site.tag)
            elif site.tag is not None and site.tag.library:
                self._constant_library[_name(site.tag)] = site.tag.module
            elif site.tag is not None:
                self._constant[_name(site.tag)] = CONSTANT
            elif known and site.variable not in self._path_of:
                self._add_operation(site)
        shown = {entry.path.split("#")[0] for entry in self._entries.values()}
        uncaptured = {name: reason for name, reason in self._constant.items() if name not in shown}
        for name, (reason, inputs) in self._program.hidden.items():
            if any(v in self._activations for v in inputs if not isinstance(v, Literal)):
                uncaptured[name] = reason
        return list(self._entries.values()), uncaptured, self._constant_library

    def _add_call(self, site: Site, tag: Tag) -> None:
        if not tag.path and not tag.method and not self._root and site.variable in self._path_of:
            return  # The model's own output is its last layer's.
        name = _name(tag)
        self._calls[name, tag.leaf] += 1
        count = self._calls[name, tag.leaf]
        base = name if count == 1 else f"{name}#{count}"
        first = self._first.setdefault(tag.module, base)
        path = self._unique(base + tag.leaf)
        tied_to = None if first == base else first
        call = Call(tag.module, tag.method or "__call__", count - 1, tag.leaf)
        op = tag.method or tag.kind
        equation = self._made_by.get(site.variable)
        inputs = self._inputs([site.variable] if equation is None else equation.invars)
        role = role_of(op, own=not tag.library)
        self._add(Entry(path, op, role, site.variable, tag.module, inputs, None, tied_to, call, site.flax))

    def _add_operation(self, site: Site) -> None:
        operation = site.operation
        assert operation is not None
        inputs = [v for v in site.inputs if v in self._activations]
        read = origin(inputs[0], self._path_of, self._made_by) if len(inputs) == 1 else None
        base = operation.scope
        if read is not None:
            # relu(conv(x)) and max_pool(relu(conv(x))) both happen to the convolution.
            base = read if self._entries[read].module is not None else read.rpartition("/")[0]
        path = self._unique(f"{base}/{operation.name}" if base else operation.name)
        role = role_of(operation.name)
        self._add(Entry(path, operation.name, role, site.variable, None, self._inputs(inputs), None, None))

    def _inputs(self, reads: Iterable[Any]) -> tuple[str, ...]:
        """The captured values that the variables `reads` are computed from or are, in call order, `INPUT` first."""
        found: set[str] = set()
        seen = {v for v in reads if not isinstance(v, Literal) and v in self._activations}
        open_ = list(seen)
        while open_:
            variable = open_.pop()
            equation = self._made_by.get(variable)
            if variable in self._path_of:
                found.add(self._path_of[variable])
            elif equation is None:
                found.add(INPUT)
            else:
                further = {v for v in equation.invars if not isinstance(v, Literal) and v in self._activations}
                open_ += further - seen
                seen |= further
        return tuple(path for path in (INPUT, *self._entries) if path in found)

    def _add(self, entry: Entry) -> None:
        same = self._path_of.setdefault(entry.variable, entry.path)
        if same != entry.path:
            entry = replace(entry, alias_of=same, inputs=(same,))
        self._entries[entry.path] = entry

    def _unique(self, name: str) -> str:
        count, candidate = 1, name
        while candidate in self._entries:
            count += 1
            candidate = f"{name}#{count}"
        return candidate


def _name(tag: Tag) -> str:
    parts = [part for part in (tag.path, tag.method) if part]
    return "/".join(parts) or tag.kind


Shapes = dict[str, tuple[int, ...]]


def own_params(
    entries: list[Entry], params: Mapping[str, Any]
) -> tuple[dict[str, dict[str, tuple[int, ...]]], list[str]]:
    """Layer path -> its parameters' names and shapes; and the parameters that belong to no layer.

    A parameter belongs to the first captured call of the module that holds it, or, where that module
    itself gives no activation (the gates of an LSTM cell), of the module around it.
    """
    first: dict[str, str] = {}
    for entry in entries:
        if entry.module is not None:
            first.setdefault(entry.module, entry.path)
    owned: dict[str, Shapes] = {}
    ownerless = []
    for name, value in params.items():
        module = name.rpartition("/")[0]
        while module not in first and module:
            module = module.rpartition("/")[0]
        if module in first and (module or "/" not in name):
            owned.setdefault(first[module], {})[name] = tuple(map(int, np.shape(value)))
        else:
            ownerless.append(name)
    return owned, ownerless
