"""Networks over sound and other signals [time, channel], after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers, tokens


class WaveNet(nn.Module):
    """Van den Oord et al. (2016b): gated, dilated, causal convolutions; all skips are summed."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (2,), padding="CAUSAL", name="stem")(x)
        skips = 0
        for number, dilation in enumerate((1, 2, 4)):
            conv = lambda name, d=dilation: nn.Conv(4, (2,), kernel_dilation=d, padding="CAUSAL", name=name)  # noqa: E731
            y = jnp.tanh(conv(f"filter{number}")(x)) * nn.sigmoid(conv(f"gate{number}")(x))
            skips = skips + nn.Conv(6, (1,), name=f"skip{number}")(y)
            x = x + nn.Conv(4, (1,), name=f"residual{number}")(y)
        return nn.Conv(8, (1,), name="levels")(nn.relu(nn.Conv(6, (1,), name="mix")(nn.relu(skips))))


class M5(nn.Module):
    """Dai et al. (2017): a deep classifier of raw waveforms."""

    @nn.compact
    def __call__(self, x, train=False):
        for size, width in ((8, 4), (3, 6)):
            x = nn.Conv(width, (size,), (2,))(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            x = nn.max_pool(x, (2,), (2,))
        return nn.log_softmax(nn.Dense(5)(x.mean(1)))


class Spectrogram(nn.Module):
    """A picture of the waveform's frequencies, made inside the network, and a convolution over it."""

    @nn.compact
    def __call__(self, x):
        frames = jnp.stack([x[:, start : start + 8] for start in range(0, x.shape[1] - 7, 4)], 1)
        power = jnp.abs(jnp.fft.rfft(frames * jnp.hanning(8), axis=-1)) ** 2
        y = jnp.log(power + 1e-3)[..., None]
        y = nn.relu(nn.Conv(4, (3, 3), name="conv")(y))
        return nn.Dense(5, name="head")(y.mean((1, 2)))


class ConformerBlock(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        def feed(x, name):
            y = nn.swish(nn.Dense(16, name=f"{name}_up")(nn.LayerNorm(name=f"{name}_norm")(x)))
            return nn.Dense(8, name=f"{name}_down")(y)

        x = x + 0.5 * feed(x, "feed1")
        x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm(name="attention_norm")(x))
        y = nn.glu(nn.Conv(16, (1,), name="gate")(nn.LayerNorm(name="conv_norm")(x)))
        y = nn.Conv(8, (3,), feature_group_count=8, name="depthwise")(y)
        y = nn.swish(nn.BatchNorm(use_running_average=not train, name="batch_norm")(y))
        x = x + nn.Conv(8, (1,), name="pointwise")(y)
        return nn.LayerNorm(name="norm")(x + 0.5 * feed(x, "feed2"))


class Conformer(nn.Module):
    """Gulati et al. (2020): attention and convolution between two half-steps of a perceptron; CTC logits."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(8, (3,), (2,), name="subsample")(x))
        return nn.Dense(6, name="head")(ConformerBlock(name="block")(x, train))


class Whisper(nn.Module):
    """Radford et al. (2023): a spectrogram encoded, a text decoded with causal and cross attention."""

    @nn.compact
    def __call__(self, mel, ids):
        x = nn.gelu(nn.Conv(8, (3,), name="conv1")(mel))
        x = nn.gelu(nn.Conv(8, (3,), (2,), name="conv2")(x))
        angles = np.arange(x.shape[1])[:, None] / 100.0 ** (np.arange(4) / 4)
        x = x + jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
        attend = lambda name: nn.MultiHeadDotProductAttention(2, name=name)  # noqa: E731
        y = nn.LayerNorm(name="encoder_norm")(x)
        x = nn.LayerNorm(name="encoded")(x + attend("encoder")(y))
        table = nn.Embed(9, 8, name="table")
        z = table(ids) + self.param("places", nn.initializers.normal(0.02), (ids.shape[1], 8))
        y = nn.LayerNorm(name="decoder_norm")(z)
        z = z + attend("decoder")(y, mask=nn.make_causal_mask(ids))
        z = z + attend("cross")(nn.LayerNorm(name="cross_norm")(z), x)
        z = z + nn.Dense(8, name="down")(nn.gelu(nn.Dense(16, name="up")(nn.LayerNorm(name="feed_norm")(z))))
        return table.attend(nn.LayerNorm(name="norm")(z))


class CRNN(nn.Module):
    """Shi et al. (2017): convolutions over a line of text, read by a bidirectional LSTM."""

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(4, (3, 3), name="conv")(x)), (2, 2), (2, 2))
        x = x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)
        cell = lambda: nn.RNN(nn.OptimizedLSTMCell(4))  # noqa: E731
        return nn.Dense(6, name="head")(nn.Bidirectional(cell(), cell(), name="reader")(x))


class Snake(nn.Module):
    """Ziyin et al. (2020): x + sin(ax)^2 / a, with a learned for each channel."""

    @nn.compact
    def __call__(self, x):
        alpha = self.param("alpha", nn.initializers.ones, (x.shape[-1],))
        return x + jnp.sin(alpha * x) ** 2 / (alpha + 1e-6)


class Vocoder(nn.Module):
    """Kong et al. (2020), Lee et al. (2023): transposed convolutions and periodic activations."""

    @nn.compact
    def __call__(self, mel):
        x = nn.Conv(6, (3,), name="stem")(mel)
        for number in range(2):
            x = nn.ConvTranspose(4, (4,), (2,), name=f"up{number}")(Snake(name=f"snake{number}")(x))
            x = x + nn.Conv(4, (3,), kernel_dilation=3, name=f"residual{number}")(nn.leaky_relu(x, 0.1))
        return jnp.tanh(nn.Conv(1, (7,), name="wave")(x))


class ConvTasNet(nnx.Module):
    """Luo and Mesgarani (2019): learned filters, a mask for each speaker, filters back to waves."""

    def __init__(self, rngs):
        self.encoder = nnx.Conv(1, 6, (4,), (2,), use_bias=False, rngs=rngs)
        self.norm = nnx.GroupNorm(6, num_groups=1, rngs=rngs)
        self.into, self.out = nnx.Conv(6, 8, (1,), rngs=rngs), nnx.Conv(8, 12, (1,), rngs=rngs)
        self.depthwise = nnx.Conv(8, 8, (3,), kernel_dilation=2, feature_group_count=8, rngs=rngs)
        self.slope = nnx.PReLU()
        self.decoder = nnx.ConvTranspose(6, 1, (4,), (2,), use_bias=False, rngs=rngs)

    def __call__(self, x):
        w = nnx.relu(self.encoder(x))
        y = self.out(self.slope(self.depthwise(self.slope(self.into(self.norm(w))))))
        masks = nnx.sigmoid(y).reshape(*y.shape[:2], 2, 6)
        return jnp.stack([self.decoder(w * masks[:, :, speaker]) for speaker in range(2)], 1)


class TCN(nnx.Module):
    """Bai et al. (2018): weight-normalised causal convolutions with residuals."""

    def __init__(self, rngs):
        self.convs = nnx.List(
            [nnx.Conv(i, 6, (3,), kernel_dilation=d, padding="CAUSAL", rngs=rngs) for i, d in ((2, 1), (6, 2), (6, 4))]
        )
        self.normed = nnx.List([nnx.WeightNorm(conv, rngs=rngs) for conv in self.convs])
        self.skip, self.head = nnx.Conv(2, 6, (1,), rngs=rngs), nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        for number, conv in enumerate(self.normed):
            x = nnx.relu(nnx.relu(conv(x)) + (x if number else self.skip(x)))
        return self.head(x[:, -1])


class Wav2Vec(nnx.Module):
    """Baevski et al. (2020): features of a waveform, context by attention, codes by a softmax over a table."""

    def __init__(self, rngs):
        self.features = nnx.Conv(1, 8, (4,), (4,), rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.place = nnx.Conv(8, 8, (3,), feature_group_count=2, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.logits = nnx.Linear(8, 5, rngs=rngs)
        self.codes = nnx.Param(jax.random.normal(rngs.params(), (5, 8)))

    def __call__(self, x):
        z = self.norm(nnx.gelu(self.features(x)))
        context = z + nnx.gelu(self.place(z))
        context = context + self.attention(context)
        chosen = nnx.softmax(self.logits(z) / 0.5) @ self.codes[...]
        norm = lambda v: v / jnp.linalg.norm(v, axis=-1, keepdims=True)  # noqa: E731
        return (norm(context) * norm(chosen)).sum(-1)


class Tacotron(nnx.Module):
    """Wang et al. (2017): prenet, a highway, a GRU over what comes out."""

    def __init__(self, rngs):
        self.table, self.prenet = nnx.Embed(9, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)
        self.highway, self.gate = nnx.Linear(6, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.rnn, self.mel = nnx.RNN(nnx.GRUCell(6, 6, rngs=rngs)), nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, ids):
        x = self.drop(nnx.relu(self.prenet(self.table(ids))))
        t = nnx.sigmoid(self.gate(x))
        return self.mel(self.rnn(t * nnx.relu(self.highway(x)) + (1 - t) * x))


MODELS = {
    "wavenet": lambda: Example(WaveNet(), numbers(3, 12, 1)),
    "m5": lambda: Example(M5(), numbers(3, 32, 1), 5),
    "spectrogram": lambda: Example(Spectrogram(), numbers(3, 32), 5),
    "conformer": lambda: Example(Conformer(), numbers(3, 8, 4)),
    "whisper": lambda: Example(Whisper(), (numbers(3, 8, 4), tokens(9, 5)), spread=True),
    "crnn": lambda: Example(CRNN(), numbers(3, 4, 8, 1)),
    "vocoder": lambda: Example(Vocoder(), numbers(3, 6, 4)),
    "conv_tasnet": lambda: Example(ConvTasNet(nnx.Rngs(0)), numbers(3, 16, 1)),
    "tcn": lambda: Example(TCN(nnx.Rngs(0)), numbers(3, 9, 2), 4),
    "wav2vec": lambda: Example(Wav2Vec(nnx.Rngs(0)), numbers(3, 16, 1)),
    "tacotron": lambda: Example(Tacotron(nnx.Rngs(0)), tokens(9, 6)),
}
