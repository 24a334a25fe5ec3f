"""Which module reads which, by a walk of its own over the traced program, to compare a network's edges with.

module_edges(network) == walked(capture.forward, network, variables, images)
"""

from collections import Counter

import jax
from jax.extend.core import Literal

from reportgen.capture import own_modes
from reportgen.capture.jax_versions import called_program, scan_of
from reportgen.capture.marks import tag_of
from reportgen.core.network import INPUT
from tests.layers import is_module


def module_edges(network):
    """Path -> the modules that it reads, directly or through functional operations; blocks that repeat are left out."""
    reads = {INPUT: frozenset((INPUT,))}
    edges = {}
    for layer in network.distinct:
        found = frozenset().union(*(reads[path] for path in layer.inputs))
        reads[layer.path] = found
        if is_module(layer):
            edges[layer.path] = found
            reads[layer.path] = frozenset((layer.path,))
    return edges


def walked(forward, network, variables, images):
    """The same from the marks in the program as JAX gives it, with all that is nested in it."""
    with own_modes():
        closed = jax.make_jaxpr(forward)(variables, images)
    images_from = len(closed.jaxpr.invars) - len(jax.tree.leaves(images))
    edges, calls = {}, Counter()

    def marked(tag, value):
        name = "/".join(filter(None, (tag.path, tag.method))) or tag.kind
        calls[name, tag.leaf] += 1
        path = f"{name}#{calls[name, tag.leaf]}" if calls[name, tag.leaf] > 1 else name
        layer = network.layers.get(path + tag.leaf)
        if layer is None or layer.alias_of is not None:
            return value
        edges[layer.path] = value
        return frozenset((layer.path,))

    def run(jaxpr, given):
        known = {v: x for v, x in zip(jaxpr.invars, given, strict=True) if x is not None}
        for equation in jaxpr.eqns:
            read = [None if isinstance(v, Literal) else known.get(v) for v in equation.invars]
            tag, inner, scan = tag_of(equation), called_program(equation), scan_of(equation)
            if not any(read):
                continue
            if tag is not None:
                made = [marked(tag, read[0])]
            elif scan is not None:
                made = run(scan.body, read)  # the first iteration: its carry is what the loop starts with
            elif inner is not None:
                made = run(inner[0], read)
            else:
                made = [frozenset().union(*filter(None, read))] * len(equation.outvars)
            known.update({v: x for v, x in zip(equation.outvars, made, strict=True) if x})
        return [None if isinstance(v, Literal) else known.get(v) for v in jaxpr.outvars]

    run(closed.jaxpr, [frozenset((INPUT,)) if i >= images_from else None for i in range(len(closed.jaxpr.invars))])
    return edges
