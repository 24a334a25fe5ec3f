"""One small Linen model per row of the test matrix; see `test_matrix`."""

import flax.linen as nn
import jax.numpy as jnp


class Functional(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3), name="conv")(x)), (2, 2), (2, 2))
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        y = nn.BatchNorm(use_running_average=not train, name="norm")(nn.Conv(3, (3, 3), name="conv")(x))
        y = nn.Dropout(0.5, deterministic=not train, name="drop")(nn.relu(y))
        return nn.relu(x + y)


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = Block(name="block")(nn.Conv(3, (1, 1), name="stem")(x), train)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(4, name="dense")(x))


class Repeated(nn.Module):
    @nn.compact
    def __call__(self, x):
        same = Twice(name="same")
        return nn.Dense(3, name="head")(same(same(x)))


class Tied(nn.Module):
    @nn.compact
    def __call__(self, x):
        table = nn.Embed(3, 4, name="table")
        return table.attend(nn.tanh(nn.Dense(4, name="dense")(x)))


class Inherited(Twice):
    """Its `__call__` is another class's."""


class Inherits(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(Inherited(name="child")(x))


class Remat(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(nn.remat(Twice)(name="again")(x))


class Step(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.relu(nn.Dense(4, name="dense")(x)), None


class Scan(nn.Module):
    @nn.compact
    def __call__(self, x):
        loop = nn.scan(Step, variable_axes={"params": 0, "intermediates": 0}, split_rngs={"params": True}, length=2)
        return nn.Dense(3, name="head")(loop(name="loop")(x, None)[0])


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(nn.RNN(nn.SimpleCell(4, name="cell"), name="rnn")(x)[:, -1])


class Parts(nn.Module):
    @nn.compact
    def __call__(self, x):
        return {"mean": nn.Dense(2, name="dense")(x), "rest": (x + 1, None)}


class Several(nn.Module):
    @nn.compact
    def __call__(self, x):
        parts = Parts(name="parts")(x)
        return nn.Dense(3, name="head")(jnp.concatenate([parts["mean"], parts["rest"][0]], -1))


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(nn.sigmoid(nn.Dense(5, name="hidden")(x)))


class Tokens(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Embed(11, 4, name="table")(x)
        x = nn.LayerNorm(name="norm")(x + nn.MultiHeadDotProductAttention(2, name="attention")(x))
        return nn.Dense(3, name="head")(x.mean(1))


class Signal(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.gelu(nn.Conv(3, (3,), name="conv")(x)), (2,), (2,))
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


class Volume(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(2, (2, 2, 2), name="conv")(x)), (2, 2, 2), (2, 2, 2))
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


class Maps(nn.Module):
    """What it gives is a picture, not scores."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(3, (3, 3), (2, 2), name="down")(x))
        return nn.ConvTranspose(1, (2, 2), (2, 2), name="up")(x)


class Narrow(nn.Module):
    dtype: str

    @nn.compact
    def __call__(self, x):
        kinds = {"dtype": self.dtype, "param_dtype": self.dtype}
        x = nn.relu(nn.Conv(3, (3, 3), name="conv", **kinds)(x)).mean((1, 2))
        return nn.Dense(3, name="head", **kinds)(x)
