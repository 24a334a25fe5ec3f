"""Networks over tables and series, pairs and parameters of their own making, after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures, tokens


class WideAndDeep(nn.Module):
    """Cheng et al. (2016): a linear model of crossed columns beside a perceptron; one logit."""

    @nn.compact
    def __call__(self, row):
        columns = row["columns"]
        wide = nn.Embed(24, 1, name="wide")(columns[:, 0] * 4 + columns[:, 1])
        deep = [nn.Embed(6, 3, name=f"column{i}")(columns[:, i]) for i in range(columns.shape[1])]
        x = jnp.concatenate([*deep, row["numbers"]], -1)
        for width in (8, 6):
            x = nn.relu(nn.Dense(width)(x))
        return (nn.Dense(1, name="logit")(x) + wide)[:, 0]


class DeepFM(nn.Module):
    """Guo et al. (2017): all pairs of columns by the square of their sum."""

    @nn.compact
    def __call__(self, columns):
        places = columns + 6 * jnp.arange(columns.shape[1])
        x = nn.Embed(18, 4, name="factors")(places)
        pairs = 0.5 * (x.sum(1) ** 2 - (x**2).sum(1)).sum(-1, keepdims=True)
        linear = nn.Embed(18, 1, name="linear")(places).sum(1)
        deep = nn.Dense(1, name="deep2")(nn.relu(nn.Dense(8, name="deep1")(x.reshape(x.shape[0], -1))))
        return nn.sigmoid(pairs + linear + deep)[:, 0]


class CrossNetwork(nn.Module):
    """Wang et al. (2021): the input, multiplied in again at every layer."""

    @nn.compact
    def __call__(self, x):
        first = x
        for _ in range(2):
            x = first * nn.Dense(x.shape[-1])(x) + x
        return nn.Dense(3, name="head")(x)


class FTTransformer(nn.Module):
    """Gorishniy et al. (2021): every number is a token."""

    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.normal(1.0), (x.shape[1], 8))
        bias = self.param("bias", nn.initializers.normal(1.0), (x.shape[1], 8))
        y = x[..., None] * weight + bias
        cls = self.param("cls", nn.initializers.normal(1.0), (1, 1, 8))
        y = jnp.concatenate([jnp.tile(cls, (x.shape[0], 1, 1)), y], 1)
        y = y + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm(name="norm1")(y))
        a, b = jnp.split(nn.Dense(16, name="up")(nn.LayerNorm(name="norm2")(y)), 2, -1)
        y = y + nn.Dense(8, name="down")(a * nn.relu(b))
        return nn.Dense(3, name="head")(nn.relu(nn.LayerNorm(name="norm")(y[:, 0])))


class MixtureDensity(nn.Module):
    """Bishop (1994): weights, means and spreads of a mixture."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(8, name="hidden")(x))
        weights = nn.softmax(nn.Dense(3, name="weights")(x))
        return weights, nn.Dense(3, name="means")(x), jnp.exp(nn.Dense(3, name="spreads")(x))


class Tower(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), (2, 2), name="conv")(x))
        x = nn.Dense(6, name="code")(x.reshape(x.shape[0], -1))
        return x / jnp.sqrt(jnp.maximum((x**2).sum(-1, keepdims=True), 1e-6))


class Siamese(nn.Module):
    """Bromley et al. (1993): one tower for both pictures; how far apart they are."""

    @nn.compact
    def __call__(self, left, right):
        tower = Tower(name="tower")
        return jnp.abs(tower(left) - tower(right)).sum(-1)


class SimCLR(nn.Module):
    """Chen et al. (2020): two views side by side, a projection that is thrown away later."""

    @nn.compact
    def __call__(self, views):
        x = jnp.concatenate([views["first"], views["second"]], axis=0)
        x = nn.Dense(6, name="project2")(nn.relu(nn.Dense(8, name="project1")(Tower(name="encoder")(x))))
        first, second = jnp.split(x, 2, axis=0)
        return {"first": first, "second": second}


class Capsules(nn.Module):
    """Sabour et al. (2017): vectors whose length is a probability; votes that are routed by agreement."""

    @nn.compact
    def __call__(self, x):
        def squash(v):
            square = (v**2).sum(-1, keepdims=True)
            return square / (1 + square) * v / jnp.sqrt(square + 1e-8)

        x = nn.relu(nn.Conv(8, (3, 3), (2, 2), name="conv")(x))
        primary = squash(nn.Conv(8, (3, 3), (2, 2), name="primary")(x).reshape(x.shape[0], -1, 4))
        weight = self.param("weight", nn.initializers.normal(0.3), (primary.shape[1], 3, 4, 5))
        votes = jnp.einsum("bip,ijpq->bijq", primary, weight)
        logits = jnp.zeros(votes.shape[:3])
        for _ in range(2):
            out = squash(jnp.einsum("bij,bijq->bjq", nn.softmax(logits, axis=2), votes))
            logits = logits + jnp.einsum("bijq,bjq->bij", votes, out)
        return jnp.linalg.norm(out, axis=-1)


class HyperNetwork(nn.Module):
    """Ha et al. (2017): one network writes the kernel that another uses, for each example its own."""

    @nn.compact
    def __call__(self, x, task):
        kernel = nn.Dense(12, name="kernel")(nn.relu(nn.Dense(6, name="task")(task))).reshape(-1, 4, 3)
        return jnp.einsum("bi,bio->bo", nn.tanh(nn.Dense(4, name="hidden")(x)), kernel)


class NBeatsBlock(nnx.Module):
    def __init__(self, length, horizon, rngs):
        self.layers = nnx.List([nnx.Linear(length, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)])
        self.back, self.ahead = nnx.Linear(8, length, rngs=rngs), nnx.Linear(8, horizon, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return self.back(x), self.ahead(x)


class NBeats(nnx.Module):
    """Oreshkin et al. (2020): each block takes out what it explains and adds its forecast."""

    def __init__(self, rngs):
        self.blocks = nnx.List([NBeatsBlock(8, 3, rngs) for _ in range(2)])

    def __call__(self, x):
        forecast = jnp.zeros((x.shape[0], 3))
        for block in self.blocks:
            back, ahead = block(x)
            x, forecast = x - back, forecast + ahead
        return forecast


class DLinear(nnx.Module):
    """Zeng et al. (2023): trend and rest of a series, each by one linear layer."""

    def __init__(self, rngs):
        self.trend, self.rest = nnx.Linear(8, 3, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        padded = jnp.pad(x, ((0, 0), (1, 1)), mode="edge")
        trend = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
        return self.trend(trend) + self.rest(x - trend)


class DeepAR(nnx.Module):
    """Salinas et al. (2020): mean and spread of the next value, scaled by the series."""

    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.LSTMCell(1, 6, rngs=rngs))
        self.mean, self.spread = nnx.Linear(6, 1, rngs=rngs), nnx.Linear(6, 1, rngs=rngs)

    def __call__(self, x):
        scale = 1 + jnp.abs(x).mean(1, keepdims=True)
        y = self.rnn((x / scale)[..., None])
        return self.mean(y)[..., 0] * scale, nnx.softplus(self.spread(y))[..., 0] * scale


class TwoTowers(nnx.Module):
    """Covington et al. (2016), He et al. (2017): users and items, their product beside a perceptron."""

    def __init__(self, rngs):
        self.users, self.items = nnx.Embed(7, 6, rngs=rngs), nnx.Embed(9, 6, rngs=rngs)
        self.hidden, self.out = nnx.Linear(12, 6, rngs=rngs), nnx.Linear(12, 1, rngs=rngs)

    def __call__(self, pair):
        user, item = self.users(pair["user"]), self.items(pair["item"])
        deep = nnx.relu(self.hidden(jnp.concatenate([user, item], -1)))
        return nnx.sigmoid(self.out(jnp.concatenate([user * item, deep], -1)))[:, 0]


class LoRA(nnx.Module):
    """Hu et al. (2022): a frozen layer and a small product beside it."""

    def __init__(self, rngs):
        self.first = nnx.LoRA(4, 2, 8, base_module=nnx.Linear(4, 8, rngs=rngs), rngs=rngs)
        self.second = nnx.LoRALinear(8, 3, lora_rank=2, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.gelu(self.first(x)))


class SpectralNormed(nnx.Module):
    """Miyato et al. (2018), in NNX: a dense layer and its largest singular value."""

    def __init__(self, rngs):
        self.hidden = nnx.SpectralNorm(nnx.Linear(4, 8, rngs=rngs), rngs=rngs)
        self.out = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.leaky_relu(self.hidden(x, update_stats=False)))[:, 0]


class SparseAutoencoder(nnx.Module):
    """Makhzani and Frey (2014): only the largest activations are kept; the decoder is the encoder turned."""

    def __init__(self, rngs):
        self.encode, self.bias = nnx.Linear(6, 12, rngs=rngs), nnx.Param(jnp.zeros(6))

    def __call__(self, x):
        z = self.encode(x - self.bias[...])
        least = jax.lax.top_k(z, 3)[0][..., -1:]
        z = jnp.where(z >= least, z, 0.0)
        return z @ self.encode.kernel[...].T + self.bias[...]


class Hopfield(nnx.Module):
    """Ramsauer et al. (2021): stored patterns, looked up by their likeness, again and again."""

    def __init__(self, rngs):
        self.patterns = nnx.Param(jax.random.normal(rngs.params(), (5, 6)))
        self.query, self.out = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        state = self.query(x)
        for _ in range(2):
            state = jax.nn.softmax(2.0 * state @ self.patterns[...].T) @ self.patterns[...]
        return self.out(state)


def views():
    return {"first": pictures(), "second": pictures()[::-1].copy()}


MODELS = {
    "wide_and_deep": lambda: Example(WideAndDeep(), {"columns": tokens(4, 3), "numbers": numbers(3, 2)}),
    "deepfm": lambda: Example(DeepFM(), tokens(6, 3)),
    "cross_network": lambda: Example(CrossNetwork(), numbers(3, 5), 3),
    "ft_transformer": lambda: Example(FTTransformer(), numbers(3, 5), 3),
    "mixture_density": lambda: Example(MixtureDensity(), numbers(3, 2)),
    "siamese": lambda: Example(Siamese(), (pictures(), pictures()[::-1].copy()), spread=True),
    "simclr": lambda: Example(SimCLR(), views()),
    "capsules": lambda: Example(Capsules(), pictures(), 3),
    "hypernetwork": lambda: Example(HyperNetwork(), (numbers(3, 4), numbers(3, 2, seed=1)), spread=True),
    "nbeats": lambda: Example(NBeats(nnx.Rngs(0)), numbers(3, 8)),
    "dlinear": lambda: Example(DLinear(nnx.Rngs(0)), numbers(3, 8)),
    "deepar": lambda: Example(DeepAR(nnx.Rngs(0)), numbers(3, 6)),
    "two_towers": lambda: Example(
        TwoTowers(nnx.Rngs(0)), {"user": tokens(7, 1)[:, 0], "item": tokens(9, 1, seed=1)[:, 0]}
    ),
    "lora": lambda: Example(LoRA(nnx.Rngs(0)), numbers(3, 4), 3),
    "spectral_norm": lambda: Example(SpectralNormed(nnx.Rngs(0)), numbers(3, 4)),
    "sparse_autoencoder": lambda: Example(SparseAutoencoder(nnx.Rngs(0)), numbers(3, 6)),
    "hopfield": lambda: Example(Hopfield(nnx.Rngs(0)), numbers(3, 4), 3),
}
