"""The checkpoints that are replayed: what is known of each before its arrays are read, and how they fit the model.

reader = Reader(model, expected=initial_variables(model, inputs), skip_bad=False)
for entry in reader.survey(Checkpoint("checkpoints/"), steps=None):
    variables = reader.variables(entry, thread, following=None)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from reportgen.capture import variables_of
from reportgen.core.arguments import count
from reportgen.errors import OptionError, WeightsError, expect
from reportgen.training.account import Facts, saved_step, timeline
from reportgen.weights import Match, match
from reportgen.weights.checkpoint import Checkpoint
from reportgen.weights.series import Found, chosen_steps, find_series
from reportgen.weights.tree import Stored, Tree, flatten, split_name

HELD = 2_000
"""Arrays that were found while checkpoints were looked at, and need not be found again: each takes some 14 KB."""

AHEAD_BYTES = 32 << 20
"""Bytes of a checkpoint that is read while the one before it is evaluated, at most."""


@dataclass(frozen=True)
class Entry:
    """A checkpoint of the series: what is known of it, its epoch in the run, and how it is opened: for its variables,
    or for a `Match` of what they are read from."""

    facts: Facts
    epoch: int
    open: Callable[[], Any]


class Reader:
    """Reads checkpoints into variables of one model.

    `said` is what there is to say of those that were passed over, or whose names are not believed; `count` how many
    there are, None where that is not known; `regular` whether a missing step would be one; `epochs_known` whether the
    checkpoints' names count epochs.
    """

    def __init__(self, model: Any, expected: Mapping[str, Any] | None, skip_bad: bool):
        self.said: list[str] = []
        self.count: int | None = None
        self.regular = True
        self.epochs_known = False
        self._model, self._expected, self._skip_bad = model, expected, skip_bad
        self._how = Checkpoint("")
        self._begun: dict[int, Future[Tree]] = {}

    def survey(self, how: Checkpoint, steps: str | None) -> list[Entry]:
        """The checkpoints of a folder, each opened once to see that it fits.

        Raises WeightsError where one does not, or none does, and OptionError for steps that are not there.
        """
        self._how = how
        series = find_series(how.path)
        self.said += [f"Passed over: {text}." for text in series.passed_over]
        existing = list(series.found)
        chosen = existing if steps is None else chosen_steps(steps, existing)
        self.regular, self.count = steps is None, len(chosen)
        fitting: list[tuple[Facts, Callable[[], Any]]] = []
        held = 0
        for step in chosen:
            found = series.found[step]
            try:
                tree = found.open()
                matched = self._match(tree, str(found.path))
            except WeightsError as problem:
                self.skip(found.path.name, problem)
                continue
            facts = Facts(step, found.path.name, saved_step(tree), found.written, matched.dtypes)
            kept = []
            unread = all(isinstance(leaf, Stored) for leaf in flatten(tree).values())
            if unread and held + len(matched.leaves) <= HELD:
                held += len(matched.leaves)
                kept = [matched]
            fitting.append((facts, partial(self._matched, found, kept)))
        if not fitting:
            raise WeightsError(f"{series.name}: no checkpoint fits the model ({'; '.join(self.said[:3])})", code="W105")
        line = timeline([facts.step for facts, _ in fitting], [facts.saved for facts, _ in fitting])
        self.said += line.said
        self.epochs_known, self.count = line.epochs is not None, len(fitting)
        placed = sorted(zip(line.steps, fitting, strict=True), key=lambda each: each[0])
        first = 0 if placed[0][0] == 0 else 1
        epochs = line.epochs or range(first, first + len(placed))
        return [
            Entry(replace(facts, step=step), epoch, load)
            for epoch, (step, (facts, load)) in zip(epochs, placed, strict=True)
        ]

    def given(self, checkpoints: Iterable[tuple[int, Any]]) -> Iterator[Entry]:
        """The checkpoints that the user hands over, in their order. Raises OptionError for any other."""
        last, first = -1, None
        words = "a folder, a Checkpoint(...), or pairs (step, variables)"
        expect("checkpoints", checkpoints, Iterable, words)
        for number, pair in enumerate(checkpoints):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise OptionError(f"checkpoints must be {words}; the one at {number} is {pair!r:.80}", code="O101")
            step, variables = count("the step of a checkpoint", pair[0]), pair[1]
            if step <= last:
                raise OptionError(
                    f"step {step} comes after step {last}; hand checkpoints over in the order of their steps",
                    code="C108",
                )
            first = (0 if step == 0 else 1) if first is None else first
            last = step
            yield Entry(Facts(step, f"step {step}"), first + number, partial(_handed, variables))

    def variables(self, entry: Entry, thread: Executor, following: Entry | None) -> dict[str, Any]:
        """The checkpoint's variables on the device, checked against the model. Raises WeightsError.

        While these are evaluated, `thread` reads the `following` checkpoint of a folder, unless it is large: no more
        than one of those is held.
        """
        begun = self._begun.pop(entry.facts.step, None)
        tree = self._read(entry) if begun is None else begun.result()
        if following is not None and sum(array.nbytes for array in jax.tree.leaves(tree)) <= AHEAD_BYTES:
            self._begun[following.facts.step] = thread.submit(self._read, following)
        return dict(jax.tree.map(jnp.asarray, tree))

    def _matched(self, found: Found, kept: list[Match]) -> Match:
        """What was found of a checkpoint, which is handed over once: nobody holds it afterwards."""
        return kept.pop() if kept else self._match(found.open(), str(found.path))

    def _read(self, entry: Entry) -> Tree:
        tree = entry.open()
        if isinstance(tree, Match):
            return tree.read()
        if not isinstance(tree, Mapping):  # a TrainState, an NNX state, a pytree of a plain function
            tree = variables_of(self._model, tree)
        return self._match(tree, entry.facts.name).read()

    def skip(self, name: str, problem: WeightsError) -> None:
        """Note that a checkpoint is passed over, if the user lets it be; else raise the problem."""
        if not self._skip_bad:
            hint = "\nTo pass over such checkpoints: --skip-bad (skip_bad=True)" if self.count != 1 else ""
            raise WeightsError(f"{problem}{hint}", code=problem.code) from problem
        first = str(problem).partition("\n")[0]
        self.said.append(f"Passed over: {name} ({first}).")

    def _match(self, tree: Mapping[str, Any], source: str) -> Match:
        how = self._how
        if self._expected is None:  # the model does not tell: all are as the first
            self._expected = _branch(tree, how.key)
        named = {"layout": how.layout, "framework": how.framework, "source": source}
        return match(tree, self._expected, rename=how.rename, key=how.key, **named)


def _handed(variables: Any) -> Any:
    return variables


def _branch(tree: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """The variables of a checkpoint of which nothing is known: its parameters with their statistics, or all of it."""
    for part in split_name(key) if key else ():
        tree = tree.get(part, {})
        if not isinstance(tree, Mapping):
            break
    if not isinstance(tree, Mapping) or not tree:
        raise WeightsError(f"no tree {key} in it", code="W104")
    if "params" not in tree:
        return {"params": tree}
    return {kind: tree[kind] for kind in ("params", "batch_stats") if kind in tree}
