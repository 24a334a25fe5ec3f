"""What a series of checkpoints gives reason to doubt: a sentence each, for the top of the page.

    line = timeline([1, 2, 3], [100, 200, 300])       # named by epochs: steps 100, 200, 300
    said = account(facts)

Checkpoints are not always what their names say: copies of the last, steps exchanged, statistics never updated.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from reportgen.weights.tree import flatten

MOST_NAMED = 8
"""Steps that a sentence names one by one."""

SKETCH = 4096
"""Numbers that stand for a checkpoint's parameters when distances are compared."""

BLOCK = 1 << 20
"""Values that are sketched at once."""

SHORTER = 0.8
"""The path through the weights is taken to double back where exchanging two steps makes its part this much shorter."""


@dataclass(frozen=True)
class Facts:
    """What is known of one checkpoint.

    `step` and `name` it goes by; `saved` the step that was saved in it, `written` when, in seconds since 1970, `dtypes`
    those of its arrays in the file. `params` and `others` are digests of its values, `sketch` [4096] keeps distances.
    """

    step: int
    name: str
    saved: int | None = None
    written: float | None = None
    dtypes: Mapping[str, str] | None = None
    params: str = ""
    others: str = ""
    sketch: np.ndarray | None = None


@dataclass(frozen=True)
class Timeline:
    """The steps of checkpoints in the order given, their epochs where the names count those, and what to say."""

    steps: tuple[int, ...]
    epochs: tuple[int, ...] | None = None
    said: tuple[str, ...] = ()


def timeline(named: Sequence[int], saved: Sequence[int | None]) -> Timeline:
    """Which steps checkpoints are of, whose names and whose contents say so.

    Where the steps saved inside are a fixed multiple of the names, the names count epochs. Where both hold the same
    steps in another order, what was saved with the weights is believed.
    """
    steps = tuple(named)
    inside = [step for step in saved if step is not None]
    if len(inside) < len(steps) or inside == list(steps):
        return Timeline(steps)
    if len(inside) > 1 and len(set(inside)) == 1:
        return Timeline(
            steps, None, (f"All checkpoints say that they are of step {inside[0]}: their names are believed.",)
        )
    if all(a < b for a, b in pairwise(inside)):
        per_epoch = inside[-1] // max(steps[-1], 1)
        counts_epochs = per_epoch > 1 and inside == [per_epoch * name for name in steps]
        return Timeline(tuple(inside), steps) if counts_epochs else Timeline(steps)
    differ = [(a, b) for a, b in zip(steps, inside, strict=True) if a != b]
    listed = ", ".join(f"the one named {a} says that it is of step {b}" for a, b in differ[:MOST_NAMED])
    if sorted(inside) == list(steps):
        return Timeline(
            tuple(inside), None, (f"Checkpoints are exchanged: {listed}. They stand here by the step saved inside.",)
        )
    return Timeline(
        steps, None, (f"Names and contents of checkpoints differ: {listed}. They stand here by their names.",)
    )


def with_values(facts: Facts, variables: Mapping[str, Mapping[str, np.ndarray]]) -> Facts:
    """The facts with the digests and the sketch of the values: collection -> name -> array."""
    others = {f"{kind}/{name}": x for kind, tree in variables.items() if kind != "params" for name, x in tree.items()}
    params = variables["params"]
    return replace(facts, params=_digest(params), others=_digest(others) if others else "", sketch=_sketch(params))


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _sketch(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Sums of values with random signs (Charikar, Chen, Farach-Colton 2002), each value in the column of its index:
    distances between two sketches are nearly those of the parameters."""
    total = np.zeros(SKETCH)
    for number, name in enumerate(sorted(arrays)):
        rng, flat = np.random.default_rng(number), arrays[name].reshape(-1)
        for start in range(0, flat.size, BLOCK):
            values = np.asarray(flat[start : start + BLOCK], np.float32)
            bits = np.frombuffer(rng.bytes(-(-values.size // 8)), np.uint8)
            signed = np.zeros(-(-values.size // SKETCH) * SKETCH, np.float32)
            np.multiply(values, np.unpackbits(bits, count=values.size) * np.float32(2) - 1, out=signed[: values.size])
            total += signed.reshape(-1, SKETCH).sum(axis=0, dtype=np.float64)
    return total


def account(facts: Sequence[Facts], *, regular: bool = True) -> tuple[str, ...]:
    """What there is to say of checkpoints in the order of their steps; `regular` asks for steps that are missing."""
    return (
        *_same(facts),
        *_order(facts),
        *_doubling_back(facts),
        *(_missing([each.step for each in facts]) if regular else ()),
        *_dtypes(facts),
        *_still(facts),
    )


def _same(facts: Sequence[Facts]) -> list[str]:
    groups: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(facts):
        groups[each.params].append(place)
    said = []
    for places in groups.values():
        if len(places) < 2:
            continue
        steps = [facts[place].step for place in places]
        if len(places) == len(facts):
            said.append(f"All {len(facts)} checkpoints hold the same weights: nothing was trained between them.")
        elif len(places) > 2 and places[-1] - places[0] == len(places) - 1:
            said.append(
                f"The weights stand still from step {steps[0]} to step {steps[-1]}: the {len(places)} checkpoints "
                "there are the same."
            )
        else:
            said.append(f"The same weights stand at {_listed(steps)}: one of them is a copy of the other.")
    return said


def _order(facts: Sequence[Facts]) -> list[str]:
    early = [
        (a.step, b.step)
        for a, b in pairwise(facts)
        if a.written is not None and b.written is not None and b.written < a.written
    ]
    if not early:
        return []
    listed = ", ".join(f"step {b} before step {a}" for a, b in early[:MOST_NAMED])
    return [f"Steps are not in the order of time: by the times of their files, {listed} was written."]


def _doubling_back(facts: Sequence[Facts]) -> list[str]:
    """Two steps that the path through the weights passes in the opposite order."""
    sketches = [each.sketch for each in facts]
    if len(facts) < 4 or any(sketch is None for sketch in sketches):
        return []
    points = np.stack([np.asarray(sketch) for sketch in sketches])
    squares = (points**2).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0))
    best = (SHORTER, -1, -1)
    count = len(facts)
    for i in range(1, count - 1):
        for j in range(i + 1, count - 1):
            order = list(range(count))
            order[i], order[j] = order[j], order[i]
            edges = sorted({i - 1, i, j - 1, j})
            before = sum(apart[k, k + 1] for k in edges)
            after = sum(apart[order[k], order[k + 1]] for k in edges)
            if before and after / before < best[0]:
                best = (after / before, i, j)
    if best[1] < 0:
        return []
    one, other = facts[best[1]].step, facts[best[2]].step
    return [
        f"Steps {one} and {other} may be exchanged: the path through the weights is shorter when they change places, "
        f"by {1 - best[0]:.0%} around them."
    ]


def _missing(steps: Sequence[int]) -> list[str]:
    gaps = [b - a for a, b in pairwise(steps)]
    if len(gaps) < 3:
        return []
    usual, count = Counter(gaps).most_common(1)[0]
    odd = [gap for gap in gaps if gap != usual]
    if not odd or count < 0.6 * len(gaps) or not usual:
        return []
    expected = [step for a, b in pairwise(steps) if (b - a) % usual == 0 for step in range(a + usual, b, usual)]
    are = "is" if len(expected) == 1 else "are"
    return (
        [f"Of a series with a checkpoint every {usual} steps, {_listed(expected)} {are} missing."] if expected else []
    )


def _dtypes(facts: Sequence[Facts]) -> list[str]:
    said = []
    known = [each for each in facts if each.dtypes is not None]
    for before, after in pairwise(known):
        assert before.dtypes is not None and after.dtypes is not None
        changed = {(before.dtypes.get(n), dtype) for n, dtype in after.dtypes.items() if before.dtypes.get(n) != dtype}
        if changed:
            listed = ", ".join(f"{old} became {new}" for old, new in sorted(changed, key=str))
            said.append(f"The dtype of stored weights changes at step {after.step}: {listed}.")
    return said[:MOST_NAMED]


def _still(facts: Sequence[Facts]) -> list[str]:
    others, params = {each.others for each in facts}, {each.params for each in facts}
    if len(others) == 1 and len(params) > 1 and others != {""}:
        return [
            f"The batch statistics are the same at all {len(facts)} checkpoints, while the weights change: they were "
            "not updated, or not saved."
        ]
    return []


def _listed(steps: Sequence[int]) -> str:
    named = [str(step) for step in steps[:MOST_NAMED]]
    more = f" and {len(steps) - MOST_NAMED} more" if len(steps) > MOST_NAMED else ""
    if len(steps) == 1:
        return f"step {named[0]}"
    return f"steps {', '.join(named)}{more}" if more else f"steps {', '.join(named[:-1])} and {named[-1]}"


def saved_step(tree: Mapping[Any, Any]) -> int | None:
    """The number of updates that was saved in a checkpoint: a TrainState's step, else its optimizer's count."""
    numbers: dict[str, list[tuple[int, Any]]] = {"step": [], "count": []}
    for path, leaf in flatten(tree).items():
        parts = [str(part) for part in path if part != "value"]
        if parts and parts[-1] in numbers and np.shape(leaf) == () and np.dtype(leaf.dtype).kind in "iu":
            numbers[parts[-1]].append((len(parts), leaf))
    for found in numbers.values():
        depth = min((depth for depth, _ in found), default=0)
        values = {int(np.asarray(leaf)) for at, leaf in found if at == depth}
        if len(values) == 1:
            return values.pop()
    return None
