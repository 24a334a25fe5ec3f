"""Recurrent networks, state spaces and long convolutions after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers, tokens

WORDS = 9


class Seq2Seq(nn.Module):
    """Sutskever et al. (2014): one LSTM reads, another writes from its last state."""

    @nn.compact
    def __call__(self, source, target):
        table = nn.Embed(WORDS, 6, name="table")
        state, _ = nn.RNN(nn.OptimizedLSTMCell(6), return_carry=True, name="encoder")(table(source))
        y = nn.RNN(nn.OptimizedLSTMCell(6), name="decoder")(table(target), initial_carry=state)
        return nn.Dense(WORDS, name="head")(y)


class AdditiveAttention(nn.Module):
    @nn.compact
    def __call__(self, query, memory):
        scores = nn.Dense(1, use_bias=False, name="score")(
            jnp.tanh(nn.Dense(6, name="query")(query)[:, :, None] + nn.Dense(6, name="memory")(memory)[:, None])
        )[..., 0]
        return jnp.einsum("bqk,bkd->bqd", nn.softmax(scores), memory)


class Translator(nn.Module):
    """Bahdanau et al. (2015): attention to what a bidirectional GRU read."""

    @nn.compact
    def __call__(self, source, target):
        both = nn.Bidirectional(nn.RNN(nn.GRUCell(4)), nn.RNN(nn.GRUCell(4)), name="encoder")
        memory = both(nn.Embed(WORDS, 6, name="source")(source))
        y = nn.RNN(nn.GRUCell(6), name="decoder")(nn.Embed(WORDS, 6, name="target")(target))
        context = AdditiveAttention(name="attention")(y, memory)
        return nn.Dense(WORDS, name="head")(jnp.concatenate([y, context], -1))


class TwoLayerLSTM(nn.Module):
    """Zaremba et al. (2014): stacked LSTMs with dropout between them."""

    @nn.compact
    def __call__(self, ids, train=False):
        x = nn.Embed(WORDS, 6, name="table")(ids)
        for _ in range(2):
            x = nn.RNN(nn.LSTMCell(6))(nn.Dropout(0.5, deterministic=not train)(x))
        return nn.Dense(WORDS, name="head")(x)


class ConvLSTM(nn.Module):
    """Shi et al. (2015): a recurrent cell of convolutions over a film."""

    @nn.compact
    def __call__(self, film):
        x = nn.RNN(nn.ConvLSTMCell(3, (3, 3)), name="rnn")(film)
        return nn.Conv(1, (1, 1), name="next")(x[:, -1])


class S5Layer(nn.Module):
    """Smith et al. (2023): a diagonal complex state space, run by a parallel scan."""

    states: int = 4

    @nn.compact
    def __call__(self, u):
        width = u.shape[-1]

        def complex_normal(key, shape):
            a, b = jax.random.normal(key, (2, *shape)) * 0.5
            return (a + 1j * b).astype(jnp.complex64)

        decay = self.param("log_decay", nn.initializers.zeros, (self.states,))
        turn = self.param("turn", nn.initializers.normal(1.0), (self.states,))
        b = self.param("B", complex_normal, (self.states, width))
        c = self.param("C", complex_normal, (width, self.states))
        skip = self.param("D", nn.initializers.ones, (width,))
        step = jnp.exp(self.param("log_step", nn.initializers.constant(-1.0), (self.states,)))
        pole = -jnp.exp(decay) + 1j * turn
        discrete = jnp.exp(pole * step)
        driven = jnp.einsum("btd,sd->bts", u, (((discrete - 1) / pole)[:, None] * b))

        def combine(left, right):
            return right[0] * left[0], right[0] * left[1] + right[1]

        _, x = jax.lax.associative_scan(combine, (jnp.broadcast_to(discrete, driven.shape), driven), axis=1)
        return 2 * jnp.einsum("bts,ds->btd", x, c).real + skip * u


class S5(nn.Module):
    """Blocks of a state space layer, a gate and a residual."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(6, name="encoder")(x)
        for number in range(2):
            y = nn.gelu(S5Layer(name=f"ssm{number}")(nn.LayerNorm(name=f"norm{number}")(x)))
            x = x + y * nn.sigmoid(nn.Dense(6, name=f"gate{number}")(y))
        return nn.Dense(4, name="head")(x.mean(1))


class S4D(nn.Module):
    """Gu et al. (2022): the state space's kernel, applied by Fourier transforms."""

    @nn.compact
    def __call__(self, u):
        width, length = u.shape[-1], u.shape[1]
        decay = jnp.exp(self.param("log_decay", nn.initializers.zeros, (width, 3)))
        turn = self.param("turn", nn.initializers.normal(1.0), (width, 3))
        weight = self.param("C", nn.initializers.normal(1.0), (width, 3, 2))
        poles = jnp.exp(0.1 * (-decay + 1j * turn)[..., None] * jnp.arange(length))
        kernel = 2 * jnp.einsum("hn,hnl->hl", weight[..., 0] + 1j * weight[..., 1], poles).real
        spectrum = jnp.fft.rfft(u, n=2 * length, axis=1) * jnp.fft.rfft(kernel, n=2 * length).T
        y = jnp.fft.irfft(spectrum, n=2 * length, axis=1)[:, :length]
        return nn.Dense(4, name="head")(nn.gelu(y).mean(1))


class Hyena(nn.Module):
    """Poli et al. (2023): gates around long convolutions whose kernel a small network writes."""

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(WORDS, 6, name="table")(ids)
        length = x.shape[1]
        z = nn.Conv(18, (3,), padding="CAUSAL", feature_group_count=1, name="short")(nn.Dense(18, name="in")(x))
        a, b, v = jnp.split(z, 3, axis=-1)
        time = jnp.linspace(0, 1, length)[:, None]
        kernel = nn.Dense(6, name="filter2")(jnp.sin(nn.Dense(8, name="filter1")(time))) * jnp.exp(-2 * time)
        y = jnp.fft.irfft(jnp.fft.rfft(b * v, 2 * length, axis=1) * jnp.fft.rfft(kernel, 2 * length, axis=0), axis=1)
        return nn.Dense(WORDS, name="head")(nn.Dense(6, name="out")(a * y[:, :length]))


class Mamba(nnx.Module):
    """Gu and Dao (2023): a state space whose step and input and output matrices depend on the token."""

    def __init__(self, rngs, width=6, inner=8, states=3):
        self.table = nnx.Embed(WORDS, width, rngs=rngs)
        self.norm = nnx.RMSNorm(width, rngs=rngs)
        self.into = nnx.Linear(width, 2 * inner, use_bias=False, rngs=rngs)
        self.conv = nnx.Conv(inner, inner, (3,), padding="CAUSAL", feature_group_count=inner, rngs=rngs)
        self.select = nnx.Linear(inner, 1 + 2 * states, use_bias=False, rngs=rngs)
        self.step = nnx.Linear(1, inner, rngs=rngs)
        self.log_decay = nnx.Param(jnp.log(jnp.tile(jnp.arange(1.0, states + 1), (inner, 1))))
        self.skip = nnx.Param(jnp.ones(inner))
        self.out, self.head = nnx.Linear(inner, width, rngs=rngs), nnx.Linear(width, WORDS, rngs=rngs)
        self.states = states

    def __call__(self, ids):
        x = self.table(ids)
        u, gate = jnp.split(self.into(self.norm(x)), 2, axis=-1)
        u = nnx.silu(self.conv(u))
        step, b, c = jnp.split(self.select(u), [1, 1 + self.states], axis=-1)
        step = nnx.softplus(self.step(step))
        decay = jnp.exp(step[..., None] * -jnp.exp(self.log_decay[...]))
        driven = (step * u)[..., None] * b[:, :, None]

        def move(state, now):
            decay, driven, c = now
            state = decay * state + driven
            return state, jnp.einsum("bds,bs->bd", state, c)

        first = jnp.zeros((ids.shape[0], *decay.shape[2:]))
        _, y = jax.lax.scan(move, first, [jnp.swapaxes(z, 0, 1) for z in (decay, driven, c)])
        y = jnp.swapaxes(y, 0, 1) + self.skip[...] * u
        return self.head(x + self.out(y * nnx.silu(gate)))


class RWKV(nnx.Module):
    """Peng et al. (2023): token shift, a decaying weighted mean, squared relu in the channels."""

    def __init__(self, rngs, width=6):
        self.table = nnx.Embed(WORDS, width, rngs=rngs)
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.mix = nnx.Param(jnp.full((3, width), 0.5))
        self.decay, self.first = nnx.Param(jnp.zeros(width)), nnx.Param(jnp.zeros(width))
        linear = lambda i, o: nnx.Linear(i, o, use_bias=False, rngs=rngs)  # noqa: E731
        self.key, self.value, self.receptance = linear(width, width), linear(width, width), linear(width, width)
        self.out, self.up, self.down = linear(width, width), linear(width, 10), linear(10, width)
        self.head = linear(width, WORDS)

    def __call__(self, ids):
        x = self.table(ids)
        y = self.norm1(x)
        before = jnp.pad(y, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        mixed = [y * m + before * (1 - m) for m in self.mix[...]]
        key, value = self.key(mixed[0]), self.value(mixed[1])
        receptance = nnx.sigmoid(self.receptance(mixed[2]))

        def move(state, now):
            top, bottom = state
            k, v = now
            weight = jnp.exp(self.first[...] + k)
            mean = (top + weight * v) / (bottom + weight)
            fade = jnp.exp(-jnp.exp(self.decay[...]))
            return (fade * top + jnp.exp(k) * v, fade * bottom + jnp.exp(k)), mean

        zeros = jnp.zeros((ids.shape[0], x.shape[-1]))
        _, mean = jax.lax.scan(move, (zeros, zeros), (jnp.swapaxes(key, 0, 1), jnp.swapaxes(value, 0, 1)))
        x = x + self.out(receptance * jnp.swapaxes(mean, 0, 1))
        return self.head(x + self.down(jnp.square(nnx.relu(self.up(self.norm2(x))))))


class GRU(nnx.Module):
    """Cho et al. (2014), over a series of numbers."""

    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.GRUCell(2, 6, rngs=rngs))
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        return self.head(self.rnn(x).max(axis=1))


class BiLSTM(nnx.Module):
    """Graves and Schmidhuber (2005): forwards and backwards; a label for each word."""

    def __init__(self, rngs):
        self.table = nnx.Embed(WORDS, 6, rngs=rngs)
        cell = lambda: nnx.RNN(nnx.OptimizedLSTMCell(6, 4, rngs=rngs))  # noqa: E731
        self.both = nnx.Bidirectional(cell(), cell(), rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, ids):
        return self.head(self.both(self.table(ids)))


class MinGRU(nnx.Module):
    """Feng et al. (2024): gates that do not look at the state, so that a scan runs in parallel."""

    def __init__(self, rngs):
        self.gate, self.candidate = nnx.Linear(2, 6, rngs=rngs), nnx.Linear(2, 6, rngs=rngs)
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        z = nnx.sigmoid(self.gate(x))
        h = self.candidate(x)
        combine = lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])  # noqa: E731
        _, state = jax.lax.associative_scan(combine, (1 - z, z * h), axis=1)
        return self.head(state[:, -1])


class EchoState(nnx.Module):
    """Jaeger (2001): a fixed random reservoir; only what reads it is learned."""

    def __init__(self, rngs):
        random = np.random.default_rng(0)
        self.into = nnx.Variable(jnp.asarray(random.normal(size=(2, 12)), jnp.float32))
        self.among = nnx.Variable(jnp.asarray(0.25 * random.normal(size=(12, 12)), jnp.float32))
        self.read = nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        def move(state, now):
            state = 0.7 * state + 0.3 * jnp.tanh(now @ self.into[...] + state @ self.among[...])
            return state, state

        _, states = jax.lax.scan(move, jnp.zeros((x.shape[0], 12)), jnp.swapaxes(x, 0, 1))
        return self.read(jnp.swapaxes(states, 0, 1))


class NeuralODE(nnx.Module):
    """Chen et al. (2018): a residual step of one field, taken many times (Runge-Kutta, fixed steps)."""

    def __init__(self, rngs):
        self.field1, self.field2 = nnx.Linear(3, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
        self.head = nnx.Linear(3, 4, rngs=rngs)

    def __call__(self, x):
        def field(x):
            return self.field2(jnp.tanh(self.field1(x)))

        def step(x, _):
            k1 = field(x)
            k2 = field(x + 0.05 * k1)
            return x + 0.1 * k2, None

        x, _ = jax.lax.scan(step, x, None, length=4)
        return self.head(x)


MODELS = {
    "seq2seq": lambda: Example(Seq2Seq(), (tokens(WORDS, 5), tokens(WORDS, 4, seed=1)), spread=True),
    "translator": lambda: Example(Translator(), (tokens(WORDS, 5), tokens(WORDS, 4, seed=1)), spread=True),
    "lstm_language_model": lambda: Example(TwoLayerLSTM(), tokens(WORDS, 5)),
    "conv_lstm": lambda: Example(ConvLSTM(), numbers(3, 4, 6, 6, 1)),
    "s5": lambda: Example(S5(), numbers(3, 8, 2), 4),
    "s4d": lambda: Example(S4D(), numbers(3, 8, 2), 4),
    "hyena": lambda: Example(Hyena(), tokens(WORDS, 8)),
    "mamba": lambda: Example(Mamba(nnx.Rngs(0)), tokens(WORDS, 6)),
    "rwkv": lambda: Example(RWKV(nnx.Rngs(0)), tokens(WORDS, 6)),
    "gru": lambda: Example(GRU(nnx.Rngs(0)), numbers(3, 6, 2), 4),
    "bilstm": lambda: Example(BiLSTM(nnx.Rngs(0)), tokens(WORDS, 5)),
    "min_gru": lambda: Example(MinGRU(nnx.Rngs(0)), numbers(3, 8, 2), 4),
    "echo_state": lambda: Example(EchoState(nnx.Rngs(0)), numbers(3, 6, 2)),
    "neural_ode": lambda: Example(NeuralODE(nnx.Rngs(0)), numbers(3, 3), 4),
}
