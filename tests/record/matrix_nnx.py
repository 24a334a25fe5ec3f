"""One small NNX model per row of the test matrix; see `test_matrix`. The layers have the names of `matrix_linen`'s."""

import jax.numpy as jnp
from flax import nnx


class Functional(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.head = nnx.Conv(1, 3, (3, 3), rngs=rngs), nnx.Linear(48, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv(x)), (2, 2), (2, 2))
        return self.head(x.reshape(len(x), -1))


class Block(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(3, 3, (3, 3), rngs=rngs), nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(x + self.drop(nnx.relu(self.norm(self.conv(x)))))


class Residual(nnx.Module):
    def __init__(self, rngs):
        self.stem, self.block = nnx.Conv(1, 3, (1, 1), rngs=rngs), Block(rngs)
        self.head = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.block(self.stem(x)).mean((1, 2)))


class Twice(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.dense(x))


class Repeated(nnx.Module):
    def __init__(self, rngs):
        self.same, self.head = Twice(rngs), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.same(self.same(x)))


class Tied(nnx.Module):
    def __init__(self, rngs):
        self.dense, self.table = nnx.Linear(4, 4, rngs=rngs), nnx.Embed(3, 4, rngs=rngs)

    def __call__(self, x):
        return self.table.attend(nnx.tanh(self.dense(x)))


class Inherited(Twice):
    """Its `__call__` is another class's."""


class Static(nnx.Module):
    @staticmethod
    def __call__(x):
        return jnp.tanh(x)


class Inherits(nnx.Module):
    def __init__(self, rngs):
        self.child, self.fixed, self.head = Inherited(rngs), Static(), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.fixed(self.child(x)))


class Remat(nnx.Module):
    def __init__(self, rngs):
        self.again, self.head = Twice(rngs), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.remat(lambda module, x: module(x))(self.again, x))


class Scan(nnx.Module):
    def __init__(self, rngs):
        @nnx.split_rngs(splits=2)
        @nnx.vmap
        def stack(rngs):
            return Twice(rngs)

        self.loop, self.head = stack(rngs), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def through(layer, x):
            return layer(x)

        return self.head(through(self.loop, x))


class Recurrent(nnx.Module):
    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.SimpleCell(3, 4, rngs=rngs))
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.rnn(x)[:, -1])


class Parts(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return {"mean": self.dense(x), "rest": (x + 1, None)}


class Several(nnx.Module):
    def __init__(self, rngs):
        self.parts, self.head = Parts(rngs), nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        parts = self.parts(x)
        return self.head(jnp.concatenate([parts["mean"], parts["rest"][0]], -1))


class Dense(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(4, 5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.sigmoid(self.hidden(x)))


class Tokens(nnx.Module):
    def __init__(self, rngs):
        self.table, self.norm = nnx.Embed(11, 4, rngs=rngs), nnx.LayerNorm(4, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = self.table(x)
        return self.head(self.norm(x + self.attention(x)).mean(1))


class Signal(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.head = nnx.Conv(2, 3, (3,), rngs=rngs), nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.gelu(self.conv(x)), (2,), (2,))
        return self.head(x.reshape(len(x), -1))


class Volume(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.head = nnx.Conv(1, 2, (2, 2, 2), rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv(x)), (2, 2, 2), (2, 2, 2))
        return self.head(x.reshape(len(x), -1))


class Maps(nnx.Module):
    """What it gives is a picture, not scores."""

    def __init__(self, rngs):
        self.down = nnx.Conv(1, 3, (3, 3), (2, 2), rngs=rngs)
        self.up = nnx.ConvTranspose(3, 1, (2, 2), (2, 2), rngs=rngs)

    def __call__(self, x):
        return self.up(nnx.relu(self.down(x)))


class Narrow(nnx.Module):
    def __init__(self, dtype, rngs):
        kinds = {"dtype": dtype, "param_dtype": dtype, "rngs": rngs}
        self.conv, self.head = nnx.Conv(1, 3, (3, 3), **kinds), nnx.Linear(3, 3, **kinds)

    def __call__(self, x):
        return self.head(nnx.relu(self.conv(x)).mean((1, 2)))
