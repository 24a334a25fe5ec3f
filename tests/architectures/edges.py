"""Which module reads which, by a walk of its own over the traced program, to compare a network's edges with.

expected = walked(capture.forward, network, variables, images)
module_edges(network, expected) == expected
"""

from collections import Counter
from collections.abc import Iterable

import jax
from jax.extend.core import Literal

from reportgen.capture import own_modes
from reportgen.capture.jax_versions import called_program, scan_of
from reportgen.capture.marks import tag_of
from reportgen.core.network import INPUT


def module_edges(network, modules: Iterable[str]):
    """Path -> the modules that it reads, directly or through functional operations; blocks that repeat are left out."""
    reads = {INPUT: frozenset((INPUT,))}
    edges = {}
    for layer in network.distinct:
        reads[layer.path] = found = frozenset().union(*(reads[path] for path in layer.inputs))
        if layer.path in modules:
            edges[layer.path] = found
            reads[layer.path] = frozenset((layer.path,))
    return edges


def walked(forward, network, variables, images):
    """The same from the marks in the program as JAX gives it, with all that is nested in it.

    What a value reads is None where the images do not matter to it, and empty where they matter in later iterations
    of a loop alone: such a layer reads what the loop does.
    """
    with own_modes():
        closed = jax.make_jaxpr(forward)(variables, images)
    images_from = len(closed.jaxpr.invars) - len(jax.tree.leaves(images))
    edges, calls = {}, Counter()

    def marked(tag, value, around):
        """What reads the value of a module's result has read."""
        name = "/".join(filter(None, (tag.path, tag.method))) or tag.kind
        calls[name, tag.leaf] += 1
        path = f"{name}#{calls[name, tag.leaf]}" if calls[name, tag.leaf] > 1 else name
        layer = network.layers.get(path + tag.leaf)
        while layer is not None and layer.op != (tag.method or tag.kind):  # an operation has the module's name
            calls[name, tag.leaf] += 1
            layer = network.layers.get(f"{name}#{calls[name, tag.leaf]}{tag.leaf}")
        if layer is None or layer.alias_of is not None:
            return value
        edges[layer.path] = value or around
        return frozenset((layer.path,))

    def loop(scan, read, around):
        """A loop's outputs: what its first iteration reads, once it is known what changes in later ones."""
        around |= frozenset().union(*filter(None, read))
        inside = list(read)
        for _ in range(scan.carry + 1):
            before = dict(edges), Counter(calls)
            made = run(scan.body, inside, around)
            after = [
                frozenset()
                if place - scan.consts in range(scan.carry) and x is None and made[place - scan.consts] is not None
                else x
                for place, x in enumerate(inside)
            ]
            if after == inside:
                break
            inside = after
            edges.clear()
            edges.update(before[0])
            calls.clear()
            calls.update(before[1])
        return made

    def run(jaxpr, given, around):
        known = {v: x for v, x in zip(jaxpr.invars, given, strict=True) if x is not None}
        tags = {}
        for equation in jaxpr.eqns:
            if tag_of(equation) is not None and not isinstance(equation.invars[0], Literal):
                tags.setdefault(equation.invars[0], []).append(tag_of(equation))

        def note(variables, values):
            """Values as they are made: a module's result is its own before the mark that says so comes."""
            for variable, value in zip(variables, values, strict=True):
                if value is not None:
                    for tag in tags.get(variable, ()):
                        value = marked(tag, value, around)
                    known[variable] = value

        note(jaxpr.invars, given)
        for equation in jaxpr.eqns:
            read = [None if isinstance(v, Literal) else known.get(v) for v in equation.invars]
            inner, scan = called_program(equation), scan_of(equation)
            if all(x is None for x in read):
                continue
            if tag_of(equation) is not None:
                made = read
            elif scan is not None:
                made = loop(scan, read, around)
            elif inner is not None:
                made = run(inner[0], read, around)
            else:
                made = [frozenset().union(*filter(None, read))] * len(equation.outvars)
            note(equation.outvars, made)
        return [None if isinstance(v, Literal) else known.get(v) for v in jaxpr.outvars]

    given = [frozenset((INPUT,)) if i >= images_from else None for i in range(len(closed.jaxpr.invars))]
    run(closed.jaxpr, given, frozenset())
    return edges
