"""The names of labels, however they are given.

names_in_order(["cat", "dog"])                        # ("cat", "dog")
names_in_order({0: "cat", 1: "dog"})                  # the same; also {"0": "cat", "1": "dog"} and {"cat": 0, "dog": 1}
"""

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from reportgen.errors import DataError


def names_in_order(classes: Sequence[Any] | Mapping[Any, Any]) -> tuple[str, ...]:
    """The name of each label, counted from 0.

    A text names each class by a character. Raises DataError for a set, which has no order, for a mapping that leaves a
    label out, and for names that repeat or are empty.
    """
    if isinstance(classes, bytes | Set) or not isinstance(classes, Iterable):
        raise DataError(f"classes must be a list of names, one for each label; got {classes!r:.80}", code="D104")
    if isinstance(classes, Mapping):
        classes = _in_order(classes)
    names = tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in classes)
    if doubled := sorted({name for name in names if names.count(name) > 1 or not name.strip()}):
        raise DataError(f"class names repeat or are empty: {doubled}; name every class differently", code="D104")
    return names


def _in_order(classes: Mapping[Any, Any]) -> list[Any]:
    """The names by their numbers, which are either the keys or the values."""
    for pairs in (classes.items(), ((number, name) for name, number in classes.items())):
        try:
            named = {int(n) if isinstance(n, str) else operator.index(n): name for n, name in pairs}
        except (TypeError, ValueError):
            continue
        if sorted(named) != list(range(len(classes))):
            raise DataError(
                f"classes name the labels {sorted(named)[:10]}; each from 0 to the largest needs one name", code="D104"
            )
        return [named[number] for number in range(len(named))]
    raise DataError(
        f"classes map no whole numbers to names: {dict(classes)!r:.80}; write {{0: NAME, 1: NAME, ...}}", code="D104"
    )
