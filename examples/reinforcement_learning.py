"""A policy that learns by REINFORCE to walk to the right end of a line; the return of its episodes is recorded."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

import reportgen

places, model, optimizer = jnp.eye(9), nn.Sequential([nn.Dense(16), nn.tanh, nn.Dense(2)]), optax.adam(1e-2)
variables = model.init(jax.random.key(0), places)
act = jax.jit(lambda v, x, key: jax.random.categorical(key, model.apply(v, x)))
state, cross_entropy = optimizer.init(variables), optax.softmax_cross_entropy_with_integer_labels
loss_of = jax.jit(jax.value_and_grad(lambda v, x, move, gain: (gain * cross_entropy(model.apply(v, x), move)).mean()))

with reportgen.Recorder("runs/policy", model, variables, probe=places, evaluation=places, overwrite=True) as recorder:
    for step in range(100):
        at, seen, moves = jnp.full(32, 4), [], []
        for key in jax.random.split(jax.random.key(step), 24):
            seen, moves = [*seen, at], [*moves, act(variables, places[at], key)]
            at = jnp.clip(at + 2 * moves[-1] - 1, 0, 8)
        returns = jnp.cumsum((jnp.stack(seen) == 8)[::-1], 0)[::-1]
        gain = returns - returns.mean(1, keepdims=True)
        loss, gradient = loss_of(variables, places[jnp.stack(seen)], jnp.stack(moves), gain)
        change, state = optimizer.update(gradient, state)
        variables = optax.apply_updates(variables, change)
        recorder.step(variables, loss=loss, episode_return=returns[0].mean())
        if step % 10 == 9:
            recorder.epoch(variables)
reportgen.build("runs/policy", title="A walk to the right end of a line").save("policy.html")
