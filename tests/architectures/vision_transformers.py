"""Transformers and mixers over pictures, alone and beside text, after their papers."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures, tokens


class Block(nn.Module):
    """Attention and a small perceptron, both after a normalisation."""

    heads: int = 2

    @nn.compact
    def __call__(self, x, mask=None):
        width = x.shape[-1]
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.heads, name="attention")(y, y, mask=mask)
        y = nn.gelu(nn.Dense(2 * width, name="up")(nn.LayerNorm()(x)))
        return x + nn.Dense(width, name="down")(y)


class Patches(nn.Module):
    size: int
    width: int

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.width, (self.size, self.size), (self.size, self.size), padding="VALID", name="project")(x)
        x = x.reshape(x.shape[0], -1, self.width)
        return x + self.param("places", nn.initializers.normal(0.02), (1, x.shape[1], self.width))


class ViT(nn.Module):
    """Dosovitskiy et al. (2021), with the mean instead of a class token."""

    @nn.compact
    def __call__(self, x):
        x = Patches(4, 8, name="patches")(x)
        for _ in range(2):
            x = Block()(x)
        return nn.Dense(5, name="head")(nn.LayerNorm()(x).mean(1))


class DeiT(nn.Module):
    """Touvron et al. (2021): a second token that listens to a teacher; in evaluation both answers are averaged."""

    @nn.compact
    def __call__(self, x):
        x = Patches(4, 8, name="patches")(x)
        extra = self.param("tokens", nn.initializers.normal(0.02), (1, 2, 8))
        x = jnp.concatenate([jnp.repeat(extra, x.shape[0], axis=0), x], axis=1)
        x = nn.LayerNorm()(Block()(x))
        return (nn.Dense(5, name="head")(x[:, 0]) + nn.Dense(5, name="teacher_head")(x[:, 1])) / 2


class WindowAttention(nn.Module):
    heads: int = 2

    @nn.compact
    def __call__(self, x, window, mask=None):
        width = x.shape[-1]
        q, k, v = jnp.split(nn.Dense(3 * width, name="qkv")(x), 3, axis=-1)
        heads = lambda z: z.reshape(*z.shape[:2], self.heads, -1)  # noqa: E731
        table = self.param("bias", nn.initializers.normal(0.02), ((2 * window - 1) ** 2, self.heads))
        place = np.stack(np.meshgrid(*[np.arange(window)] * 2, indexing="ij"), -1).reshape(-1, 2)
        apart = place[:, None] - place[None] + window - 1
        bias = table[apart[..., 0] * (2 * window - 1) + apart[..., 1]].transpose(2, 0, 1)
        scores = jnp.einsum("bqhd,bkhd->bhqk", heads(q), heads(k)) * (width // self.heads) ** -0.5 + bias
        if mask is not None:
            scores = jnp.where(mask, scores, -1e9)
        y = jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores, axis=-1), heads(v))
        return nn.Dense(width, name="out")(y.reshape(x.shape))


class Swin(nn.Module):
    """Liu et al. (2021): windows with a relative position bias, then patches merged."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (2, 2), (2, 2), name="patches")(x)
        for shift in (0, 1):
            n, h, w, c = x.shape
            y = jnp.roll(nn.LayerNorm(name=f"norm{shift}")(x), (-shift, -shift), (1, 2))
            y = y.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
            y = WindowAttention(name=f"attention{shift}")(y, 2)
            y = y.reshape(n, h // 2, w // 2, 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
            x = x + jnp.roll(y, (shift, shift), (1, 2))
        corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        x = nn.Dense(12, use_bias=False, name="merge")(nn.LayerNorm()(jnp.concatenate(corners, -1)))
        return nn.Dense(5, name="head")(x.mean((1, 2)))


class TextTower(nn.Module):
    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(11, 8, name="table")(ids)
        x = x + self.param("places", nn.initializers.normal(0.02), (ids.shape[1], 8))
        x = Block()(x, nn.make_causal_mask(ids))
        end = ids.argmax(-1)
        x = jnp.take_along_axis(nn.LayerNorm()(x), end[:, None, None], axis=1)[:, 0]
        return nn.Dense(4, use_bias=False, name="project")(x)


class ImageTower(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = Block()(Patches(4, 8, name="patches")(x))
        return nn.Dense(4, use_bias=False, name="project")(nn.LayerNorm()(x).mean(1))


class CLIP(nn.Module):
    """Radford et al. (2021): pictures and texts on one sphere; what they have in common, over the whole batch."""

    @nn.compact
    def __call__(self, batch):
        image, text = ImageTower(name="image")(batch["image"]), TextTower(name="text")(batch["text"])
        image = image / jnp.linalg.norm(image, axis=-1, keepdims=True)
        text = text / jnp.linalg.norm(text, axis=-1, keepdims=True)
        scale = jnp.exp(self.param("log_scale", nn.initializers.constant(2.6), ()))
        return {"image": image, "text": text, "logits": scale * image @ text.T}


class PoolingHead(nn.Module):
    @nn.compact
    def __call__(self, x):
        probe = self.param("probe", nn.initializers.normal(0.02), (1, 1, x.shape[-1]))
        probe = jnp.tile(probe, (x.shape[0], 1, 1))
        x = nn.MultiHeadDotProductAttention(2, name="attention")(probe, x)
        return (x + nn.Dense(8, name="out")(nn.gelu(nn.Dense(12, name="up")(nn.LayerNorm()(x)))))[:, 0]


class SigLIP(nn.Module):
    """Zhai et al. (2023): attention pooling, and a sigmoid for each pair."""

    @nn.compact
    def __call__(self, image, text):
        a = nn.Dense(4, name="image_head")(PoolingHead(name="pool")(Block(name="image")(Patches(4, 8)(image))))
        b = nn.Dense(4, name="text_head")(Block(name="text")(nn.Embed(11, 8)(text))[:, -1])
        a, b = (x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-6) for x in (a, b))
        scale, bias = (self.param(name, nn.initializers.zeros, ()) for name in ("scale", "bias"))
        return nn.sigmoid((a * b).sum(-1) * jnp.exp(scale) + bias)


class DETR(nn.Module):
    """Carion et al. (2020): learned queries ask the encoded picture for objects."""

    @nn.compact
    def __call__(self, x):
        memory = nn.relu(nn.Conv(8, (3, 3), (2, 2), name="backbone")(x))
        memory = memory.reshape(x.shape[0], -1, 8)
        places = self.param("places", nn.initializers.normal(1.0), (memory.shape[1], 8))
        memory = Block(name="encoder")(memory + places)
        query = self.param("queries", nn.initializers.normal(1.0), (5, 8))
        y = jnp.broadcast_to(query, (x.shape[0], 5, 8))
        y = nn.LayerNorm()(y + nn.MultiHeadDotProductAttention(2, name="among_queries")(y, y))
        y = nn.LayerNorm()(y + nn.MultiHeadDotProductAttention(2, name="to_picture")(y, memory + places, memory))
        y = nn.LayerNorm()(y + nn.Dense(8, name="down")(nn.relu(nn.Dense(16, name="up")(y))))
        boxes = nn.sigmoid(nn.Dense(4, name="box2")(nn.relu(nn.Dense(8, name="box1")(y))))
        return {"logits": nn.Dense(4, name="classes")(y), "boxes": boxes}


class SAM(nn.Module):
    """Kirillov et al. (2023): a picture, points as prompts, a decoder that looks both ways; masks."""

    @nn.compact
    def __call__(self, image, points):
        x = Block(name="encoder")(Patches(2, 8, name="patches")(image))
        frequencies = self.param("frequencies", nn.initializers.normal(1.0), (2, 4))
        angles = 2 * jnp.pi * points @ frequencies
        prompt = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
        mask_tokens = self.param("mask_tokens", nn.initializers.normal(1.0), (2, 8))
        y = jnp.concatenate([jnp.broadcast_to(mask_tokens, (x.shape[0], 2, 8)), prompt], 1)
        y = y + nn.MultiHeadDotProductAttention(2, name="tokens_to_image")(y, x)
        y = y + nn.Dense(8, name="down")(nn.relu(nn.Dense(12, name="up")(y)))
        x = x + nn.MultiHeadDotProductAttention(2, name="image_to_tokens")(x, y)
        side = int(x.shape[1] ** 0.5)
        maps = nn.gelu(nn.ConvTranspose(4, (2, 2), (2, 2), name="enlarge")(x.reshape(-1, side, side, 8)))
        hyper = nn.Dense(4, name="hyper")(y[:, :2])
        return jnp.einsum("nmc,nhwc->nmhw", hyper, maps), nn.Dense(2, name="quality")(y[:, 0])


class MAE(nn.Module):
    """He et al. (2022): most patches are left out and restored from a mask token."""

    @nn.compact
    def __call__(self, x):
        x = Patches(2, 8, name="patches")(x)
        order = np.random.default_rng(0).permutation(x.shape[1])
        kept = len(order) // 4
        seen = Block(name="encoder")(x[:, order[:kept]])
        token = self.param("mask_token", nn.initializers.normal(0.02), (1, 1, 8))
        y = jnp.concatenate([seen, jnp.tile(token, (x.shape[0], len(order) - kept, 1))], 1)
        y = jnp.take(y, np.argsort(order), axis=1)
        return nn.Dense(12, name="pixels")(Block(name="decoder")(y))


class Perceiver(nn.Module):
    """Jaegle et al. (2021): a few latents read a large input, again and again with the same parameters."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8, name="embed")(x.reshape(x.shape[0], -1, x.shape[-1]))
        latents = self.param("latents", nn.initializers.normal(0.02), (4, 6))
        z = jnp.broadcast_to(latents, (x.shape[0], 4, 6))
        cross = nn.MultiHeadDotProductAttention(1, qkv_features=6, out_features=6, name="cross")
        norm, process = nn.LayerNorm(name="norm"), Block(name="process")
        for _ in range(2):
            z = z + cross(norm(z), x)
            z = process(z)
        return nn.Dense(5, name="head")(z.mean(1))


class GMLPBlock(nnx.Module):
    def __init__(self, width, length, rngs):
        self.norm, self.inner = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.into, self.out = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(width, width, rngs=rngs)
        self.spatial = nnx.Linear(length, length, bias_init=nnx.initializers.ones, rngs=rngs)

    def __call__(self, x):
        u, v = jnp.split(nnx.gelu(self.into(self.norm(x))), 2, axis=-1)
        v = self.spatial(self.inner(v).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.out(u * v)


class GMLP(nnx.Module):
    """Liu et al. (2021b): a gate over positions in the place of attention."""

    def __init__(self, rngs):
        self.patches = nnx.Conv(3, 8, (4, 4), (4, 4), rngs=rngs)
        self.blocks = nnx.List([GMLPBlock(8, 4, rngs) for _ in range(2)])
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x).reshape(x.shape[0], -1, 8)
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(x, axis=1))


class PoolFormer(nnx.Module):
    """Yu et al. (2022): the average of the neighbours minus itself mixes tokens."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (2, 2), (2, 2), rngs=rngs)
        self.norms = nnx.List([nnx.GroupNorm(6, num_groups=1, rngs=rngs) for _ in range(2)])
        self.up, self.down = nnx.Conv(6, 12, (1, 1), rngs=rngs), nnx.Conv(12, 6, (1, 1), rngs=rngs)
        self.scale = nnx.Param(jnp.full(6, 0.1))
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        y = self.norms[0](x)
        x = x + self.scale[...] * (nnx.avg_pool(y, (3, 3), padding="SAME") - y)
        x = x + self.down(nnx.gelu(self.up(self.norms[1](x))))
        return self.head(x.mean((1, 2)))


MODELS = {
    "vit_linen": lambda: Example(ViT(), pictures(), 5),
    "deit": lambda: Example(DeiT(), pictures(), 5),
    "swin_linen": lambda: Example(Swin(), pictures(), 5),
    "clip": lambda: Example(CLIP(), {"image": pictures(), "text": tokens(11, 5)}),
    "siglip": lambda: Example(SigLIP(), (pictures(), tokens(11, 5)), spread=True),
    "detr": lambda: Example(DETR(), pictures()),
    "sam": lambda: Example(SAM(), (pictures(), np.abs(numbers(3, 2, 2, seed=1))), spread=True),
    "mae": lambda: Example(MAE(), pictures()),
    "perceiver": lambda: Example(Perceiver(), pictures(4), 5),
    "gmlp": lambda: Example(GMLP(nnx.Rngs(0)), pictures(), 5),
    "poolformer": lambda: Example(PoolFormer(nnx.Rngs(0)), pictures(), 5),
}
