"""A GAN on digits: each network is recorded into a folder of its own beneath one, which gives one page of both."""

import jax
import optax
from flax import linen as nn

from reportgen import Recorder, build, load_dataset

make = nn.Sequential([nn.Dense(128), nn.relu, nn.Dense(64), nn.sigmoid, lambda x: x.reshape(-1, 8, 8, 1)])
judge = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(128), nn.relu, nn.Dense(64), nn.relu, nn.Dense(1)])
real, noise = load_dataset("digits").train_images, jax.random.normal(jax.random.key(0), (1438, 16))
g, d, adam = make.init(jax.random.key(1), noise), judge.init(jax.random.key(2), real), optax.adam(1e-3, b1=0.5)
state, update, error = adam.init((g, d)), jax.jit(adam.update), optax.sigmoid_binary_cross_entropy
mixed = jax.jit(lambda g, x, z: (jax.numpy.concatenate([make.apply(g, z), x]), jax.numpy.arange(2 * len(x)) // len(x)))
g_loss = jax.jit(jax.value_and_grad(lambda g, d, z: error(judge.apply(d, make.apply(g, z)), 1).mean()))
d_loss = jax.jit(jax.value_and_grad(lambda d, x, labels: error(judge.apply(d, x)[:, 0], labels).mean()))
data = {"probe": mixed(g, real[:4], noise[:4]), "evaluation": lambda: [mixed(g, real[1200:], noise[1200:])]}
generator = Recorder("runs/gan/generator", make, g, probe=noise[:8], overwrite=True)
discriminator = Recorder("runs/gan/discriminator", judge, d, **data, classes=["generated", "real"], overwrite=True)
with generator, discriminator:
    for _ in range(20):
        for x, z in zip(real[:1200].reshape(24, 50, 8, 8, 1), noise[:1200].reshape(24, 50, 16), strict=True):
            (fooled, g_slope), (missed, d_slope) = g_loss(g, d, z), d_loss(d, *mixed(g, x, z))
            change, state = update((g_slope, d_slope), state)
            g, d = optax.apply_updates((g, d), change)
            generator.step(g, loss=fooled)
            discriminator.step(d, loss=missed)
        generator.epoch(g)
        discriminator.epoch(d)
build("runs/gan").save("gan.html")
