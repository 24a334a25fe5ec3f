"""Policies, values and models of worlds after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures, tokens


class DQN(nn.Module):
    """Mnih et al. (2015): frames of a game as bytes, a value per action."""

    @nn.compact
    def __call__(self, frames):
        x = frames / 255.0
        x = nn.relu(nn.Conv(4, (4, 4), (2, 2))(x))
        x = nn.relu(nn.Conv(6, (3, 3))(x))
        x = nn.relu(nn.Dense(8)(x.reshape(x.shape[0], -1)))
        return nn.Dense(4, name="values")(x)


class Dueling(nn.Module):
    """Wang et al. (2016): what the state is worth, and what an action adds to it."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(8, name="trunk")(x))
        value = nn.Dense(1, name="value")(nn.relu(nn.Dense(6, name="value_hidden")(x)))
        advantage = nn.Dense(4, name="advantage")(nn.relu(nn.Dense(6, name="advantage_hidden")(x)))
        return value + advantage - advantage.mean(-1, keepdims=True)


class ActorCritic(nn.Module):
    """Schulman et al. (2017): logits of a policy and a value from one trunk."""

    @nn.compact
    def __call__(self, x):
        for number in range(2):
            x = nn.tanh(nn.Dense(8, kernel_init=nn.initializers.orthogonal(), name=f"hidden{number}")(x))
        return nn.Dense(3, name="policy")(x), nn.Dense(1, name="value")(x)[..., 0]


class SoftActor(nn.Module):
    """Haarnoja et al. (2018): a squashed Gaussian; the spread is kept between bounds."""

    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.relu(nn.Dense(8)(x))
        log_std = jnp.clip(nn.Dense(2, name="log_std")(x), -5, 2)
        return {"action": jnp.tanh(nn.Dense(2, name="mean")(x)), "log_std": log_std}


class DoubleCritic(nn.Module):
    """Fujimoto et al. (2018): two critics in one by `nn.vmap`, and the lesser answer."""

    @nn.compact
    def __call__(self, state, action):
        class Critic(nn.Module):
            @nn.compact
            def __call__(self, x):
                return nn.Dense(1, name="value")(nn.relu(nn.Dense(8, name="hidden")(x)))[..., 0]

        several = nn.vmap(Critic, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=2)
        both = several(name="critics")(jnp.concatenate([state, action], -1))
        return both.min(0)


class C51(nn.Module):
    """Bellemare et al. (2017): a distribution over returns for each action."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(8, name="hidden")(x))
        atoms = nn.softmax(nn.Dense(3 * 5, name="atoms")(x).reshape(-1, 3, 5), axis=-1)
        return (atoms * jnp.linspace(-1, 1, 5)).sum(-1)


class NoisyDense(nn.Module):
    """Fortunato et al. (2018): noise in the weights, none in evaluation."""

    out: int

    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1], self.out)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        spread = self.param("spread", nn.initializers.constant(0.1), shape)
        if self.has_rng("noise"):
            kernel = kernel + spread * jax.random.normal(self.make_rng("noise"), shape)
        return x @ kernel + self.param("bias", nn.initializers.zeros, (self.out,))


class Rainbow(nn.Module):
    """Hessel et al. (2018): noisy layers that duel."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(NoisyDense(8, name="trunk")(x))
        value, advantage = NoisyDense(1, name="value")(x), NoisyDense(3, name="advantage")(x)
        return value + advantage - advantage.mean(-1, keepdims=True)


class Impala(nn.Module):
    """Espeholt et al. (2018): residual convolutions, an LSTM over time, a policy and a value."""

    @nn.compact
    def __call__(self, film):
        x = nn.Conv(4, (3, 3), name="stem")(film)
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for number in range(2):
            y = nn.Conv(4, (3, 3), name=f"residual{number}_1")(nn.relu(x))
            x = x + nn.Conv(4, (3, 3), name=f"residual{number}_2")(nn.relu(y))
        x = nn.relu(nn.Dense(6, name="encode")(nn.relu(x).reshape(*film.shape[:2], -1)))
        x = nn.RNN(nn.OptimizedLSTMCell(6), name="memory")(x)
        return nn.Dense(3, name="policy")(x), nn.Dense(1, name="value")(x)


class DecisionTransformer(nnx.Module):
    """Chen et al. (2021): returns, states and actions interleaved; the next action."""

    def __init__(self, rngs):
        self.reward, self.state = nnx.Linear(1, 8, rngs=rngs), nnx.Linear(3, 8, rngs=rngs)
        self.action, self.norm = nnx.Embed(4, 8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, returns, states, actions):
        parts = [self.reward(returns), self.state(states), self.action(actions)]
        x = jnp.stack(parts, 2).reshape(returns.shape[0], -1, 8)
        x = x + self.attention(self.norm(x), mask=nnx.make_causal_mask(x[..., 0]))
        return self.head(x[:, 1::3])


class MuZero(nnx.Module):
    """Schrittwieser et al. (2020): a state that is imagined; reward, policy and value of it."""

    def __init__(self, rngs):
        self.represent, self.dynamics = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(9, 6, rngs=rngs)
        self.reward, self.policy, self.value = (nnx.Linear(6, n, rngs=rngs) for n in (1, 3, 1))

    def __call__(self, observation, actions):
        state, steps = nnx.relu(self.represent(observation)), []
        for time in range(actions.shape[1]):
            taken = jax.nn.one_hot(actions[:, time], 3)
            state = nnx.relu(self.dynamics(jnp.concatenate([state, taken], -1)))
            low, high = state.min(-1, keepdims=True), state.max(-1, keepdims=True)
            state = (state - low) / (high - low + 1e-5)
            steps.append({"reward": self.reward(state), "policy": self.policy(state), "value": self.value(state)})
        return jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), *steps)


class WorldModel(nnx.Module):
    """Hafner et al. (2023): a recurrent state and categorical codes, straight through; symlog of the observation."""

    def __init__(self, rngs):
        self.encode, self.cell = nnx.Linear(4, 6, rngs=rngs), nnx.GRUCell(6, 6, rngs=rngs)
        self.codes, self.into, self.decode = (nnx.Linear(i, o, rngs=rngs) for i, o in ((12, 8), (8, 6), (14, 4)))

    def __call__(self, x):
        x = jnp.sign(x) * jnp.log1p(jnp.abs(x))
        seen = nnx.silu(self.encode(x))

        def move(carry, seen):
            hidden, code = carry
            hidden, _ = self.cell(hidden, nnx.silu(self.into(code)))
            logits = self.codes(jnp.concatenate([hidden, seen], -1)).reshape(-1, 2, 4)
            soft = 0.99 * nnx.softmax(logits) + 0.01 / 4
            hard = jax.nn.one_hot(soft.argmax(-1), 4)
            code = (hard + soft - jax.lax.stop_gradient(soft)).reshape(-1, 8)
            return (hidden, code), jnp.concatenate([hidden, code], -1)

        first = jnp.zeros((x.shape[0], 6)), jnp.zeros((x.shape[0], 8))
        _, states = nnx.scan(move, in_axes=(nnx.Carry, 1), out_axes=(nnx.Carry, 1))(first, seen)
        return self.decode(states)


class Actor(nnx.Module):
    """Lillicrap et al. (2016): a deterministic action for each state."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)])
        self.norm, self.action = nnx.LayerNorm(8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = jax.nn.relu(layer(x))
        return 2.0 * jnp.tanh(self.action(self.norm(x)))


def frames():
    return (pictures(8, 4) * 40 + 120).clip(0, 255).astype("uint8")


MODELS = {
    "dqn": lambda: Example(DQN(), frames(), 4),
    "dueling": lambda: Example(Dueling(), numbers(3, 4), 4),
    "actor_critic": lambda: Example(ActorCritic(), numbers(3, 4)),
    "soft_actor": lambda: Example(SoftActor(), numbers(3, 4)),
    "double_critic": lambda: Example(DoubleCritic(), (numbers(3, 4), numbers(3, 2, seed=1)), spread=True),
    "c51": lambda: Example(C51(), numbers(3, 4), 3),
    "rainbow": lambda: Example(Rainbow(), numbers(3, 4), 3),
    "impala": lambda: Example(Impala(), numbers(3, 4, 6, 6, 3)),
    "decision_transformer": lambda: Example(
        DecisionTransformer(nnx.Rngs(0)), (numbers(3, 4, 1), numbers(3, 4, 3, seed=1), tokens(4, 4)), spread=True
    ),
    "muzero": lambda: Example(MuZero(nnx.Rngs(0)), (numbers(3, 4), tokens(3, 2)), spread=True),
    "world_model": lambda: Example(WorldModel(nnx.Rngs(0)), numbers(3, 5, 4)),
    "ddpg_actor": lambda: Example(Actor(nnx.Rngs(0)), numbers(3, 4)),
}
