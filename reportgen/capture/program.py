"""A traced model as one flat list of equations, and the places in it that hold the layers' values.

    program = trace(forward, variables, images)
    program.sites                       # module results and functional operations, in call order
    program.run(variables, images, [site.variable for site in program.sites])

What jit, remat and custom derivatives wrap is laid open, since only then an operation inside can be seen
and returned. A scan stays a loop: it is given its inner values as further outputs, stacked over its
iterations. What can't be reached (the branches of a condition, a while loop) is named in `hidden`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr

from reportgen.capture.intermediates import Call, ways_back
from reportgen.capture.operations import Operation, called, depends_on, operations
from reportgen.capture.taps import Tag, scope_name, scope_of, tag_of
from reportgen.errors import ModelError, ReportgenError

WRAPPERS = (
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
)
"""Equations that do no more than run the program inside them."""

HIDING = {"while": "a while loop", "cond": "a condition's branch"}


@dataclass(frozen=True)
class Site:
    """One value to capture: a module's result (`tag`) or a functional operation's, and its variable.

    `inputs` are the variables that a functional operation reads. `flax` says that Flax's own capture
    gave this very variable.
    """

    variable: Any
    tag: Tag | None = None
    operation: Operation | None = None
    inputs: tuple[Any, ...] = ()
    flax: bool = False


@dataclass(frozen=True)
class Program:
    """A traced and flattened model. `jaxpr` has the constants as its first inputs.

    `hidden` maps what can't be captured to the reason and the variables that it follows from.
    """

    jaxpr: Jaxpr
    constants: Sequence[Any]
    sites: tuple[Site, ...]
    hidden: Mapping[str, tuple[str, Sequence[Any]]]
    structure: Any
    images: tuple[Any, ...]

    def run(self, variables: Any, images: Any, more: Sequence[Any]) -> tuple[Any, list]:
        """The model's output, and the values of the program's variables `more`."""
        inputs = (*self.constants, *jax.tree.leaves((variables, images)))
        values = evaluate(self.jaxpr, [*self.jaxpr.outvars, *more], inputs)
        count = len(self.jaxpr.outvars)
        return jax.tree.unflatten(self.structure, values[:count]), values[count:]


def trace(forward: Any, variables: Any, images: Any) -> Program:
    """Trace `forward(variables, images)`, whose module calls are marked by `taps` and captured by Flax.

    `forward` gives (output, {Call: value}). A model that can only be called without Flax's capture (such
    as one whose branches of a condition call different modules) is traced with the marks alone, and
    `forward.alone` says so. Raises ModelError when the model can't be called, or when Flax captured
    another value than the one that is marked.
    """
    try:
        closed, shapes = jax.make_jaxpr(forward, return_shape=True)(variables, images)
    except ReportgenError:
        raise
    except Exception as error:  # whatever the user's model raises
        text = f"{type(error).__name__}: {error}"
        if forward.without_flax(f"with it, the model can't be called: {text.splitlines()[0]}"):
            try:
                return trace(forward, variables, images)
            except ModelError:
                forward.without_flax("")
                raise
        shown = ", ".join(f"{x.dtype}{list(x.shape)}" for x in jax.tree.leaves(images))
        raise ModelError(
            f"the model can't be called on images {shown}: {text}; "
            "give apply=(model, variables, images) -> output if it needs other arguments"
        ) from error
    flat = _Flat()
    jaxpr = closed.jaxpr
    flat.constants.update(zip(jaxpr.constvars, closed.consts, strict=True))
    environment: dict[Var, Any] = {}
    flat.walk(jaxpr, environment, None)
    structure, count = jax.tree.structure(shapes[0]), len(jax.tree.leaves(shapes[0]))
    outputs = [_read(environment, v) for v in jaxpr.outvars]
    captured = dict(zip(sorted(shapes[1]), outputs[count:], strict=True))
    whole = _jaxpr(jaxpr, [*flat.constants, *jaxpr.invars], outputs[:count], flat.equations)
    read = tuple(jaxpr.invars[len(jaxpr.invars) - len(jax.tree.leaves(images)) :])
    return Program(
        jaxpr=whole,
        constants=list(flat.constants.values()),
        sites=tuple(_proven(flat, captured, read)),
        hidden=flat.hidden,
        structure=structure,
        images=read,
    )


def _proven(flat: "_Flat", captured: Mapping[Call, Any], images: Sequence[Any]) -> list[Site]:
    """The sites, with those marked of which Flax captured this very variable: the n-th call of its n-th.

    Raises ModelError where what it captured of a module's call is none of the values marked there.
    """
    sites = flat.sites()
    waiting: dict[tuple[str, str, str], list[int]] = {}
    for place, site in enumerate(sites):
        if site.tag is not None:
            key = site.tag.module, site.tag.method or "__call__", site.tag.leaf
            waiting.setdefault(key, []).append(place)
    made_by = {v: equation for equation in flat.equations for v in equation.outvars}
    activations = depends_on(flat.equations, images)
    for call, variable in captured.items():
        if isinstance(variable, Literal):
            continue
        same = set(ways_back(variable, made_by, flat.moved))
        places = waiting.get((call.module, call.method, call.leaf), [])
        while places:
            # A call that stands before is one that Flax dropped: it was made inside a loop.
            place = places.pop(0)
            found = sites[place].variable
            if not isinstance(found, Literal) and found in same:
                sites[place] = replace(sites[place], flax=True)
                break
        else:
            if variable in activations and call.module not in flat.unreached:
                method = "" if call.method == "__call__" else call.method
                raise ModelError(
                    f"of {'/'.join(filter(None, (call.module, method))) or 'the model'}{call.leaf}, Flax's "
                    f"capture_intermediates gives another value than call {call.number} returned; is there another "
                    "interceptor around it?"
                )
    return sites


def evaluate(jaxpr: Jaxpr, outputs: Sequence[Any], inputs: Sequence[Any]) -> list:
    """The values of the variables `outputs`, computing nothing that they do not need."""
    needed, _ = dce_jaxpr(_jaxpr(jaxpr, jaxpr.invars, outputs, jaxpr.eqns), [True] * len(outputs), instantiate=True)
    return jaxpr_as_fun(ClosedJaxpr(needed, []))(*inputs)


def _jaxpr(like: Jaxpr, invars: Sequence, outvars: Sequence, equations: Sequence[JaxprEqn]) -> Jaxpr:
    return like.replace(
        constvars=[],
        invars=list(invars),
        outvars=list(outvars),
        eqns=list(equations),
        debug_info=like.debug_info._replace(arg_names=None, result_paths=None),
    )


def _read(environment: dict[Var, Any], variable: Any) -> Any:
    return variable if isinstance(variable, Literal) else environment.get(variable, variable)


@dataclass
class _Flat:
    """Collects the equations of one level: a whole program, or the body of a loop."""

    equations: list[JaxprEqn] = field(default_factory=list)
    constants: dict[Var, Any] = field(default_factory=dict)
    hidden: dict[str, tuple[str, Sequence[Any]]] = field(default_factory=dict)
    moved: dict[Var, Var] = field(default_factory=dict)
    """A loop's own output -> the further output that holds the same values, if perhaps with other axes first."""
    unreached: set[str] = field(default_factory=set)
    """Modules that are hidden."""
    _found: list[tuple[int, Site]] = field(default_factory=list)

    def sites(self) -> list[Site]:
        """Module results and operations in the order in which they are computed."""
        made = [
            (operation.position, 0, Site(operation.output, operation=operation, inputs=operation.inputs))
            for operation in operations(self.equations, _user_scope)
        ]
        found = [*made, *((position, 1, site) for position, site in self._found)]
        return [site for _, _, site in sorted(found, key=lambda item: item[:2])]

    def walk(self, jaxpr: Jaxpr, environment: dict[Var, Any], stack: Any) -> None:
        """Append the equations of `jaxpr`, its variables replaced by those in `environment`."""
        for equation in jaxpr.eqns:
            source = equation.source_info
            if stack is not None:
                source = source.replace(name_stack=stack + source.name_stack)
            inputs = [_read(environment, v) for v in equation.invars]
            tag = tag_of(equation)
            if tag is not None:
                self._found.append((len(self.equations) - 1, Site(inputs[0], tag=tag)))
                environment[equation.outvars[0]] = inputs[0]
                continue
            inner = _wrapped(equation)
            if inner is not None:
                within = source.name_stack
                if _is_jaxs_own(inner) and not _has_tap(inner):
                    # The concatenation inside jnp.roll is no operation of the model's.
                    within = within.extend(scope_name(scope_of(within)[0], library=True))
                outputs = self._lay_open(inner, inputs, within)
                environment.update(zip(equation.outvars, outputs, strict=True))
                continue
            outputs = [Var(v.aval) for v in equation.outvars] if stack is not None else equation.outvars
            environment.update(zip(equation.outvars, outputs, strict=True))
            equation = equation.replace(invars=inputs, outvars=list(outputs), source_info=source)
            if equation.primitive.name == "scan":
                equation = self._open_loop(equation)
            elif equation.primitive.name in HIDING:
                self._note_hidden(equation)
            self.equations.append(equation)

    def _lay_open(self, inner: ClosedJaxpr, inputs: Sequence, stack: Any) -> list:
        environment: dict[Var, Any] = dict(zip(inner.jaxpr.invars, inputs, strict=True))
        for variable, value in zip(inner.jaxpr.constvars, inner.consts, strict=True):
            environment[variable] = fresh = Var(variable.aval)
            self.constants[fresh] = value
        self.walk(inner.jaxpr, environment, stack)
        return [_read(environment, v) for v in inner.jaxpr.outvars]

    def _open_loop(self, equation: JaxprEqn) -> JaxprEqn:
        """The same scan with the values inside it as further outputs, which are sites out here."""
        body: ClosedJaxpr = equation.params["jaxpr"]
        flat = _Flat()
        environment: dict[Var, Any] = {}
        # An empty stack, not None: the body's variables may stand in several scans of the program.
        flat.walk(body.jaxpr, environment, equation.source_info.name_stack)
        for name, (reason, _) in flat.hidden.items():
            self.hidden[name] = reason, equation.invars
        self.unreached |= flat.unreached
        sites = [site for site in flat.sites() if not isinstance(site.variable, Literal)]
        inner = dict.fromkeys(v for site in sites for v in (site.variable, *site.inputs))
        length = equation.params["length"]
        outside = {v: Var(v.aval.update(shape=(length, *v.aval.shape))) for v in inner}
        outputs = [_read(environment, v) for v in body.jaxpr.outvars]
        constants = list(flat.constants)
        self.constants.update(flat.constants)
        opened = _jaxpr(
            body.jaxpr, [*constants, *body.jaxpr.constvars, *body.jaxpr.invars], [*outputs, *outside], flat.equations
        )
        for variable, value in zip(body.jaxpr.constvars, body.consts, strict=True):
            self.constants[variable] = value
        constants += body.jaxpr.constvars
        made_by = {v: made for made in flat.equations for v in made.outvars}
        first = equation.params["num_carry"]
        for output, within in zip(equation.outvars[first:], outputs[first:], strict=True):
            if not isinstance(within, Literal):
                same = [outside[v] for v in ways_back(within, made_by, flat.moved) if v in outside]
                self.moved.update({output: same[0]} if same else {})
        position = len(self.equations)
        for site in sites:
            inputs = tuple(outside[v] for v in site.inputs)
            self._found.append((position, Site(outside[site.variable], site.tag, site.operation, inputs)))
        params = {
            **equation.params,
            "jaxpr": ClosedJaxpr(opened, []),
            "num_consts": equation.params["num_consts"] + len(constants),
        }
        if "linear" in params:  # JAX before 0.9
            params["linear"] = (*[False] * len(constants), *params["linear"])
        return equation.replace(
            invars=[*constants, *equation.invars],
            outvars=[*equation.outvars, *outside.values()],
            params=params,
        )

    def _note_hidden(self, equation: JaxprEqn) -> None:
        for inner in _inside(equation):
            flat = _Flat()
            flat.walk(inner, {}, equation.source_info.name_stack)
            for site in flat.sites():
                name = site.tag.path if site.tag else _operation_name(site.operation)
                self.hidden[name] = f"it is computed inside {HIDING[equation.primitive.name]}", equation.invars
                if site.tag:
                    self.unreached.add(site.tag.module)
            self.unreached |= flat.unreached
            self.hidden.update({name: (reason, equation.invars) for name, (reason, _) in flat.hidden.items()})


def _wrapped(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The program inside a wrapper; None for other equations, and for a call that is an operation itself."""
    if equation.primitive.name not in WRAPPERS:
        return None
    inner = next((equation.params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in equation.params), None)
    if inner is None or (called(equation) is not None and not _has_tap(inner)):
        return None
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, [])


def _is_jaxs_own(inner: ClosedJaxpr) -> bool:
    """Whether the function inside is one of JAX's: "_roll_static at .../jax/_src/numpy/lax_numpy.py:123"."""
    return "/jax/_src/" in inner.jaxpr.debug_info.func_src_info.replace("\\", "/")


def _inside(equation: JaxprEqn) -> list[Jaxpr]:
    """The programs among an equation's parameters."""
    values = [
        item for value in equation.params.values() for item in (value if isinstance(value, (tuple, list)) else [value])
    ]
    jaxprs = [v.jaxpr if isinstance(v, ClosedJaxpr) else v for v in values]
    return [v for v in jaxprs if isinstance(v, Jaxpr)]


def _has_tap(inner: Any) -> bool:
    jaxpr = getattr(inner, "jaxpr", inner)
    return any(
        tag_of(equation) is not None or any(_has_tap(deeper) for deeper in _inside(equation)) for equation in jaxpr.eqns
    )


def _user_scope(equation: JaxprEqn) -> str | None:
    path, library = scope_of(equation.source_info.name_stack)
    return None if library else path


def _operation_name(operation: Any) -> str:
    return f"{operation.scope}/{operation.name}" if operation.scope else operation.name


def between(jaxpr: Jaxpr, output: Var, known: Collection[Var]) -> Jaxpr:
    """The part of a program that computes `output` from the variables `known` and from its own inputs.

    Its inputs are those of them that it reads. `output` itself is computed, also where it is in `known`.
    """
    needed: dict[Var, None] = {output: None}
    equations: list[JaxprEqn] = []
    for equation in reversed(jaxpr.eqns):
        made = [v for v in equation.outvars if v in needed and (v is output or v not in known)]
        if made:
            equations.append(equation)
            needed.update(dict.fromkeys(v for v in equation.invars if not isinstance(v, Literal)))
    computed = {v for equation in equations for v in equation.outvars}
    inputs = [v for v in needed if v in known or v not in computed]
    return _jaxpr(jaxpr, [v for v in inputs if v is not output or not equations], [output], equations[::-1])
