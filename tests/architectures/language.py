"""Models of text after their papers; tokens in, in both libraries."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, tokens

WORDS = 11


class BERT(nn.Module):
    """Devlin et al. (2019): a dict of ids, segments and mask; a vector for the whole text and logits for its words."""

    @nn.compact
    def __call__(self, batch):
        ids = batch["input_ids"]
        table = nn.Embed(WORDS, 8, name="words")
        places = nn.Embed(16, 8, name="places")(jnp.arange(ids.shape[1])[None])
        x = table(ids) + places + nn.Embed(2, 8, name="segments")(batch["token_type_ids"])
        x = nn.LayerNorm(name="norm")(x)
        mask = nn.make_attention_mask(batch["attention_mask"], batch["attention_mask"])
        for layer in range(2):
            y = nn.MultiHeadDotProductAttention(2, name=f"attention{layer}")(x, mask=mask)
            x = nn.LayerNorm(name=f"norm{layer}_1")(x + y)
            y = nn.Dense(8, name=f"down{layer}")(nn.gelu(nn.Dense(16, name=f"up{layer}")(x), approximate=False))
            x = nn.LayerNorm(name=f"norm{layer}_2")(x + y)
        pooled = jnp.tanh(nn.Dense(8, name="pooler")(x[:, 0]))
        bias = self.param("bias", nn.initializers.zeros, (WORDS,))
        return {"pooled": pooled, "logits": table.attend(nn.gelu(nn.Dense(8, name="transform")(x))) + bias}


class T5Attention(nn.Module):
    """Heads with a bias by distance in buckets, no scale and no biases."""

    heads: int = 2
    causal: bool = False

    @nn.compact
    def __call__(self, x, memory, bias=None):
        project = lambda name: nn.DenseGeneral((self.heads, 4), use_bias=False, name=name)  # noqa: E731
        q, k, v = project("q")(x), project("k")(memory), project("v")(memory)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k)
        if bias is not None:
            scores = scores + bias
        if self.causal:
            scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, -1e10)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
        return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), use_bias=False, name="o")(y)


class T5Bias(nn.Module):
    heads: int = 2

    @nn.compact
    def __call__(self, length):
        apart = np.arange(length)[None] - np.arange(length)[:, None]
        bucket = np.where(np.abs(apart) < 3, np.abs(apart), 3) + 4 * (apart > 0)
        table = self.param("table", nn.initializers.normal(1.0), (8, self.heads))
        return table[bucket].transpose(2, 0, 1)[None]


class T5(nn.Module):
    """Raffel et al. (2020): encoder and decoder, relative positions, gated units."""

    @nn.compact
    def __call__(self, source, target):
        table = nn.Embed(WORDS, 8, name="table")

        def feed(x, name):
            y = nn.RMSNorm(name=f"{name}_norm")(x)
            gate = nn.gelu(nn.Dense(12, use_bias=False, name=f"{name}_wi0")(y))
            y = gate * nn.Dense(12, use_bias=False, name=f"{name}_wi1")(y)
            return x + nn.Dense(8, use_bias=False, name=f"{name}_wo")(y)

        x = table(source)
        y = nn.RMSNorm(name="encoder_norm")(x)
        x = feed(x + T5Attention(name="encoder")(y, y, T5Bias(name="encoder_bias")(source.shape[1])), "encoder_feed")
        z = table(target)
        y = nn.RMSNorm(name="decoder_norm")(z)
        z = z + T5Attention(causal=True, name="decoder")(y, y, T5Bias(name="decoder_bias")(target.shape[1]))
        z = z + T5Attention(name="cross")(nn.RMSNorm(name="cross_norm")(z), x)
        z = nn.RMSNorm(name="norm")(feed(z, "decoder_feed"))
        return table.attend(z * 8**-0.5)


class FNet(nn.Module):
    """Lee-Thorp et al. (2022): a Fourier transform in the place of attention."""

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(WORDS, 8, name="table")(ids)
        for _ in range(2):
            x = nn.LayerNorm()(x + jnp.fft.fft2(x.astype(jnp.complex64), axes=(1, 2)).real)
            x = nn.LayerNorm()(x + nn.Dense(8)(nn.gelu(nn.Dense(16)(x))))
        return nn.Dense(5, name="head")(x[:, 0])


class Performer(nn.Module):
    """Choromanski et al. (2021), Katharopoulos et al. (2020): linear attention by a feature map."""

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(WORDS, 8, name="table")(ids)
        q, k, v = (nn.Dense(8, use_bias=False, name=name)(x) for name in ("q", "k", "v"))
        q, k = nn.elu(q) + 1, nn.elu(k) + 1
        state = jnp.einsum("btk,btv->bkv", k, v)
        norm = jnp.einsum("btk,bk->bt", q, k.sum(1))
        x = x + jnp.einsum("btk,bkv->btv", q, state) / norm[..., None]
        return nn.Dense(WORDS, name="head")(nn.LayerNorm()(x))


class UniversalTransformer(nn.Module):
    """Dehghani et al. (2019): one block, applied again and again by a loop that shares its parameters."""

    @nn.compact
    def __call__(self, ids):
        class Step(nn.Module):
            @nn.compact
            def __call__(self, x, _):
                x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm(name="norm1")(x))
                return x + nn.Dense(8, name="out")(nn.relu(nn.Dense(8, name="in")(nn.LayerNorm(name="norm2")(x)))), None

        x = nn.Embed(WORDS, 8, name="table")(ids)
        loop = nn.scan(Step, variable_broadcast="params", split_rngs={"params": False}, length=3)
        x, _ = loop(name="block")(x, None)
        return nn.Dense(WORDS, name="head")(x)


class TextCNN(nn.Module):
    """Kim (2014): filters over three, four and five words, the largest response of each."""

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(WORDS, 6, name="table")(ids)
        parts = [jnp.max(nn.relu(nn.Conv(4, (size,), name=f"size{size}")(x)), axis=1) for size in (2, 3, 4)]
        return nn.Dense(5, name="head")(jnp.concatenate(parts, -1))


class FastText(nn.Module):
    """Joulin et al. (2017): the mean of the words' vectors, padding left out."""

    @nn.compact
    def __call__(self, ids):
        mask = (ids > 0)[..., None]
        x = jnp.where(mask, nn.Embed(WORDS, 6, name="table")(ids), 0.0)
        x = x.sum(1) / jnp.maximum(mask.sum(1), 1)
        return nn.Dense(5, name="head")(x)


class SkipGram(nn.Module):
    """Mikolov et al. (2013): a word's vector against those of its neighbours."""

    @nn.compact
    def __call__(self, centre, context):
        a = nn.Embed(WORDS, 6, name="centre")(centre)
        b = nn.Embed(WORDS, 6, name="context")(context)
        return nn.log_sigmoid(jnp.einsum("bd,bkd->bk", a, b))


def rotate(x, base=100.0):
    """Su et al. (2021): pairs of channels turned by their position."""
    half = x.shape[-1] // 2
    angles = jnp.arange(x.shape[1])[:, None] * base ** -(jnp.arange(half) / half)
    sin, cos = jnp.sin(angles)[:, None], jnp.cos(angles)[:, None]
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


class RMSNorm(nnx.Module):
    def __init__(self, width):
        self.scale = nnx.Param(jnp.zeros(width))

    def __call__(self, x):
        variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(variance + 1e-6) * (1 + self.scale[...])


class GroupedAttention(nnx.Module):
    """Ainslie et al. (2023): fewer keys and values than queries; `cap` bounds the scores, `window` what is seen."""

    def __init__(self, width, rngs, cap=None, window=None):
        self.q = nnx.LinearGeneral(width, (4, 4), use_bias=False, rngs=rngs)
        self.k = nnx.LinearGeneral(width, (2, 4), use_bias=False, rngs=rngs)
        self.v = nnx.LinearGeneral(width, (2, 4), use_bias=False, rngs=rngs)
        self.o = nnx.LinearGeneral((4, 4), width, axis=(-2, -1), use_bias=False, rngs=rngs)
        self.cap, self.window = cap, window

    def __call__(self, x):
        q, k, v = rotate(self.q(x)), rotate(self.k(x)), self.v(x)
        if self.cap is None and self.window is None:
            return self.o(jax.nn.dot_product_attention(q, k, v, is_causal=True))
        k, v = jnp.repeat(k, 2, axis=2), jnp.repeat(v, 2, axis=2)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * 0.5
        if self.cap is not None:
            scores = self.cap * jnp.tanh(scores / self.cap)
        place = jnp.arange(x.shape[1])
        seen = place[:, None] >= place
        if self.window is not None:
            seen = seen & (place[:, None] - place < self.window)
        weights = jax.nn.softmax(jnp.where(seen, scores, -1e30), axis=-1)
        return self.o(jnp.einsum("bhqk,bkhd->bqhd", weights, v))


class LlamaBlock(nnx.Module):
    def __init__(self, width, rngs, act=jax.nn.silu, **attention):
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attention = GroupedAttention(width, rngs, **attention)
        self.gate = nnx.Linear(width, 12, use_bias=False, rngs=rngs)
        self.up = nnx.Linear(width, 12, use_bias=False, rngs=rngs)
        self.down = nnx.Linear(12, width, use_bias=False, rngs=rngs)
        self.act = act

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        return x + self.down(self.act(self.gate(y)) * self.up(y))


class Llama(nnx.Module):
    """Touvron et al. (2023): rotary positions, RMS norms, gated units, grouped queries; `window` as in Mistral."""

    def __init__(self, rngs, window=None):
        self.table = nnx.Embed(WORDS, 8, rngs=rngs)
        self.blocks = nnx.List([LlamaBlock(8, rngs, window=window) for _ in range(2)])
        self.norm = RMSNorm(8)
        self.head = nnx.Linear(8, WORDS, use_bias=False, rngs=rngs)

    def __call__(self, ids):
        x = self.table(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Gemma(nnx.Module):
    """Gemma team (2024): soft caps on scores and logits, scaled embeddings that are the output layer too."""

    def __init__(self, rngs):
        self.table = nnx.Embed(WORDS, 8, rngs=rngs)
        self.block = LlamaBlock(8, rngs, act=lambda x: nnx.gelu(x, approximate=True), cap=5.0)
        self.norm = RMSNorm(8)

    def __call__(self, ids):
        x = self.block(self.table(ids) * jnp.sqrt(8.0))
        return 30.0 * jnp.tanh(self.table.attend(self.norm(x)) / 30.0)


class NeoX(nnx.Module):
    """Black et al. (2022): attention and perceptron side by side; ALiBi of Press et al. (2022) for positions."""

    def __init__(self, rngs):
        self.table, self.norm = nnx.Embed(WORDS, 8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.qkv, self.out = nnx.Linear(8, 24, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)
        self.head = nnx.Linear(8, WORDS, use_bias=False, rngs=rngs)

    def __call__(self, ids):
        x = self.table(ids)
        y = self.norm(x)
        q, k, v = jnp.moveaxis(self.qkv(y).reshape(*ids.shape, 2, 3, 4), 3, 0)
        apart = jnp.arange(ids.shape[1])[None] - jnp.arange(ids.shape[1])[:, None]
        bias = jnp.where(apart > 0, -jnp.inf, apart * jnp.array([0.25, 0.0625])[:, None, None])
        weights = nnx.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2 + bias)
        attended = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)
        return self.head(x + self.out(attended) + self.down(nnx.gelu(self.up(y))))


class Router(nnx.Module):
    """Fedus et al. (2022), Jiang et al. (2024): the two best of four experts, weighed; the others get nothing."""

    def __init__(self, width, rngs, experts=4, top=2):
        self.gate = nnx.Linear(width, experts, use_bias=False, rngs=rngs)
        self.up = nnx.Param(0.3 * jax.random.normal(rngs.params(), (experts, width, 12)))
        self.down = nnx.Param(0.3 * jax.random.normal(rngs.params(), (experts, 12, width)))
        self.top = top

    def __call__(self, x):
        weights, chosen = jax.lax.top_k(nnx.softmax(self.gate(x)), self.top)
        weights = weights / weights.sum(-1, keepdims=True)
        route = (jax.nn.one_hot(chosen, self.gate.out_features) * weights[..., None]).sum(-2)
        hidden = nnx.silu(jnp.einsum("btd,edh->bteh", x, self.up[...]))
        return jnp.einsum("bteh,ehd,bte->btd", hidden, self.down[...], route)


class MoE(nnx.Module):
    """A language model whose perceptron is a router of experts."""

    def __init__(self, rngs):
        self.table = nnx.Embed(WORDS, 8, rngs=rngs)
        self.norm, self.attention = nnx.RMSNorm(8, rngs=rngs), GroupedAttention(8, rngs)
        self.router, self.head = Router(8, rngs), nnx.Linear(8, WORDS, rngs=rngs)

    def __call__(self, ids):
        x = self.table(ids)
        x = x + self.attention(self.norm(x))
        return self.head(x + self.router(x))


def bert_batch():
    mask = np.ones((3, 6), np.int32)
    mask[1, 4:] = 0
    return {"input_ids": tokens(WORDS, 6), "token_type_ids": tokens(2, 6), "attention_mask": mask}


MODELS = {
    "bert": lambda: Example(BERT(), bert_batch()),
    "t5": lambda: Example(T5(), (tokens(WORDS, 6), tokens(WORDS, 5, seed=1)), spread=True),
    "fnet": lambda: Example(FNet(), tokens(WORDS, 6), 5),
    "performer": lambda: Example(Performer(), tokens(WORDS, 6)),
    "universal_transformer": lambda: Example(UniversalTransformer(), tokens(WORDS, 6)),
    "textcnn": lambda: Example(TextCNN(), tokens(WORDS, 8), 5),
    "fasttext": lambda: Example(FastText(), tokens(WORDS, 8), 5),
    "skipgram": lambda: Example(SkipGram(), (tokens(WORDS, 1)[:, 0], tokens(WORDS, 4, seed=1)), spread=True),
    "llama": lambda: Example(Llama(nnx.Rngs(0)), tokens(WORDS, 6)),
    "mistral": lambda: Example(Llama(nnx.Rngs(0), window=3), tokens(WORDS, 6)),
    "gemma": lambda: Example(Gemma(nnx.Rngs(0)), tokens(WORDS, 6)),
    "neox": lambda: Example(NeoX(nnx.Rngs(0)), tokens(WORDS, 6)),
    "mixture_of_experts": lambda: Example(MoE(nnx.Rngs(0)), tokens(WORDS, 6)),
}
