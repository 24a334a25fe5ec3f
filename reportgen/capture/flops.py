"""How much each layer computes: XLA's count of floating-point operations for one example.

    flops(program, layers, examples=2)      # {"conv1": 115200, ...}

Each layer's own part of the program, from the captured values that it reads, is lowered (not compiled)
and XLA's cost analysis is asked. Layers that are the same program are asked once.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import Literal

from reportgen.capture.program import Program
from reportgen.capture.table import CapturedLayer

MOST = 200
"""Layers up to which the question is worth its time (some milliseconds each)."""
_counts: dict[str, float | None] = {}
"""Program -> its operations, as long as this process lives: networks are prepared more than once."""


def flops(program: Program, layers: Sequence[CapturedLayer], examples: int) -> dict[str, int]:
    """Layer path -> operations per example; layers for which XLA gives no count are omitted."""
    distinct = [layer for layer in layers if layer.alias_of is None and not isinstance(layer.variable, Literal)]
    if len(distinct) > MOST:
        return {}
    available = {layer.variable for layer in distinct} | set(program.inputs)
    operations: dict[str, int] = {}
    for layer in distinct:
        part = program.between(layer.variable, available)
        text, function = part.compiled()
        if text not in _counts:
            costs: Any = jax.jit(function).lower(*part.shapes).cost_analysis()
            # A list of dicts on some backends, None where a backend does not say.
            costs = costs[0] if isinstance(costs, list) and costs else costs
            _counts[text] = costs.get("flops") if isinstance(costs, dict) else None
        count = _counts[text]
        if count is not None and count >= 0:
            operations[layer.path] = round(count / examples)
    return operations
