"""Networks that generate: autoencoders, adversarial ones, diffusion, flows and energies, after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures


class VAE(nn.Module):
    """Kingma and Welling (2014): in evaluation the code is its mean."""

    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.Dense(12, name="encoder")(x.reshape(x.shape[0], -1)))
        mean, log_var = nn.Dense(3, name="mean")(h), nn.Dense(3, name="log_var")(h)
        z = mean
        if self.has_rng("sample"):
            z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(self.make_rng("sample"), mean.shape)
        logits = nn.Dense(x[0].size, name="pixels")(nn.relu(nn.Dense(12, name="decoder")(z)))
        return logits.reshape(x.shape), mean, log_var


class Quantizer(nn.Module):
    codes: int = 6

    @nn.compact
    def __call__(self, z):
        table = self.param("codebook", nn.initializers.normal(1.0), (self.codes, z.shape[-1]))
        distance = ((z[..., None, :] - table) ** 2).sum(-1)
        index = distance.argmin(-1)
        chosen = table[index]
        return z + jax.lax.stop_gradient(chosen - z), index


class VQVAE(nn.Module):
    """Van den Oord et al. (2017): codes from a table, passed straight through."""

    @nn.compact
    def __call__(self, x):
        z = nn.Conv(3, (1, 1), name="to_code")(nn.relu(nn.Conv(4, (4, 4), (2, 2), name="down")(x)))
        quantized, index = Quantizer(name="quantizer")(z)
        y = nn.relu(nn.Conv(4, (3, 3), name="from_code")(quantized))
        return {"picture": nn.ConvTranspose(1, (4, 4), (2, 2), name="up")(y), "codes": index}


class Generator(nn.Module):
    """Radford et al. (2016): noise to picture by transposed convolutions."""

    @nn.compact
    def __call__(self, z, train=False):
        x = nn.Dense(2 * 2 * 8)(z).reshape(-1, 2, 2, 8)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.ConvTranspose(4, (4, 4), (2, 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return jnp.tanh(nn.ConvTranspose(1, (4, 4), (2, 2))(x))


class Discriminator(nn.Module):
    """Radford et al. (2016): strided convolutions and leaky relu; one logit."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.leaky_relu(nn.Conv(4, (4, 4), (2, 2))(x), 0.2)
        x = nn.Conv(8, (4, 4), (2, 2), use_bias=False)(x)
        x = nn.leaky_relu(nn.BatchNorm(use_running_average=not train)(x), 0.2)
        return nn.Dense(1)(x.reshape(x.shape[0], -1)).squeeze(-1)


class SpectralCritic(nn.Module):
    """Miyato et al. (2018): every kernel divided by its largest singular value."""

    @nn.compact
    def __call__(self, x, train=False):
        for number, width in enumerate((4, 6)):
            conv = nn.Conv(width, (3, 3), (2, 2), name=f"conv{number}")
            x = nn.leaky_relu(nn.SpectralNorm(conv, name=f"norm{number}")(x, update_stats=train), 0.1)
        dense = nn.Dense(1, name="critic")
        return nn.SpectralNorm(dense, name="norm_critic")(x.sum((1, 2)), update_stats=train)


class ModulatedConv(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x, style):
        kernel = self.param("kernel", nn.initializers.normal(1.0), (3, 3, x.shape[-1], self.out))
        scale = nn.Dense(x.shape[-1], bias_init=nn.initializers.ones, name="affine")(style)
        kernels = kernel[None] * scale[:, None, None, :, None]
        kernels = kernels * jax.lax.rsqrt((kernels**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        one = lambda x, k: jax.lax.conv_general_dilated(  # noqa: E731
            x[None], k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )[0]
        return jax.vmap(one)(x, kernels)


class StyleGAN(nn.Module):
    """Karras et al. (2020): a mapping network, a learned constant, kernels modulated by the style."""

    @nn.compact
    def __call__(self, z):
        w = z * jax.lax.rsqrt(jnp.mean(z**2, axis=-1, keepdims=True) + 1e-8)
        for number in range(2):
            w = nn.leaky_relu(nn.Dense(6, name=f"mapping{number}")(w), 0.2)
        x = self.param("constant", nn.initializers.normal(1.0), (1, 4, 4, 4))
        x = jnp.tile(x, (z.shape[0], 1, 1, 1))
        picture = 0.0
        for number, width in enumerate((4, 4)):
            x = nn.leaky_relu(ModulatedConv(width, name=f"conv{number}")(x, w), 0.2)
            picture = picture + nn.Conv(3, (1, 1), name=f"to_rgb{number}")(x)
            if number == 0:
                x = jax.image.resize(x, (x.shape[0], 8, 8, width), "bilinear")
                picture = jax.image.resize(picture, (x.shape[0], 8, 8, 3), "bilinear")
        return picture


class CycleGAN(nn.Module):
    """Zhu et al. (2017): reflected borders, instance normalisation, residual blocks."""

    @nn.compact
    def __call__(self, x):
        reflect = lambda x, n: jnp.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), mode="reflect")  # noqa: E731
        y = nn.relu(nn.InstanceNorm()(nn.Conv(4, (5, 5), padding="VALID")(reflect(x, 2))))
        for _ in range(2):
            r = nn.relu(nn.InstanceNorm()(nn.Conv(4, (3, 3), padding="VALID")(reflect(y, 1))))
            y = y + nn.InstanceNorm()(nn.Conv(4, (3, 3), padding="VALID")(reflect(r, 1)))
        return nn.tanh(nn.Conv(3, (5, 5), padding="VALID")(reflect(y, 2)))


class PixelCNN(nn.Module):
    """Van den Oord et al. (2016): masked kernels, so that a pixel sees only those before it."""

    @nn.compact
    def __call__(self, x):
        for number in range(3):
            mask = np.ones((3, 3, 1, 1), np.float32)
            mask[2:], mask[1, 2:] = 0, 0
            mask[1, 1] = number > 0
            full = np.broadcast_to(mask, (3, 3, x.shape[-1], 4))
            y = nn.Conv(4, (3, 3), mask=jnp.asarray(full), name=f"conv{number}")(x)
            x = y if number == 0 else x + nn.relu(y)
        return nn.Conv(8, (1, 1), name="levels")(x)


def sinusoids(t, width):
    angles = t[:, None] * jnp.exp(-jnp.log(1000.0) * jnp.arange(width // 2) / (width // 2))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


class DDPM(nn.Module):
    """Ho et al. (2020): a U that is told the time, with attention at the bottom."""

    @nn.compact
    def __call__(self, x, t):
        time = nn.Dense(8, name="time2")(nn.swish(nn.Dense(8, name="time1")(sinusoids(t, 8))))

        def block(x, width, name):
            y = nn.Conv(width, (3, 3), name=f"{name}_conv1")(nn.swish(nn.GroupNorm(2, name=f"{name}_norm1")(x)))
            y = y + nn.Dense(width, name=f"{name}_time")(nn.swish(time))[:, None, None]
            y = nn.Conv(width, (3, 3), name=f"{name}_conv2")(nn.swish(nn.GroupNorm(2, name=f"{name}_norm2")(y)))
            return y + (x if x.shape == y.shape else nn.Conv(width, (1, 1), name=f"{name}_skip")(x))

        fine = block(nn.Conv(4, (3, 3), name="stem")(x), 4, "down")
        low = block(nn.avg_pool(fine, (2, 2), (2, 2)), 8, "middle")
        flat = nn.GroupNorm(2, name="norm")(low).reshape(low.shape[0], -1, 8)
        low = low + nn.MultiHeadDotProductAttention(2, name="attention")(flat).reshape(low.shape)
        up = jax.image.resize(low, (*fine.shape[:3], 8), "nearest")
        return nn.Conv(1, (3, 3), name="noise")(block(jnp.concatenate([fine, up], -1), 4, "up"))


class DiTBlock(nnx.Module):
    def __init__(self, width, rngs):
        self.norm1 = nnx.LayerNorm(width, use_bias=False, use_scale=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(width, use_bias=False, use_scale=False, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(2 * width, width, rngs=rngs)
        self.modulation = nnx.Linear(width, 6 * width, rngs=rngs)

    def __call__(self, x, condition):
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(
            self.modulation(nnx.silu(condition))[:, None], 6, axis=-1
        )
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        y = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.down(nnx.gelu(self.up(y)))


class DiT(nnx.Module):
    """Peebles and Xie (2023): a transformer over patches, each block modulated by time and class."""

    def __init__(self, rngs, width=8):
        self.patches = nnx.Conv(2, width, (2, 2), (2, 2), rngs=rngs)
        self.time = nnx.Linear(8, width, rngs=rngs)
        self.label = nnx.Embed(4, width, rngs=rngs)
        self.blocks = nnx.List([DiTBlock(width, rngs) for _ in range(2)])
        self.head = nnx.Linear(width, 2 * 2 * 2, rngs=rngs)

    def __call__(self, x, t, label):
        y = self.patches(x)
        n, h, w, c = y.shape
        y = y.reshape(n, h * w, c)
        condition = self.time(sinusoids(t, 8)) + self.label(label)
        for block in self.blocks:
            y = block(y, condition)
        y = self.head(y).reshape(n, h, w, 2, 2, 2)
        return y.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, 2)


class Coupling(nnx.Module):
    def __init__(self, width, rngs):
        self.hidden = nnx.Linear(width, 8, rngs=rngs)
        self.out = nnx.Linear(8, 2 * width, rngs=rngs)

    def __call__(self, x, flip):
        a, b = jnp.split(x, 2, axis=-1)
        if flip:
            a, b = b, a
        shift, log_scale = jnp.split(self.out(nnx.relu(self.hidden(a))), 2, axis=-1)
        log_scale = 2 * jnp.tanh(log_scale / 2)
        b = b * jnp.exp(log_scale) + shift
        return jnp.concatenate([b, a] if flip else [a, b], -1), log_scale.sum(-1)


class RealNVP(nnx.Module):
    """Dinh et al. (2017): half of the values scale and shift the other half."""

    def __init__(self, rngs):
        self.couplings = nnx.List([Coupling(2, rngs) for _ in range(3)])

    def __call__(self, x):
        total = jnp.zeros(x.shape[0])
        for number, coupling in enumerate(self.couplings):
            x, log_det = coupling(x, number % 2 == 1)
            total = total + log_det
        return -0.5 * (x**2).sum(-1) - 0.5 * x.shape[-1] * jnp.log(2 * jnp.pi) + total


class Glow(nnx.Module):
    """Kingma and Dhariwal (2018): squeeze, actnorm, an invertible 1x1 convolution, an affine coupling."""

    def __init__(self, rngs):
        self.bias, self.log_scale = nnx.Param(jnp.zeros(4)), nnx.Param(jnp.zeros(4))
        q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
        self.mix = nnx.Param(jnp.asarray(q, jnp.float32))
        self.conv1, self.conv2 = nnx.Conv(2, 6, (3, 3), rngs=rngs), nnx.Conv(6, 4, (3, 3), rngs=rngs)

    def __call__(self, x):
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)
        log_det = (h * w / 4) * (self.log_scale[...].sum() + jnp.linalg.slogdet(self.mix[...])[1])
        x = (x + self.bias[...]) * jnp.exp(self.log_scale[...])
        x = jnp.einsum("nhwc,cd->nhwd", x, self.mix[...])
        a, b = jnp.split(x, 2, axis=-1)
        shift, scale = jnp.split(self.conv2(nnx.relu(self.conv1(a))), 2, axis=-1)
        scale = nnx.sigmoid(scale + 2)
        b = (b + shift) * scale
        return jnp.concatenate([a, b], -1), log_det + jnp.log(scale).sum((1, 2, 3))


class MADE(nnx.Module):
    """Germain et al. (2015): masks that make an autoencoder autoregressive."""

    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        order = np.arange(8) % 3
        self.mask1 = nnx.Variable(jnp.asarray(np.arange(4)[:, None] <= order, jnp.float32))
        self.mask2 = nnx.Variable(jnp.asarray(order[:, None] < np.arange(4), jnp.float32))

    def __call__(self, x):
        h = nnx.relu(x @ (self.first.kernel[...] * self.mask1[...]) + self.first.bias[...])
        return h @ (self.second.kernel[...] * self.mask2[...]) + self.second.bias[...]


class Energy(nnx.Module):
    """LeCun et al. (2006), Du and Mordatch (2019): a scalar, and its gradient at the input."""

    def __init__(self, rngs):
        self.hidden, self.energy = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.energy(nnx.swish(self.hidden(x)))[:, 0]


class Boltzmann(nnx.Module):
    """Smolensky (1986): the free energy of a restricted Boltzmann machine."""

    def __init__(self, rngs):
        self.weights = nnx.Param(0.3 * jax.random.normal(rngs.params(), (6, 4)))
        self.visible, self.hidden = nnx.Param(jnp.zeros(6)), nnx.Param(jnp.zeros(4))

    def __call__(self, v):
        return -v @ self.visible[...] - nnx.softplus(v @ self.weights[...] + self.hidden[...]).sum(-1)


times = np.array([1.0, 20.0, 300.0], np.float32)
MODELS = {
    "vae": lambda: Example(VAE(), pictures(4, 1)),
    "vqvae": lambda: Example(VQVAE(), pictures(8, 1)),
    "dcgan_generator": lambda: Example(Generator(), numbers(3, 5)),
    "dcgan_discriminator": lambda: Example(Discriminator(), pictures(8, 1)),
    "spectral_critic": lambda: Example(SpectralCritic(), pictures()),
    "stylegan": lambda: Example(StyleGAN(), numbers(3, 5)),
    "cyclegan": lambda: Example(CycleGAN(), pictures()),
    "pixelcnn": lambda: Example(PixelCNN(), pictures(6, 1)),
    "ddpm": lambda: Example(DDPM(), (pictures(8, 1), times), spread=True),
    "dit": lambda: Example(DiT(nnx.Rngs(0)), (pictures(4, 2), times, np.arange(3, dtype=np.int32)), spread=True),
    "realnvp": lambda: Example(RealNVP(nnx.Rngs(0)), numbers(3, 4)),
    "glow": lambda: Example(Glow(nnx.Rngs(0)), pictures(4, 1)),
    "made": lambda: Example(MADE(nnx.Rngs(0)), numbers(3, 4)),
    "energy": lambda: Example(Energy(nnx.Rngs(0)), numbers(3, 4)),
    "boltzmann": lambda: Example(Boltzmann(nnx.Rngs(0)), np.round(numbers(3, 6) > 0).astype(np.float32)),
}
