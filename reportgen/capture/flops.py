"""How much each layer computes: XLA's count of floating-point operations for one example.

    flops(program, entries, examples=2)      # {"conv1": 115200, ...}

Each layer's own part of the program, from the captured values that it reads, is lowered (not compiled)
and XLA's cost analysis is asked. Layers that are the same program are asked once.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from reportgen.capture.program import Program, between
from reportgen.capture.table import Entry

MOST = 200
"""Layers up to which the question is worth its time (some milliseconds each)."""
_told: dict[str, float | None] = {}
"""Program -> its operations, as long as this process lives: networks are prepared more than once."""


def flops(program: Program, entries: Sequence[Entry], examples: int) -> dict[str, int]:
    """Layer path -> operations per example; layers of which XLA does not tell are left out."""
    asked = [entry for entry in entries if entry.alias_of is None and not isinstance(entry.variable, Literal)]
    if len(asked) > MOST:
        return {}
    known = {entry.variable for entry in asked} | set(program.jaxpr.invars)
    found: dict[str, int] = {}
    for entry in asked:
        part = between(program.jaxpr, entry.variable, known)
        text = str(part)
        if text not in _told:
            avals: list[Any] = [v.aval for v in part.invars]
            shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
            costs: Any = jax.jit(jaxpr_as_fun(ClosedJaxpr(part, []))).lower(*shapes).cost_analysis()
            # A list of dicts on some backends, None where a backend does not say.
            costs = costs[0] if isinstance(costs, list) and costs else costs
            _told[text] = costs.get("flops") if isinstance(costs, dict) else None
        count = _told[text]
        if count is not None and count >= 0:
            found[entry.path] = round(count / examples)
    return found
