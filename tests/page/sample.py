"""A report with every kind of block and picture in it, for the tests to render and for eyes to look at.

    report = sample()                              # realistic words, pictures and sizes
    report = hostile(TEXT)                         # one text in every field that a user can fill

The pictures are made here, from scikit-learn's digits and a seeded generator: nothing of figures/.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from reportgen.core.report import (
    Animation,
    ColorBar,
    Document,
    Drawing,
    Figure,
    FigureRow,
    Fold,
    Grid,
    Mosaic,
    Numbers,
    Raster,
    Section,
    Stand,
    Table,
    Text,
)
from reportgen.core.scripted import ExampleGroup, Examples, pack

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)> ' onmouseover='alert(1)",
    "{{7*7}} {% raw %} ${7*7} <%= 7*7 %>",
    "\u202egnp.exe\u2066 \u200f\u05d0\u05d1\u05d2 abc\u200e",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 第一層 ひらがな 한국어",
    "x" * 300,
    "nul \x00 escape \x1b[31m lone \ud800 surrogate \ufffe",
    "]]> --> <!-- & &amp; &#60;b&#62; <style>*{display:none}</style>",
    "@someone #7 | a \\ `b` *c* _d_ [e](http://example.invalid)",
)
GREY_BAR = ColorBar(("#000000", "#ffffff"), "0", "3.41")
DIFF_BAR = ColorBar(("#67001f", "#d6604d", "#ffffff", "#4393c3", "#053061"), "−0.212", "0.212", "0")


def png(pixels: np.ndarray) -> bytes:
    """The array as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def digits(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Twenty digits, [20, size, size] from 0 to 1, and their labels."""
    images, labels = load_digits(return_X_y=True)
    small = images[:20].reshape(-1, 8, 8) * (255 / 16)
    large = [Image.fromarray(one.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC) for one in small]
    return np.stack([np.asarray(one) for one in large]) / 255, labels[:20]


def maps(channels: int, size: int, seed: int = 0) -> np.ndarray:
    """Something like feature maps: a digit under random 3x3 kernels, [channels, size, size], from 0."""
    image = digits(size + 2)[0][3]
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    kernels = np.random.default_rng(seed).normal(size=(channels, 3, 3))
    return np.maximum(np.einsum("ijkl,ckl->cij", windows, kernels), 0)


def mosaic(
    tiles: np.ndarray,
    columns: int,
    labels: Sequence[str] = (),
    outlined: tuple[int, ...] = (),
    gap: int = 1,
    stand: Stand = "full",
) -> Mosaic:
    """Tiles [n, h, w] as a Mosaic, grey from 0 to their maximum, with transparent gaps."""
    count, height, width = tiles.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, 2), np.uint8)
    for i, tile in enumerate(tiles):
        y, x = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[y : y + height, x : x + width, 0] = np.rint(tile / tiles.max() * 255)
        canvas[y : y + height, x : x + width, 1] = 255
    buffer = io.BytesIO()
    Image.fromarray(canvas, "LA" if canvas.shape[2] == 2 else "L").save(buffer, "PNG")
    raster = Raster(buffer.getvalue(), "image/png", canvas.shape[1], canvas.shape[0], pixelated=True)
    peaks = [np.unravel_index(int(tile.argmax()), tile.shape) for tile in tiles]
    values = tuple(
        f"maximum {tile.max():.3g} at row {y}, column {x}; mean {tile.mean():.3g}"
        for tile, (y, x) in zip(tiles, peaks, strict=True)
    )
    names = tuple(labels) or tuple(str(i) for i in range(count))
    return Mosaic(raster, Grid(columns, height, width, gap), names, values, outlined, stand)


def curves(name: str, label: str = "validation", width: int = 720, height: int = 280) -> Drawing:
    """Two loss curves with direct labels, drawn with the page's classes."""
    epochs = np.arange(11)
    train, valid = 2.3 * np.exp(-epochs / 1.6) + 0.03, 2.3 * np.exp(-epochs / 1.7) + 0.09
    left, right, top, bottom = 48, width - 110, 16, height - 40

    def x(value: float) -> float:
        return left + value / 10 * (right - left)

    def y(value: float) -> float:
        return bottom - value / 2.5 * (bottom - top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" '
        f'width="{width}" font-size="12">'
    ]
    parts.append(f'<defs><clipPath id="{name}-0"><path d="M{left} {top}H{right}V{bottom}H{left}z"/></clipPath></defs>')
    for tick in (0, 0.5, 1, 1.5, 2, 2.5):
        parts.append(f'<path d="M{left} {y(tick):.1f}H{right}" fill="none" class="line-stroke" stroke-width="0.8"/>')
        parts.append(f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" class="muted-fill">{tick:g}</text>')
    for tick in range(0, 11, 2):
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle" class="muted-fill">{tick}</text>')
    parts.append(
        f'<text x="{(left + right) / 2}" y="{height - 4}" text-anchor="middle" class="muted-fill">epoch</text>'
    )
    for line, color, title in ((train, "c0", "training"), (valid, "c2", label)):
        points = " ".join(f"{x(e):.1f},{y(v):.1f}" for e, v in zip(epochs, line, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" class="{color}-stroke" stroke-width="1.8" '
            f'clip-path="url(#{name}-0)"/>'
        )
        shift = 4 if title == "training" else -6
        parts.append(f'<text x="{right + 8}" y="{y(line[-1]) + shift:.1f}" class="ink-fill">{escape(title)}</text>')
    return Drawing("".join(parts) + "</svg>", width, height)


def bars(names: Sequence[str], width: int = 340, height: int = 200) -> Drawing:
    """Ten bars in the class colours."""
    values = np.random.default_rng(4).uniform(0.3, 2, len(names))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" '
        f'width="{width}" font-size="12">'
    ]
    step = (width - 20) / len(names)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        tall = value / 2 * (height - 50)
        parts.append(
            f'<rect x="{10 + i * step:.1f}" y="{height - 30 - tall:.1f}" '
            f'width="{step - 3:.1f}" height="{tall:.1f}" class="c{i % 10}-fill"/>'
        )
        parts.append(
            f'<text x="{10 + (i + 0.4) * step:.1f}" y="{height - 14}" '
            f'text-anchor="middle" class="ink-fill">{escape(name)}</text>'
        )
    parts.append(f'<path d="M10 {height - 30}H{width - 10}" fill="none" class="muted-stroke"/></svg>')
    return Drawing("".join(parts), width, height)


def clouds(frames: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Ten clouds that part from each other, [frame, 600, 2] within the unit square, and their labels."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(10), 60)
    noise, angle = random.normal(size=(600, 2)), labels * 2 * np.pi / 10
    spread = np.linspace(0, 0.36, frames)[:, None, None]
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(0.5 + spread * around + noise * (0.12 - 0.08 * spread / 0.36), 0, 1), labels


def animation(frames: int = 6, size: int = 420) -> Animation:
    """The clouds as a film, with the classes' colours and one palette for all frames."""
    places, labels = clouds(frames)
    hexes = ["3f90da", "ffa90e", "bd1f01", "94a4a2", "832db6", "a96b59", "e76300", "b9ac70", "717581", "92dadd"]
    palette = [255, 255, 255, *bytes.fromhex("".join(hexes))]
    pictures = []
    for at in places:
        canvas = np.zeros((size, size), np.uint8)
        for (x, y), label in zip(np.clip(at * size, 2, size - 4).astype(int), labels, strict=True):
            canvas[y : y + 3, x : x + 3] = label + 1
        picture = Image.fromarray(canvas)
        picture.putpalette(palette)
        pictures.append(picture)
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=500, loop=0, optimize=False)
    names = ("before training", *(f"epoch {i}" for i in range(1, frames)))
    dots = "".join(
        f'<circle cx="{x * size:.0f}" cy="{y * size:.0f}" r="2" class="c{label}-fill"/>'
        for (x, y), label in zip(places[-1], labels, strict=True)
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {size} {size}">{dots}</svg>'
    return Animation(buffer.getvalue(), Drawing(svg, size, size), names, 500, size, size)


def examples(name: str = "known", classes: Sequence[str] = tuple("0123456789"), frames: int = 6) -> Examples:
    """The clouds' points as examples: 580 training texts and twenty evaluation pictures, one of which has no place.

    In frame f each example whose place among the 600 leaves f when divided by 40 is taken for the next class.
    """
    places, labels = clouds(frames)
    levels = np.rint(places * 4095).astype(np.int16)
    levels[:, 599] = -1
    wrong = np.arange(600) % 40 == np.arange(frames)[:, None]
    predicted = (labels + wrong) % 10
    ranked = np.stack([predicted[-1], (predicted[-1] + 1) % 10])
    columns = {
        **{"x": levels[..., 0], "y": levels[..., 1], "truth": labels[None], "predicted": predicted},
        **{"sure": np.where(wrong, 55, 90), "ranked": ranked, "shares": np.repeat([[900], [60]], 600, axis=1)},
        "near": np.stack([np.roll(np.arange(600), 1), np.full(600, -1)]),
    }
    arrays = [np.ascontiguousarray(column, np.int16) for column in columns.values()]
    images = digits(28)[0]
    sheet = np.rint(np.concatenate([np.concatenate(list(images[row : row + 5]), 1) for row in (0, 5, 10, 15)]) * 255)
    pictures = Raster(png(sheet), "image/png", 140, 112, pixelated=True)
    groups = (
        ExampleGroup("training image", "example-t", tuple(range(580)), texts=tuple(f"text {i}" for i in range(580))),
        ExampleGroup("evaluation image", "example-", tuple(range(100, 120)), pictures, 5, (28, 28), (28, 28)),
    )
    return Examples(
        name,
        groups,
        tuple(classes),
        ("before training", *(f"epoch {i}" for i in range(1, frames))),
        tuple(range(frames)),
        tuple((key, len(array), 2) for key, array in zip(columns, arrays, strict=True)),
        pack(arrays),
        layer="dense1",
        maps={580: (("conv1", "conv1-maps"), ("gone", "not-there"))},
    )


def layers(rows: int = 18) -> Table:
    """A layer table long enough to be narrowed by a text."""
    kinds = ("Conv", "relu", "max_pool", "Dense")
    return Table(
        "layers",
        "Layers in call order. Shapes are for one image, without the batch axis.",
        ("layer", "kind", "output shape", "parameters", "mean activation", "note"),
        tuple(
            (
                f"Block_{i // 4}/{kinds[i % 4]}_{i}",
                kinds[i % 4],
                "26 × 26 × 16",
                1_160 * i,
                0.4131 / (i + 1),
                None if i % 3 else "dead: 2 of 16",
            )
            for i in range(rows)
        ),
    )


def sample() -> Document:
    """A report like one of a real training, with plausible words and every kind of block."""
    conv1, conv2 = maps(16, 26), maps(30, 11, seed=2)
    images, labels = digits(28)
    confusion = np.random.default_rng(3).integers(0, 4, (10, 10))
    np.fill_diagonal(confusion, 97)
    learned = Section(
        "hidden-layer",
        "What the hidden layer learned",
        "Neighbours in the 2-D embedding share their label 94.3 % of the time after epoch 5, against 61.0 % "
        "before training (2,000 training points, 15 neighbours).",
        (
            Figure(
                "embedding",
                animation(),
                "The ten classes, mixed before training, lie in ten separate clusters after epoch 5.",
                "UMAP of the layer dense1 (150 units) for 2,000 training points, one frame per epoch, each started "
                "from the last. Colours are classes; distances between clusters mean little.",
                live="known",
            ),
            Figure(
                "curves",
                curves("curves"),
                "Training loss falls from 2.30 to 0.03, validation loss to 0.09.",
                "Cross-entropy per epoch. Epoch 0 is before training.",
            ),
            Text("Frames are rotated onto the one before (rigid Procrustes), never scaled.", "method"),
            Text(
                "An embedding can't show the distance between clusters, their density, or unseen points.",
                "method",
            ),
        ),
        (Numbers("embedding.csv", ("epoch", "x"), lambda: [(0, 0.5)]),),
    )
    fails = Section(
        "confusion",
        "Where it fails",
        "27 of 1,000 test images are misclassified; 4 taken for 9 is the commonest error (5 images).",
        (
            Text("Counts are images of the test set. A row is the true label, a column the predicted one."),
            Table(
                "confusion-counts",
                "Test images by true and predicted label.",
                ("true", *map(str, range(10)), "accuracy"),
                tuple(
                    (str(i), *map(int, confusion[i]), float(confusion[i, i] / confusion[i].sum())) for i in range(10)
                ),
            ),
            Figure(
                "misclassified",
                mosaic(images, 10, [f"{a} → {(a + 5) % 10}" for a in labels], gap=2),
                "Twenty misclassified test images; most are unusual shapes of 4 and 9.",
                "True → predicted label, the surest errors first.",
            ),
            examples(),
        ),
    )
    strongest = FigureRow(
        (
            Figure(
                "input", Raster(png(images[3] * 255), "image/png", 28, 28, True), "The input, a 3.", "Input, 28 × 28."
            ),
            Figure(
                "conv1-strongest",
                Raster(png(conv1[7] / conv1.max() * 255), "image/png", 26, 26, True),
                "Channel 7 of conv1 answers along the upper edges of the 3.",
                "Channel 7 of conv1, maximum 3.41 at row 4, column 11.",
                GREY_BAR,
            ),
            Figure(
                "conv1-bars",
                bars([str(i) for i in range(10)]),
                "Channel 7 answers most to 9.",
                "Mean activity of channel 7 by label.",
            ),
        ),
        "Strongest channel of conv1 for the first probe image",
    )
    answers = Section(
        "feature-maps",
        "What its channels answer to",
        "Channel 7 of conv1 holds the largest value of its layer (3.41); "
        "2 of its 16 channels are 0 on all ten probe images.",
        (
            Figure(
                "conv1-maps",
                mosaic(conv1, 8, outlined=(7,)),
                "All 16 channels of conv1; channel 7, outlined, has the largest value, 3.41.",
                "conv1 for the first probe image, one tile per channel, 0 to 3.41 over the whole layer.",
                GREY_BAR,
            ),
            strongest,
            Figure(
                "conv2-maps",
                mosaic(conv2, 10, outlined=(0, 29)),
                "All 30 channels of conv2.",
                "conv2 for the first probe image, 0 to 2.02 over the whole layer.",
                DIFF_BAR,
                wide=True,
            ),
            Fold(
                "The other probe images",
                (
                    Figure(
                        "dense-maps",
                        mosaic(maps(512, 7, seed=5), 32),
                        "512 channels.",
                        "fire9 for the first probe image.",
                        GREY_BAR,
                        wide=True,
                    ),
                    Text("Ten images were chosen, one per class: the first of each in the evaluation set."),
                ),
            ),
            Text("Maps are shown as computed, without smoothing.", "method"),
        ),
    )
    appendix = Section(
        "layers-and-data",
        "附录：层与数据",
        "The network has 18 captured operations and 412,750 parameters.",
        (
            layers(),
            Text("relu inside Block_3 could not be captured: nn.scan without variable_axes.", "warning"),
        ),
    )
    return Document(
        "LeNet on MNIST",
        "LeNet, trained on 4,000 images of handwritten digits, reaches 97.3 % on 1,000 test images after 10 epochs.",
        (
            ("test accuracy", "97.3 %"),
            ("test loss", "0.091"),
            ("parameters", "412,750"),
            ("steps", "400"),
            ("epochs", "10"),
            ("training time", "21 s"),
        ),
        (learned, fails, answers, appendix),
        {
            "git": {"commit": "1f0c2d9", "dirty": False},
            "versions": {"jax": "0.10.2", "flax": "0.12.8"},
            "seed": 0,
            "device": "cpu",
        },
        ("2 of 16 channels of conv1 are never active on the 1,000 evaluation images.",),
    )


def hostile(text: str) -> Document:
    """A report in which every field that takes free text is that text."""
    tiles = maps(6, 8)
    figure = Figure(
        "maps", mosaic(tiles, 3, [text] * 6, (2,)), text, text, ColorBar(("#000000", "#ffffff"), text, text, text)
    )
    chart = Figure("chart", curves("chart", "".join(c for c in text if c.isprintable())), text, text)
    moving = animation(3, 60)
    moving = Animation(moving.gif, moving.still, (text,) * 3, 500, 60, 60)
    picture = Figure("photo", Raster(png(tiles[0] * 50), "image/png", 8, 8, True), text, text)
    table = Table("numbers", text, (text, text), ((text, 1.5), (text, None)))
    section = Section(
        "part",
        text,
        text,
        (
            Text(text),
            Text(text, "method"),
            Text(text, "warning"),
            figure,
            chart,
            Figure("moving", moving, text, text, live="known"),
            replace(
                examples(classes=(text,) * 10),
                frames=(text,) * 6,
                layer=text,
                groups=(ExampleGroup(text, "example-", tuple(range(600)), texts=(text,) * 600),),
            ),
            FigureRow((picture,), text),
            table,
            Fold(text, (Text(text),)),
        ),
    )
    return Document(text, text, ((text, text),), (section,), {text: {text: text}}, (text,))
