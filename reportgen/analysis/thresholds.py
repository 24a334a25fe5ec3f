"""Conditions on two runs' numbers, such as `val_accuracy < base - 0.01`, without evaluating any code.

    condition = parse("val_accuracy < base - 0.01")
    condition.holds({"val_accuracy": 0.96}, {"val_accuracy": 0.98})        # (new, base) -> True

Grammar: two sums joined by one of < <= > >= == !=; sums of numbers, names, + - * / and brackets. A name is that number
of new; `base` is the same number of base where the condition names one number, and `base.NAME` a chosen one. A name
with other characters than letters, digits and _ stands in quotes: `'val/acc' < base`.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from reportgen.errors import OptionError, choices

LONGEST = 200

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_Value = Callable[[Mapping[str, float], Mapping[str, float]], float]


@dataclass(frozen=True)
class Condition:
    """A parsed condition; `holds(new, base)` with the numbers of both by name.

    It raises OptionError for a number that there is not, or that is not finite: a threshold that can't be checked is
    not one that was kept.
    """

    text: str
    holds: Callable[[Mapping[str, float], Mapping[str, float]], bool]


def parse(text: str) -> Condition:
    """The condition. Raises OptionError, with what can be written, for anything else."""
    try:
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        # Only the syntax tree is taken from Python; no node but those below is looked at.
        tree = ast.parse(text.strip(), mode="eval").body
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
            raise ValueError("it is not one comparison")
        names = sorted(_names(tree))
        compare = _COMPARISONS[type(tree.ops[0])]
        left, right = _value(tree.left, names), _value(tree.comparators[0], names)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise OptionError(
            f"{text[:LONGEST]!r} is not a condition: {why}. Write one such as 'val_accuracy < base - 0.01': numbers, "
            f"names, "
            "base, + - * / and one of < <= > >= == !=",
            code="O107",
        ) from error
    return Condition(text, lambda new, base: compare(left(new, base), right(new, base)))


def _names(tree: ast.AST) -> set[str]:
    """The numbers that a condition names, of either side."""
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return (found | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}) - {"base"}


def _value(node: ast.AST, names: list[str]) -> _Value:
    match node:
        case ast.Constant(value=bool()):
            raise ValueError("True and False are not numbers")
        case ast.Constant(value=int() | float() as number):
            return lambda new, base: float(number)
        case ast.Constant(value=str() as name):
            return lambda new, base: _known(name, new, "new")
        case ast.Name(id="base"):
            if len(names) != 1:
                raise ValueError("base alone needs one number to be named; write base.NAME")
            return lambda new, base: _known(names[0], base, "base")
        case ast.Name(id=name):
            return lambda new, base: _known(name, new, "new")
        case ast.Attribute(value=ast.Name(id="base"), attr=name):
            return lambda new, base: _known(name, base, "base")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _value(operand, names)
            return lambda new, base: -value(new, base)
        case ast.BinOp(op=op) if type(op) in _OPERATIONS:
            operate = _OPERATIONS[type(op)]
            left, right = _value(node.left, names), _value(node.right, names)
            return lambda new, base: _operated(operate, left(new, base), right(new, base))
    raise ValueError(f"{ast.unparse(node)[:60]} can't stand in one")


def _operated(operate: Callable[[float, float], float], left: float, right: float) -> float:
    try:
        return operate(left, right)
    except (ZeroDivisionError, OverflowError) as error:
        raise OptionError(f"a condition can't be checked: {error}", code="O107") from error


def _known(name: str, values: Mapping[str, Any], side: str) -> float:
    if name not in values:
        raise OptionError(f"{side} has no number {name!r}; {choices(name, sorted(values))}", code="O107")
    value = float(values[name])
    if not isfinite(value):
        raise OptionError(f"{name} of {side} is not finite, so that no condition on it can be checked", code="O107")
    return value
