"""A small training on scikit-learn's digits with a knob for everything that can be planted in it.

run = train(path, seed=1, learning_rate=0.1)
"""

from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from reportgen.core.run import Run
from reportgen.record import Recorder
from reportgen.store import open_run

TRAIN, BATCH = 600, 60


@dataclass(frozen=True)
class Plan:
    """One training. What a user would write into a configuration stands first, accidents below."""

    seed: int = 0
    learning_rate: float = 0.01
    optimizer: str = "adam"
    weight_decay: float = 0.0
    dropout: float = 0.1
    width: int = 16
    kernel: int = 3
    activation: str = "relu"
    epochs: int = 4
    precision: str = "float32"

    order: int = 0
    reinitialised: bool = False
    relabelled: bool = False
    class_missing: bool = False
    label_noise: bool = False
    rescaled: bool = False
    poisoned: bool = False
    frozen: bool = False
    statistics_kept: bool = False
    permuted: bool = False


ACCIDENTS = tuple(name for name in vars(Plan()) if name == "order" or isinstance(getattr(Plan(), name), bool))


class Net(nn.Module):
    width: int
    kernel: int
    activation: str
    dropout: float
    precision: str

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        kind = {"dtype": self.precision, "param_dtype": self.precision}
        act = getattr(nn, self.activation)
        x = nn.Conv(8, (self.kernel, self.kernel), name="conv", **kind)(x)
        x = act(nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm", **kind)(x))
        x = nn.max_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
        x = act(nn.Dense(self.width, name="hidden", **kind)(x))
        if self.dropout:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(10, name="output", **kind)(x)


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32), labels.astype(np.int64)


@cache
def compiled(model: Net, optimizer: str, learning_rate: float, weight_decay: float, frozen: bool) -> Any:
    transform = {"adam": optax.adamw(learning_rate, weight_decay=weight_decay), "sgd": optax.sgd(learning_rate)}[
        optimizer
    ]

    def loss_of(params: Any, stats: Any, key: Any, images: Any, labels: Any) -> Any:
        variables = {"params": params, "batch_stats": stats}
        scores, changed = model.apply(variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(scores.astype(jnp.float32), labels).mean()
        return loss, changed["batch_stats"]

    @jax.jit
    def step(params: Any, stats: Any, state: Any, key: Any, images: Any, labels: Any) -> Any:
        (loss, stats), gradient = jax.value_and_grad(loss_of, has_aux=True)(params, stats, key, images, labels)
        updates, state = transform.update(gradient, state, params)
        if frozen:
            updates = {**updates, "hidden": jax.tree.map(jnp.zeros_like, updates["hidden"])}
        return optax.apply_updates(params, updates), stats, state, loss

    return transform, step


def permuted(variables: Any) -> Any:
    """The same network with its channels and hidden units in another order."""
    rng = np.random.default_rng(0)
    channels, units = rng.permutation(8), rng.permutation(16)
    p = jax.tree.map(np.asarray, variables["params"])
    rows = p["hidden"]["kernel"].reshape(-1, 8, 16)[:, channels].reshape(-1, 16)
    by_channel = lambda tree: {name: value[channels] for name, value in tree.items()}  # noqa: E731
    params = {
        "conv": {"kernel": p["conv"]["kernel"][..., channels], "bias": p["conv"]["bias"][channels]},
        "norm": by_channel(p["norm"]),
        "hidden": {"kernel": rows[:, units], "bias": p["hidden"]["bias"][units]},
        "output": {"kernel": p["output"]["kernel"][units], "bias": p["output"]["bias"]},
    }
    stats = {"norm": by_channel(jax.tree.map(np.asarray, variables["batch_stats"]["norm"]))}
    return {"params": params, "batch_stats": stats}


def train(path: Path, plan: Plan | None = None, **planted: Any) -> Run:
    plan = replace(plan or Plan(), **planted)
    images, labels = digits()
    rng = np.random.default_rng(5)
    if plan.rescaled:
        images = (images - 0.5) / 0.25
    seen, truth = images[:TRAIN], labels[:TRAIN].copy()
    if plan.relabelled:
        truth[truth == 3] = 5
    if plan.label_noise:
        noisy = rng.random(TRAIN) < 0.3
        truth[noisy] = rng.integers(0, 10, noisy.sum())
    if plan.class_missing:
        seen, truth = seen[truth != 3], truth[truth != 3]
    model = Net(plan.width, plan.kernel, plan.activation, plan.dropout, plan.precision)
    variables = model.init(jax.random.key(plan.seed), images[:1])
    if plan.reinitialised:
        other = model.init(jax.random.key(77), images[:1])["params"]["hidden"]
        variables = {**variables, "params": {**variables["params"], "hidden": other}}
    transform, step = compiled(model, plan.optimizer, plan.learning_rate, plan.weight_decay, plan.frozen)
    params, stats = variables["params"], variables["batch_stats"]
    state, count = transform.init(params), 0
    config = {name: value for name, value in asdict(plan).items() if name not in ACCIDENTS}
    shown = permuted if plan.permuted else lambda variables: variables
    with Recorder(
        path,
        model,
        shown(variables),
        probe=(images[:4], labels[:4]),
        evaluation=(images[TRAIN:], labels[TRAIN:]),
        embedding=(seen, truth),
        config={"dataset": "digits", **config},
        overwrite=True,
    ) as recorder:
        for epoch in range(plan.epochs):
            order = np.random.default_rng([plan.seed, plan.order, epoch]).permutation(len(seen))
            for start in range(0, len(order) - BATCH + 1, BATCH):
                count += 1
                chosen = order[start : start + BATCH]
                batch, targets = seen[chosen], truth[chosen]
                if plan.poisoned and count == 13:
                    batch, targets = batch * 30, rng.permutation(targets)
                key = jax.random.fold_in(jax.random.key(plan.seed), count)
                params, changed, state, loss = step(params, stats, state, key, batch, targets)
                stats = stats if plan.statistics_kept else changed
                recorder.step(shown({"params": params, "batch_stats": stats})["params"], loss=loss)
            recorder.epoch(shown({"params": params, "batch_stats": stats}))
    return open_run(path)
