"""The loss of examples at any parameters of a network, its batch statistics estimated anew.

measure = Loss(run, model, None, batch, variables)
measure(params)
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from reportgen.capture import Capture
from reportgen.capture.forward import forward_of
from reportgen.core.outcome import Kind, Task
from reportgen.core.run import Batch, Run
from reportgen.errors import DataError, ModelError, OptionError, reason_of
from reportgen.evaluate import Evaluator, loss_of
from reportgen.evaluate.evaluator import examples_from, size_of
from reportgen.evaluate.parts import named_leaves
from reportgen.record.batches import examples, scored
from reportgen.training import forward as training

BATCH = 100
"""Examples that batch statistics are estimated from at once."""

STATISTICS = ("batch_stats", "BatchStat")
"""Collections of running batch statistics, in Linen and in NNX."""


class Loss:
    """The mean loss of the examples, of parameters with the other variables as they were at the last snapshot.

    `name` is what the loss is called. Raises OptionError or DataError for a run of which there is none, ModelError for
    a model that can't take the examples.
    """

    def __init__(
        self, run: Run, model: Any, apply: Callable[[Any, Any, Any], Any] | None, batch: Batch, variables: Any
    ):
        self._others = {kind: tree for kind, tree in variables.items() if kind != "params"}
        forward = forward_of(model, apply)
        task = run.task if run.task is not None else Task(Kind.CLASSIFICATION)
        found = loss_of(task, run.network)
        if found is None:
            raise OptionError(
                f"there is no usual loss of the task {str(task.kind)!r}, so that none is drawn", code="C103"
            )
        if batch.targets is None and task.kind in (Kind.CLASSIFICATION, Kind.REGRESSION):
            raise DataError("the loss needs targets: give data=(inputs, targets)", code="C101")
        try:
            outputs = named_leaves(jax.eval_shape(forward.plain, variables, examples(batch.inputs, 2)))
        except Exception as problem:  # whatever the user's code and the library beneath it raise
            raise ModelError(
                f"the model can't take the examples with the run's variables: {reason_of(problem)}", code="M104"
            ) from problem
        if task.output not in outputs:
            raise OptionError(f"the model has no output {task.output!r}, which the run scores", code="C103")
        batch = scored(batch, task, outputs[task.output].shape)
        self.name, self._mean = found.name, found.mean
        self._inputs, self._targets = batch.inputs, batch.targets
        self._evaluate = Evaluator(Capture(forward, run.network, (), {}), [found.reducer])
        self._kinds = [kind for kind in self._others if kind in STATISTICS]
        if self._kinds and (apply is not None or not isinstance(model, linen.Module | nnx.Module)):
            raise OptionError(
                "the network has batch statistics, which are estimated anew at each point by a call as in training; "
                "apply= does not tell how",
                code="O103",
            )
        self._statistics = _statistics(model, self._kinds) if self._kinds else None

    @property
    def reestimates(self) -> bool:
        """Whether batch statistics are estimated for each parameters."""
        return bool(self._kinds)

    def __call__(self, params: Any) -> float:
        others = self._others
        if self._statistics is not None:
            of = size_of(self._inputs)
            size = min(BATCH, of)
            parts = [
                self._statistics(params, others, examples_from(self._inputs, at, size))
                for at in range(0, of - size + 1, size)
            ]
            others = {**others, **jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)}
        return self._mean(self._evaluate({"params": params, **others}, self._inputs, self._targets)[0])


def _statistics(model: Any, kinds: Sequence[str]) -> Callable[[Any, Any, Any], Any]:
    """The function (params, others, inputs) -> the batch's own statistics, which running averages are made of.

    A call in training changes them from s to m s + (1 - m) b, with b the batch's own: from what becomes of 0 and of 1
    b is known, whatever momentum the network has.
    """
    forward = training.forward_of(model)

    @jax.jit
    def own(params: Any, others: Any, inputs: Any) -> Any:
        running = {kind: others[kind] for kind in kinds}

        def after(value: float) -> Any:
            filled = jax.tree.map(partial(jnp.full_like, fill_value=value), running)
            changed = forward.train(params, {**others, **filled}, inputs, jax.random.key(0))[1]
            return {kind: changed[kind] for kind in kinds}

        def batch(was: Any, from_0: Any, from_1: Any) -> Any:
            share = 1 - (from_1 - from_0)
            return jnp.where(share > 0, from_0 / jnp.where(share > 0, share, 1), was)

        return jax.tree.map(batch, running, after(0.0), after(1.0))

    return own
