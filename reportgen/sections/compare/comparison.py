"""What every section of a comparison is given: the runs of the two sides, and the analyses of both.

comparison = Comparison((run_a,), (run_b,), "pca")
comparison.paired.fixed, comparison.layers["conv1"].cka, comparison.measures["val_accuracy"]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reportgen.analysis.checkup import final_health
from reportgen.analysis.embedding import Embedding, embed
from reportgen.analysis.numerics import as_float64
from reportgen.analysis.origins import Origins, finite, origins
from reportgen.analysis.paired import Paired, PairedScores, Seeds, paired, paired_scores, seeds
from reportgen.analysis.scores import by_example
from reportgen.analysis.similarity import Similarity, similarity, turned
from reportgen.core.examples import common, fingerprints_of
from reportgen.core.outcome import Classification, Dense, MultiLabel
from reportgen.core.run import LayerVectors, Observation, Run
from reportgen.errors import DataError, ReportgenError
from reportgen.sections.measures import scored_on
from reportgen.sections.words import listed

SIDES = ("base", "new")

NOT_METRICS = ("parameters", "steps", "epochs", "seconds")
"""Measures that say nothing of how well a network does."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The examples at `here` in base and `there` in new, compared by `metric`; `better` is 1 or -1 (`by_example`)."""

    metric: str
    better: int
    here: np.ndarray
    there: np.ndarray
    result: PairedScores


class Comparison:
    """Runs of two configurations, one or more of each; where two networks are looked into, the first of each side.

    `reasons` collects what can't be compared, a sentence each, as the analyses come upon it.
    """

    def __init__(self, base: tuple[Run, ...], new: tuple[Run, ...], embedding: Literal["umap", "pca"]):
        self.sides = base, new
        self.base, self.new = base[0], new[0]
        self.embedding_method = embedding
        self.reasons: dict[str, None] = {}

    @property
    def has_seeds(self) -> bool:
        """Whether there are several runs on a side."""
        return max(len(side) for side in self.sides) > 1

    @cached_property
    def origins(self) -> Origins:
        """What was different on the way in, between the first run of each side."""
        return origins(self.base, self.new)

    @cached_property
    def observations(self) -> tuple[Observation | None, Observation | None]:
        """What each network responded when it was last observed."""
        return last_observation(self.base), last_observation(self.new)

    @cached_property
    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the evaluation examples that both have, in each; empty where they can't be told."""
        known = [fingerprints_of(run.batch("evaluation")) for run in (self.base, self.new)]
        sizes = [run.batch("evaluation").size for run in (self.base, self.new)]
        if not all(sizes):
            self.lacks("No evaluation examples", "were recorded in both runs")
        elif known[0] is None or known[1] is None:
            self.lacks(
                "Answers and layers were not compared example by example: a run has neither all evaluation inputs nor "
                "fingerprints of them (Keep(compare=False), or a run of an earlier version)"
            )
        else:
            here, there = common(known[0], known[1])
            if not len(here) and self._only_prepared_differently:
                self.lacks(
                    "The evaluation inputs are prepared differently in the two runs: examples were paired by their "
                    "places in the batch"
                )
                return np.arange(sizes[0]), np.arange(sizes[0])
            if not len(here):
                self.lacks(
                    "Answers and layers were not compared example by example: the two runs have no evaluation "
                    "example in common, by the fingerprints of their inputs"
                )
            elif len(here) < max(sizes):
                self.lacks(
                    f"Only {len(here):,} evaluation examples are in both runs, of {sizes[0]:,} in base and "
                    f"{sizes[1]:,} in new: all that is said of examples is of these"
                )
            return here, there
        return np.zeros(0, np.int64), np.zeros(0, np.int64)

    @property
    def _only_prepared_differently(self) -> bool:
        """Whether the evaluation inputs of new are those of base on another scale, in the same order."""
        change = self.origins.examples["evaluation"]
        first, second = (run.batch("evaluation").targets for run in (self.base, self.new))
        if change.rescaled is None or change.sizes[0] != change.sizes[1]:
            return False
        if first is None or second is None:
            return first is second
        return np.array_equal(np.asarray(first), np.asarray(second))

    @cached_property
    def other_tasks(self) -> tuple[str, str] | None:
        """What base and new are scored on, in words; None where both are scored on the same."""
        outcomes = [None if seen is None else seen.outcome for seen in self.observations]
        if type(outcomes[0]) is type(outcomes[1]):
            return None
        base, new = map(scored_on, (self.base, self.new), outcomes)
        return base, new

    @cached_property
    def predictions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """(label, prediction of base, prediction of new) of each common example; None where there are none."""
        here, there = self.examples
        outcomes = [None if o is None else o.outcome for o in self.observations]
        first, second = outcomes
        if not isinstance(first, Classification) or not isinstance(second, Classification):
            if self.other_tasks is not None:
                base, new = self.other_tasks
                self.lacks(f"Answers were not compared: base is scored on {base}, new on {new}")
            elif first is None:
                self.lacks("Answers were not compared: nothing is scored in either run")
            return None
        if self.base.classes != self.new.classes:
            self.lacks("Predictions were not compared: the two runs do not have the same classes")
            return None
        if not len(here) or not len(first.predictions) or not len(second.predictions):
            return None
        labels = self.base.batch("evaluation").labels[here], self.new.batch("evaluation").labels[there]
        same = labels[0] == labels[1]
        if not same.all():
            self.lacks(
                f"{int((~same).sum()):,} evaluation examples have another label in new than in base: their answers "
                f"were not "
                "compared"
            )
        if not same.any():
            return None
        return labels[0][same], first.predictions[here][same], second.predictions[there][same]

    @cached_property
    def compared_examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in base and in new of the examples of `predictions`."""
        here, there = self.examples
        same = self.base.batch("evaluation").labels[here] == self.new.batch("evaluation").labels[there]
        return here[same], there[same]

    @cached_property
    def paired(self) -> Paired | None:
        """The two networks on the same examples; None where their predictions can't be compared."""
        if self.predictions is None:
            return None
        labels, first, second = self.predictions
        return paired(first == labels, second == labels)

    @cached_property
    def scored(self) -> Scored | None:
        """The two networks on the same examples by what each adds to the task's metric; None for classes, which are
        right or wrong, and where examples or targets can't be compared."""
        here, there = self.examples
        first, second = (None if o is None else o.outcome for o in self.observations)
        if first is None or second is None or type(first) is not type(second) or isinstance(first, Classification):
            return None
        if isinstance(first, Dense | MultiLabel) and self.base.classes != self.new.classes:
            self.lacks("Answers were not compared: the two runs do not have the same classes")
            return None
        targets, others = (run.batch("evaluation").targets for run in (self.base, self.new))
        before, after = by_example(first, targets), by_example(second, others)
        if before is None or after is None or not len(here):
            return None
        kept = (here < len(before.sums)) & (there < len(after.sums))
        kept[kept] = _equal_targets(targets, others, here[kept], there[kept])
        if not kept.all():
            self.lacks(
                f"{int((~kept).sum()):,} evaluation examples have other targets in new than in base, or no score of "
                "their own: their answers were not compared"
            )
        here, there = here[kept], there[kept]
        sides = (before.sums[here], before.counts[here]), (after.sums[there], after.counts[there])
        result = paired_scores(*sides)
        return None if result is None else Scored(before.metric, before.better, here, there, result)

    @cached_property
    def measures(self) -> Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]:
        """Name -> its values in the runs of base, and of new: final metrics, dead channels, parameters, steps."""
        every = [[measures_of(run) for run in side] for side in self.sides]
        names = dict.fromkeys(name for side in every for run in side for name in run)
        return {
            name: (
                tuple(run[name] for run in every[0] if name in run),
                tuple(run[name] for run in every[1] if name in run),
            )
            for name in names
        }

    @cached_property
    def seeds(self) -> Mapping[str, Seeds]:
        """The metrics of all runs, where each has a finite value."""
        whole = {
            name: values
            for name, values in self.measures.items()
            if name not in NOT_METRICS
            and [len(side) for side in values] == [len(side) for side in self.sides]
            and all(finite(value) for side in values for value in side)
        }
        return {name: seeds(*values) for name, values in whole.items()}

    @cached_property
    def vectors(self) -> tuple[LayerVectors, LayerVectors, np.ndarray, np.ndarray] | None:
        """(of base, of new, rows of the one, rows of the other) for the examples that both kept layer vectors of."""
        found = [None if o is None else o.layer_vectors for o in self.observations]
        first, second = found
        if first is None or second is None:
            which = " and ".join(side for side, one in zip(SIDES, found, strict=True) if one is None)
            self.lacks(
                f"Layers were not compared: {which} has no layer vectors (Keep(compare=False), a run of an earlier "
                f"version, or "
                "one too small to have room for them)"
            )
            return None
        here, there = self.examples
        place = dict(zip(here.tolist(), there.tolist(), strict=True))
        row = {example: number for number, example in enumerate(second.examples.tolist())}
        pairs = [
            (number, row[place[example]])
            for number, example in enumerate(first.examples.tolist())
            if place.get(example) in row
        ]
        rows, others = np.array(pairs, np.int64).reshape(-1, 2).T
        return first, second, rows, others

    @cached_property
    def layers(self) -> Mapping[str, Similarity]:
        """Layer path -> how alike it is in both networks, in base's call order."""
        if self.vectors is None:
            return {}
        first, second, rows, others = self.vectors
        found, failed = {}, {}
        for path in self.base.network.layers:
            if path in first.vectors and path in second.vectors:
                try:
                    found[path] = similarity(first.vectors[path][rows], second.vectors[path][others])
                except DataError as error:
                    failed[path] = str(error)
        alone = [path for path in first.vectors if path not in second.vectors]
        alone += [path for path in second.vectors if path not in first.vectors]
        if alone:
            self.lacks(f"Layers that only one of the networks has were not compared: {listed(alone, 3)}")
        for reason in dict.fromkeys(failed.values()):
            self.lacks(f"{listed([p for p in failed if failed[p] == reason], 3)}: {reason.rstrip('.')}")
        return found

    @cached_property
    def between_seeds(self) -> Mapping[str, float]:
        """Layer path -> CKA between the first two runs of base: what another seed alone gives."""
        if len(self.sides[0]) < 2:
            return {}
        other = Comparison((self.base,), (self.sides[0][1],), self.embedding_method)
        return {path: layer.cka for path, layer in other.layers.items() if layer.cka is not None}

    @cached_property
    def embedding(self) -> tuple[Embedding, np.ndarray] | str:
        """(base's embedding and new's, laid out from it, the labels of its points); a sentence where there is none."""
        found = [{} if o is None else o.vectors for o in self.observations]
        if "evaluation" not in found[0] or "evaluation" not in found[1]:
            return "Embeddings were not compared: a run has no vectors of its evaluation examples"
        first, second = found[0]["evaluation"], found[1]["evaluation"]
        here, there = self.examples
        kept = (here < len(first)) & (there < len(second))
        here, there = here[kept], there[kept]
        kept = np.isfinite(first[here]).all(axis=1) & np.isfinite(second[there]).all(axis=1)
        here, there = here[kept], there[kept]
        width = max(first.shape[1], second.shape[1])
        # Columns of zeros change no distance.
        frames = [np.pad(v, ((0, 0), (0, width - v.shape[1]))) for v in (first[here], second[there])]
        if self.embedding_method == "pca" and len(here):
            # One plane for both needs one set of directions; UMAP begins at base's layout instead.
            frames[1] = turned(as_float64(frames[1], "the vectors"), as_float64(frames[0], "the vectors"))
        labels = self.base.batch("evaluation").labels
        labels = labels[here] if len(labels) else labels
        try:
            return embed(frames, labels, self.embedding_method), here
        except ReportgenError as error:
            return f"Embeddings were not compared: {error}"

    def lacks(self, *words: str) -> None:
        """Note what can't be compared, and why."""
        self.reasons[" ".join(words).rstrip(".") + "."] = None


BLOCK = 1000
"""Targets that are read at once."""


def _equal_targets(first: Any, second: Any, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """[pair] bool: whether both have the same target, as far as they are recorded."""
    same = np.ones(len(here), bool)
    if first is None or second is None or first.shape[1:] != second.shape[1:]:
        return same
    known = np.flatnonzero((here < len(first)) & (there < len(second)))
    for start in range(0, len(known), BLOCK):
        chosen = known[start : start + BLOCK]
        pair = (np.asarray(targets[at[chosen]]) for targets, at in ((first, here), (second, there)))
        a, b = (values.reshape(len(chosen), -1) for values in pair)
        same[chosen] = ((a == b) | ((a != a) & (b != b))).all(axis=1)
    return same


def last_observation(run: Run) -> Observation | None:
    """The observation recorded last, None for a run without any."""
    steps = list(run.observations)
    return run.observations[steps[-1]] if steps else None


def measures_of(run: Run) -> dict[str, float]:
    """The numbers of one run that can be compared: its metrics at the end, and what its network has."""
    last: dict[str, Any] = {}
    for row in (*run.steps[-1:], *run.epochs[-1:]):
        last |= row
    steps, epochs = max(run.snapshots), last.get("epoch", 0)
    metrics = {name: float(value) for name, value in last.items() if name not in ("step", "epoch")}
    observation = last_observation(run)
    dead = {} if observation is None else {"dead_channels": float(sum(len(h.dead) for h in final_health(run)))}
    sizes = {"parameters": float(sum(layer.parameters for layer in run.network.layers.values()))}
    seconds = run.provenance.get("seconds")
    duration = {"seconds": float(seconds)} if isinstance(seconds, int | float) else {}
    return {**metrics, **dead, **sizes, "steps": float(steps), "epochs": float(epochs), **duration}
