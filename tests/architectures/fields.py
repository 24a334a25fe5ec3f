"""Networks of coordinates and operators between functions, after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers


def encoded(x, levels):
    """Sines and cosines of the coordinates at doubling frequencies."""
    angles = x[..., None] * (2.0 ** np.arange(levels) * np.pi)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1).reshape(*x.shape[:-1], -1)


class NeRF(nn.Module):
    """Mildenhall et al. (2020): density and colour of points along a ray, blended to a pixel."""

    @nn.compact
    def __call__(self, points, direction):
        skip = encoded(points, 3)
        x = skip
        for layer in range(3):
            x = nn.relu(nn.Dense(8, name=f"layer{layer}")(x))
            if layer == 1:
                x = jnp.concatenate([x, skip], -1)
        density = nn.relu(nn.Dense(1, name="density")(x))[..., 0]
        view = jnp.broadcast_to(encoded(direction, 2)[:, None], (*points.shape[:2], 12))
        x = nn.relu(nn.Dense(6, name="view")(jnp.concatenate([nn.Dense(8, name="feature")(x), view], -1)))
        colour = nn.sigmoid(nn.Dense(3, name="colour")(x))
        alpha = 1 - jnp.exp(-density * 0.1)
        through = jnp.cumprod(1 - alpha + 1e-10, axis=-1)
        weight = alpha * jnp.concatenate([jnp.ones_like(through[:, :1]), through[:, :-1]], -1)
        return (weight[..., None] * colour).sum(1)


class FourierFeatures(nn.Module):
    """Tancik et al. (2020): random frequencies that are not learned."""

    @nn.compact
    def __call__(self, x):
        random = lambda: 3 * jax.random.normal(jax.random.key(0), (2, 8))  # noqa: E731
        matrix = self.variable("constants", "matrix", random).value
        x = 2 * jnp.pi * x @ matrix
        x = jnp.concatenate([jnp.sin(x), jnp.cos(x)], -1)
        return nn.sigmoid(nn.Dense(3, name="colour")(nn.relu(nn.Dense(8, name="hidden")(x))))


class Siren(nn.Module):
    """Sitzmann et al. (2020): sines as activations, with the initialisation that they need."""

    @nn.compact
    def __call__(self, x):
        for layer in range(3):
            bound = 1 / x.shape[-1] if layer == 0 else (6 / x.shape[-1]) ** 0.5 / 30
            init = lambda key, shape, dtype, bound=bound: jax.random.uniform(key, shape, dtype, -bound, bound)  # noqa: E731
            x = jnp.sin(30.0 * nn.Dense(8, kernel_init=init, name=f"sine{layer}")(x))
        return nn.Dense(1, name="value")(x)


class HashGrid(nn.Module):
    """Mueller et al. (2022): features of a grid's corners from small hashed tables, blended bilinearly."""

    @nn.compact
    def __call__(self, x):
        features = []
        for level, size in enumerate((4, 7)):
            table = self.param(f"table{level}", nn.initializers.normal(0.1), (16, 2))
            place = jnp.clip(x, 0, 1) * size
            corner = jnp.floor(place).astype(jnp.uint32)
            part = place - jnp.floor(place)
            value = 0.0
            for i in (0, 1):
                for j in (0, 1):
                    index = ((corner[:, 0] + i) ^ ((corner[:, 1] + j) * jnp.uint32(2654435761))) % 16
                    weight = jnp.abs(1 - i - part[:, 0]) * jnp.abs(1 - j - part[:, 1])
                    value = value + weight[:, None] * table[index]
            features.append(value)
        x = nn.relu(nn.Dense(8, name="hidden")(jnp.concatenate(features, -1)))
        return nn.Dense(3, name="colour")(x)


class PINN(nn.Module):
    """Raissi et al. (2019): the solution, and by its derivatives how far it is from Burgers' equation."""

    def setup(self):
        self.hidden = [nn.Dense(8) for _ in range(2)]
        self.out = nn.Dense(1)

    def solution(self, x):
        for layer in self.hidden:
            x = jnp.tanh(layer(x))
        return self.out(x)[..., 0]

    def __call__(self, x):
        u = self.solution(x)
        slope = jax.vmap(jax.grad(lambda point: self.solution(point[None])[0]))(x)
        return {"u": u, "residual": slope[:, 1] + u * slope[:, 0]}


class DeepONet(nn.Module):
    """Lu et al. (2021): a function's samples and a place, each through a network; their product."""

    @nn.compact
    def __call__(self, function, place):
        branch = nn.Dense(6, name="branch2")(jnp.tanh(nn.Dense(8, name="branch1")(function)))
        trunk = jnp.tanh(nn.Dense(6, name="trunk2")(jnp.tanh(nn.Dense(8, name="trunk1")(place))))
        return jnp.sum(branch * trunk, axis=-1) + self.param("bias", nn.initializers.zeros, ())


class SpectralConv(nn.Module):
    modes: int = 3

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]

        def complex_normal(key, shape):
            a, b = jax.random.normal(key, (2, *shape)) / width
            return jax.lax.complex(a, b)

        weight = self.param("weight", complex_normal, (self.modes, width, width))
        spectrum = jnp.fft.rfft(x, axis=1)
        kept = jnp.einsum("bmi,mio->bmo", spectrum[:, : self.modes], weight)
        full = jnp.zeros_like(spectrum).at[:, : self.modes].set(kept)
        return jnp.fft.irfft(full, n=x.shape[1], axis=1)


class FNO(nn.Module):
    """Li et al. (2021): the low frequencies of a function, multiplied by learned complex matrices."""

    @nn.compact
    def __call__(self, x):
        grid = jnp.broadcast_to(jnp.linspace(0, 1, x.shape[1])[None, :, None], (*x.shape[:2], 1))
        x = nn.Dense(4, name="lift")(jnp.concatenate([x, grid], -1))
        for layer in range(2):
            x = nn.gelu(SpectralConv(name=f"spectral{layer}")(x) + nn.Dense(4, name=f"local{layer}")(x))
        return nn.Dense(1, name="project")(x)


class ComplexNet(nn.Module):
    """Trabelsi et al. (2018): complex kernels, and a relu by the magnitude (Arjovsky et al., 2016)."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(6, dtype=jnp.complex64, param_dtype=jnp.complex64, name="complex1")(x.astype(jnp.complex64))
        bias = self.param("bias", nn.initializers.constant(-0.1), (6,))
        size = jnp.abs(x)
        x = nn.relu(size + bias) * x / (size + 1e-6)
        x = nn.Dense(4, dtype=jnp.complex64, param_dtype=jnp.complex64, name="complex2")(x)
        return nn.Dense(5, name="head")(jnp.abs(x))


class Hamiltonian(nnx.Module):
    """Greydanus et al. (2019): motion is what the gradient of a learned energy says."""

    def __init__(self, rngs):
        self.hidden, self.energy = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        kernel1, bias1 = self.hidden.kernel[...], self.hidden.bias[...]
        kernel2 = self.energy.kernel[...]
        energy = lambda x: (jnp.tanh(x @ kernel1 + bias1) @ kernel2).sum()  # noqa: E731
        dq, dp = jnp.split(jax.grad(energy)(x), 2, axis=-1)
        return jnp.concatenate([dp, -dq], -1)


class Spline(nnx.Module):
    """One layer of Kolmogorov-Arnold networks: a function on every edge, as a sum of bumps and silu."""

    def __init__(self, into, out, rngs):
        self.grid = np.linspace(-2, 2, 5, dtype=np.float32)
        self.weight = nnx.Param(0.3 * jax.random.normal(rngs.params(), (into, 5, out)))
        self.base = nnx.Param(0.3 * jax.random.normal(rngs.params(), (into, out)))

    def __call__(self, x):
        bumps = jnp.exp(-((x[..., None] - self.grid) ** 2))
        return jnp.einsum("big,igo->bo", bumps, self.weight[...]) + nnx.silu(x) @ self.base[...]


class KAN(nnx.Module):
    """Liu et al. (2024)."""

    def __init__(self, rngs):
        self.layers = nnx.List([Spline(3, 4, rngs), Spline(4, 2, rngs)])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Gaussians(nnx.Module):
    """Moody and Darken (1989): radial basis functions around learned centres."""

    def __init__(self, rngs):
        self.centres = nnx.Param(jax.random.normal(rngs.params(), (6, 3)))
        self.widths, self.out = nnx.Param(jnp.zeros(6)), nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        square = ((x[:, None] - self.centres[...]) ** 2).sum(-1)
        return self.out(jnp.exp(-square * jnp.exp(self.widths[...])))


MODELS = {
    "nerf": lambda: Example(NeRF(), (numbers(3, 5, 3), numbers(3, 3, seed=1)), spread=True),
    "fourier_features": lambda: Example(FourierFeatures(), numbers(3, 2)),
    "siren": lambda: Example(Siren(), numbers(3, 2)),
    "hash_grid": lambda: Example(HashGrid(), np.abs(numbers(3, 2)) / 4),
    "pinn": lambda: Example(PINN(), numbers(3, 2)),
    "deeponet": lambda: Example(DeepONet(), (numbers(3, 6), numbers(3, 2, seed=1)), spread=True),
    "fno": lambda: Example(FNO(), numbers(3, 8, 1)),
    "complex_net": lambda: Example(ComplexNet(), numbers(3, 6), 5),
    "hamiltonian": lambda: Example(Hamiltonian(nnx.Rngs(0)), numbers(3, 4)),
    "kan": lambda: Example(KAN(nnx.Rngs(0)), numbers(3, 3)),
    "radial_basis": lambda: Example(Gaussians(nnx.Rngs(0)), numbers(3, 3)),
}
