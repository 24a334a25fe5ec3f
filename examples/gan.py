"""A GAN on digits: each network is recorded into a folder of its own beneath one, which gives one page of both."""

import jax
import optax
from flax import linen as nn

from reportgen import Recorder, build, load_dataset

digits, noise = load_dataset("digits"), jax.random.normal(jax.random.key(0), (1700, 16))
real, test = digits.train_images[:1400], (digits.test_images, digits.test_labels)
make = nn.Sequential([nn.Dense(128), nn.relu, nn.Dense(64), nn.sigmoid, lambda x: x.reshape(-1, 8, 8, 1)])
judge = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(128), nn.relu, nn.Dense(64), nn.relu, nn.Dense(1)])
g, d, adam = make.init(jax.random.key(1), noise), judge.init(jax.random.key(2), real), optax.adam(1e-3, b1=0.5)
state, update, error = adam.init((g, d)), jax.jit(adam.update), optax.sigmoid_binary_cross_entropy
g_loss = jax.jit(jax.value_and_grad(lambda g, d, z: error(judge.apply(d, make.apply(g, z)), 1).mean()))
d_loss = jax.jit(jax.value_and_grad(lambda d, x, y: (error(judge.apply(d, x), 1) + error(judge.apply(d, y), 0)).mean()))
data = {"probe": (test[0][:8], test[1][:8]), "evaluation": test, "task": "none"}
generator = Recorder("runs/gan/generator", make, g, probe=noise[:8], evaluation=noise[1400:], overwrite=True)
discriminator = Recorder("runs/gan/discriminator", judge, d, **data, overwrite=True)
with generator, discriminator:
    for _ in range(20):
        for x, z in zip(real.reshape(28, 50, 8, 8, 1), noise[:1400].reshape(28, 50, 16), strict=True):
            (fooled, g_slope), (missed, d_slope) = g_loss(g, d, z), d_loss(d, x, make.apply(g, z))
            change, state = update((g_slope, d_slope), state)
            g, d = optax.apply_updates((g, d), change)
            generator.step(g, loss=fooled)
            discriminator.step(d, loss=missed)
        generator.epoch(g)
        discriminator.epoch(d)
build("runs/gan", title="A GAN on digits: discriminator and generator").save("gan.html")
