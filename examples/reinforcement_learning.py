"""A policy that learns by REINFORCE to walk to the right end of a line; the return of its episodes is recorded."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

import reportgen

places, steps = jnp.eye(9, dtype="float32"), 24
model, optimizer = nn.Sequential([nn.Dense(16), nn.tanh, nn.Dense(2)]), optax.adam(1e-2)
variables = model.init(jax.random.key(0), places)
state = optimizer.init(variables)


@jax.jit
def update(variables, state, key):
    def walk(place, key):
        move = jax.random.categorical(key, model.apply(variables, places[place]))
        return jnp.clip(place + 2 * move - 1, 0, 8), (place, move)

    _, (seen, moves) = jax.lax.scan(walk, jnp.full(32, 4), jax.random.split(key, steps))
    returns = jnp.cumsum((seen == 8)[::-1], 0)[::-1]
    weight = -(returns - returns.mean(1, keepdims=True))
    chosen = lambda v: -optax.softmax_cross_entropy_with_integer_labels(model.apply(v, places[seen]), moves)  # noqa: E731
    loss, gradient = jax.value_and_grad(lambda v: (weight * chosen(v)).mean())(variables)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state, (loss, returns[0].mean())


with reportgen.Recorder("runs/policy", model, variables, probe=places, evaluation=places, overwrite=True) as recorder:
    for step in range(200):
        variables, state, (loss, mean_return) = update(variables, state, jax.random.key(step))
        recorder.step(variables, loss=loss, episode_return=mean_return)
        if step % 20 == 19:
            recorder.epoch(variables)
reportgen.build("runs/policy").save("policy.html")
