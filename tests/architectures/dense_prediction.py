"""Networks whose answer is a map, boxes or another picture, after their papers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures


class FCN(nn.Module):
    """Long et al. (2015): scores at two scales, the coarse ones enlarged and added."""

    @nn.compact
    def __call__(self, x):
        fine = nn.max_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2))
        coarse = nn.max_pool(nn.relu(nn.Conv(6, (3, 3))(fine)), (2, 2), (2, 2))
        up = nn.ConvTranspose(3, (4, 4), (2, 2), name="up2")(nn.Conv(3, (1, 1), name="score2")(coarse))
        return nn.ConvTranspose(3, (4, 4), (2, 2), name="up1")(up + nn.Conv(3, (1, 1), name="score1")(fine))


class DeepLab(nn.Module):
    """Chen et al. (2017): parallel dilated convolutions and the mean of the picture."""

    @nn.compact
    def __call__(self, x, train=False):
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3), (2, 2))(x)))
        parts = [nn.relu(nn.Conv(3, (3, 3), kernel_dilation=d, name=f"rate{d}")(y)) for d in (1, 2, 4)]
        pooled = nn.relu(nn.Conv(3, (1, 1), name="image")(y.mean((1, 2), keepdims=True)))
        y = jnp.concatenate([*parts, jnp.broadcast_to(pooled, (*y.shape[:3], 3))], -1)
        y = nn.Conv(4, (1, 1), name="classes")(nn.relu(nn.Conv(6, (1, 1), name="project")(y)))
        return jax.image.resize(y, (*x.shape[:3], 4), "bilinear")


class PSPNet(nn.Module):
    """Zhao et al. (2017): a pyramid of pooled maps, enlarged and joined."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        levels = [x]
        for size in (8, 4, 2):
            y = nn.relu(nn.Conv(2, (1, 1), name=f"level{size}")(nn.avg_pool(x, (size, size), (size, size))))
            levels.append(jax.image.resize(y, (*x.shape[:3], 2), "nearest"))
        return nn.Conv(3, (1, 1), name="classes")(jnp.concatenate(levels, -1))


class UNet3D(nn.Module):
    """Cicek et al. (2016): the U over volumes."""

    @nn.compact
    def __call__(self, x):
        fine = nn.relu(nn.GroupNorm(1)(nn.Conv(3, (3, 3, 3), name="down")(x)))
        low = nn.relu(nn.Conv(4, (3, 3, 3), name="bottom")(nn.max_pool(fine, (2, 2, 2), (2, 2, 2))))
        up = nn.ConvTranspose(3, (2, 2, 2), (2, 2, 2), name="up")(low)
        return nn.Conv(2, (1, 1, 1), name="classes")(jnp.concatenate([fine, up], -1))


class FPN(nn.Module):
    """Lin et al. (2017): a pyramid from the top down; the answer is a map per scale."""

    @nn.compact
    def __call__(self, x):
        stages = []
        for number, width in enumerate((4, 6, 8)):
            x = nn.relu(nn.Conv(width, (3, 3), (2, 2), name=f"bottom_up{number}")(x))
            stages.append(x)
        top = nn.Conv(4, (1, 1), name="lateral2")(stages[2])
        maps = {"p2": top}
        for number in (1, 0):
            lateral = nn.Conv(4, (1, 1), name=f"lateral{number}")(stages[number])
            top = lateral + jnp.repeat(jnp.repeat(top, 2, axis=1), 2, axis=2)
            maps[f"p{number}"] = nn.Conv(4, (3, 3), name=f"smooth{number}")(top)
        return maps


class RetinaHead(nn.Module):
    @nn.compact
    def __call__(self, x):
        boxes = nn.Conv(8, (3, 3), name="boxes")(nn.relu(nn.Conv(4, (3, 3), name="box_tower")(x)))
        scores = nn.Conv(6, (3, 3), name="scores")(nn.relu(nn.Conv(4, (3, 3), name="class_tower")(x)))
        return boxes.reshape(x.shape[0], -1, 4), scores.reshape(x.shape[0], -1, 3)


class RetinaNet(nn.Module):
    """Lin et al. (2017b): one head, its parameters shared by all scales."""

    @nn.compact
    def __call__(self, x):
        head = RetinaHead(name="head")
        fine = nn.relu(nn.Conv(4, (3, 3), (2, 2), name="stage1")(x))
        coarse = nn.relu(nn.Conv(4, (3, 3), (2, 2), name="stage2")(fine))
        (boxes1, scores1), (boxes2, scores2) = head(fine), head(coarse)
        boxes, scores = jnp.concatenate([boxes1, boxes2], 1), jnp.concatenate([scores1, scores2], 1)
        return {"boxes": boxes, "scores": nn.sigmoid(scores)}


class CenterNet(nn.Module):
    """Zhou et al. (2019): objects as points; peaks are what a max-pool leaves alone."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), (2, 2))(x))
        heat = nn.sigmoid(nn.Conv(2, (1, 1), name="heat")(nn.relu(nn.Conv(4, (3, 3))(x))))
        peaks = jnp.where(nn.max_pool(heat, (3, 3), padding="SAME") == heat, heat, 0.0)
        return {"heat": heat, "peaks": peaks, "size": nn.softplus(nn.Conv(2, (1, 1), name="size")(x))}


class AttentionGate(nn.Module):
    @nn.compact
    def __call__(self, skip, gate):
        y = nn.relu(nn.Conv(3, (1, 1), name="skip")(skip) + nn.Conv(3, (1, 1), name="gate")(gate))
        return skip * nn.sigmoid(nn.Conv(1, (1, 1), name="weight")(y))


class AttentionUNet(nn.Module):
    """Oktay et al. (2018): what crosses the U is weighed by what comes from below."""

    @nn.compact
    def __call__(self, x):
        fine = nn.relu(nn.Conv(4, (3, 3), name="down")(x))
        low = nn.relu(nn.Conv(6, (3, 3), name="bottom")(nn.max_pool(fine, (2, 2), (2, 2))))
        up = nn.Conv(4, (3, 3), name="up")(jnp.kron(low, jnp.ones((1, 2, 2, 1))))
        y = jnp.concatenate([AttentionGate(name="gate")(fine, up), up], -1)
        return nn.softmax(nn.Conv(3, (1, 1), name="classes")(y))


class DoubleConv(nnx.Module):
    def __init__(self, into, out, rngs):
        self.conv1 = nnx.Conv(into, out, (3, 3), rngs=rngs)
        self.norm1 = nnx.BatchNorm(out, rngs=rngs)
        self.conv2 = nnx.Conv(out, out, (3, 3), rngs=rngs)
        self.norm2 = nnx.BatchNorm(out, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.norm2(self.conv2(nnx.relu(self.norm1(self.conv1(x))))))


class UNet(nnx.Module):
    """Ronneberger et al. (2015)."""

    def __init__(self, rngs):
        self.down = DoubleConv(1, 4, rngs)
        self.bottom = DoubleConv(4, 6, rngs)
        self.enlarge = nnx.ConvTranspose(6, 4, (2, 2), (2, 2), rngs=rngs)
        self.up = DoubleConv(8, 4, rngs)
        self.mask = nnx.Conv(4, 2, (1, 1), rngs=rngs)

    def __call__(self, x):
        fine = self.down(x)
        low = self.bottom(nnx.max_pool(fine, (2, 2), (2, 2)))
        return self.mask(self.up(jnp.concatenate([fine, self.enlarge(low)], -1)))


class YOLO(nnx.Module):
    """Redmon et al. (2016): boxes, certainty and classes for each cell of a grid."""

    def __init__(self, rngs):
        self.convs = nnx.List([nnx.Conv(i, o, (3, 3), rngs=rngs) for i, o in ((3, 4), (4, 6), (6, 8))])
        self.norms = nnx.List([nnx.BatchNorm(width, rngs=rngs) for width in (4, 6, 8)])
        self.head = nnx.Conv(8, 2 * (5 + 3), (1, 1), rngs=rngs)

    def __call__(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nnx.leaky_relu(norm(conv(x)), 0.1)
            x = nnx.max_pool(x, (2, 2), (2, 2))
        y = self.head(x).reshape(*x.shape[:3], 2, 8)
        places, sizes, rest = nnx.sigmoid(y[..., :2]), jnp.exp(y[..., 2:4]), y[..., 4:]
        return jnp.concatenate([places, sizes, nnx.sigmoid(rest)], -1)


class HRNet(nnx.Module):
    """Sun et al. (2019): two resolutions side by side that exchange what they found."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.split = nnx.Conv(4, 6, (3, 3), (2, 2), rngs=rngs)
        self.high, self.low = nnx.Conv(4, 4, (3, 3), rngs=rngs), nnx.Conv(6, 6, (3, 3), rngs=rngs)
        self.to_high, self.to_low = nnx.Conv(6, 4, (1, 1), rngs=rngs), nnx.Conv(4, 6, (3, 3), (2, 2), rngs=rngs)
        self.head = nnx.Conv(4, 3, (1, 1), rngs=rngs)

    def __call__(self, x):
        high = nnx.relu(self.stem(x))
        low = nnx.relu(self.split(high))
        for _ in range(2):
            h, w = nnx.relu(self.high(high)), nnx.relu(self.low(low))
            up = jax.image.resize(self.to_high(w), h.shape, "bilinear")
            high, low = nnx.relu(h + up), nnx.relu(w + self.to_low(h))
        return self.head(high)


class SuperResolution(nnx.Module):
    """Shi et al. (2016): channels become pixels at the very end."""

    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 6, (5, 5), rngs=rngs)
        self.conv2 = nnx.Conv(6, 4, (3, 3), rngs=rngs)

    def __call__(self, x):
        y = self.conv2(nnx.tanh(self.conv1(x)))
        n, h, w, _ = y.shape
        return y.reshape(n, h, w, 2, 2).transpose(0, 1, 3, 2, 4).reshape(n, 2 * h, 2 * w, 1)


class FlowNet(nnx.Module):
    """Dosovitskiy et al. (2015): two pictures through one encoder, compared at several shifts."""

    def __init__(self, rngs):
        self.encoder = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.merge = nnx.Conv(9, 6, (3, 3), rngs=rngs)
        self.flow = nnx.Conv(6, 2, (3, 3), rngs=rngs)

    def __call__(self, pair):
        first, second = nnx.relu(self.encoder(pair["first"])), nnx.relu(self.encoder(pair["second"]))
        shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        cost = jnp.stack([(first * jnp.roll(second, shift, (1, 2))).mean(-1) for shift in shifts], -1)
        return self.flow(nnx.relu(self.merge(cost)))


MODELS = {
    "fcn": lambda: Example(FCN(), pictures()),
    "deeplab": lambda: Example(DeepLab(), pictures()),
    "pspnet": lambda: Example(PSPNet(), pictures()),
    "unet_3d": lambda: Example(UNet3D(), numbers(3, 4, 4, 4, 1)),
    "fpn": lambda: Example(FPN(), pictures()),
    "retinanet": lambda: Example(RetinaNet(), pictures()),
    "centernet": lambda: Example(CenterNet(), pictures()),
    "attention_unet": lambda: Example(AttentionUNet(), pictures()),
    "unet_nnx": lambda: Example(UNet(nnx.Rngs(0)), pictures(8, 1)),
    "yolo": lambda: Example(YOLO(nnx.Rngs(0)), pictures()),
    "hrnet": lambda: Example(HRNet(nnx.Rngs(0)), pictures()),
    "super_resolution": lambda: Example(SuperResolution(nnx.Rngs(0)), pictures(6, 1)),
    "flownet": lambda: Example(FlowNet(nnx.Rngs(0)), {"first": pictures(), "second": pictures()[::-1].copy()}),
}
