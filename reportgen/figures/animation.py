"""The embedding over the epochs, as an animated GIF and its still.

    moving = animation(frames, labels, run.classes, ["before training", "epoch 1", ...])

All frames share their limits; each has its name above, class names at the median of their points, and a
progress bar below. The GIF's background is white; the page takes it into its dark theme by a filter.
"""

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import Animation
from reportgen.errors import DataError
from reportgen.figures.fonts import clean, drawable, shorten
from reportgen.figures.marks import centres, class_dots, place_labels
from reportgen.figures.palettes import CLASS_COLORS, rgb
from reportgen.figures.plot import plot, settings
from reportgen.figures.scatter import Limits, checked_cloud, dot_size, limits, on_square
from reportgen.figures.scene import COLORS, SIZE, SMALL, Boxes, Part, Scene, Words
from reportgen.figures.svg import drawing

if TYPE_CHECKING:
    import PIL.Image

SIDE = 380
HEAD, FOOT = 34, 14
SHADES = 12


def animation(
    frames: Sequence[np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    frame_ms: int = 500,
    *,
    ordered: bool = False,
) -> Animation:
    """Points of every frame, [frame, n, 2], coloured by their labels [n]; `names` has a title per frame.

    `ordered` is as for `class_dots`.

    An endless GIF of 380 x 428 pixels with exactly one picture per frame, each shown for `frame_ms`
    milliseconds; the still is the last frame, in the page's colours. Non-finite points are omitted from their frame.
    Raises DataError without frames, or unless there is one name per frame.
    """
    if not len(frames) or len(frames) != len(names):
        raise DataError(f"an animation needs a name per frame; got {len(frames)} and {len(names)}", code="A101")
    clouds = [checked_cloud(frame, labels) for frame in frames]
    box = limits(*(points for points, _ in clouds))
    classes = [drawable(name) for name in classes]
    pictures: list[PIL.Image.Image] = []
    for index, ((points, marks), name) in enumerate(zip(clouds, names, strict=True)):
        picture = _drawn(_scene(points, marks, classes, ordered, name, box, (index + 1) / len(frames)))
        # A GIF writer merges equal frames into a longer one; then frames no longer correspond to epochs.
        if pictures and picture.tobytes() == pictures[-1].tobytes():
            picture.putpixel((index % picture.width, picture.height - 1), 2)
        pictures.append(picture)
    width, height = pictures[0].size
    # Half a pixel is finer than the dots, and keeps thousands of points small.
    still = drawing(_scene(*clouds[-1], classes, ordered, names[-1], box, None, per_pixel=2))
    gif = _film(pictures, frame_ms)
    return Animation(gif, still, tuple(clean(name) for name in names), frame_ms, width, height)


def _scene(
    points: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    ordered: bool,
    name: str,
    box: Limits,
    share: float | None,
    per_pixel: int = 10,
) -> Scene:
    """One frame, with a progress bar at its foot, if `share` is given: the accent up to it, a line for the rest."""
    height = HEAD + SIDE + (FOOT if share is not None else 0)
    pixels = on_square(points, box, 0, HEAD, SIDE)
    done = round(SIDE * (share or 0))
    at = centres(pixels, labels) if classes else {}
    parts: tuple[Part, ...] = (
        # Centred on pixels: identical dots compress better.
        *class_dots(
            np.floor(pixels) + 0.5, labels, size=dot_size(len(points), SIDE), ordered=ordered, per_pixel=per_pixel
        ),
        Words(10, HEAD - 10, shorten(name, 48), size=SIZE + 2, bold=True),
        *place_labels(at, classes, size=SMALL + 1, within=(0, HEAD, SIDE, HEAD + SIDE)),
    )
    if share is not None:
        edges = ((0, done, "accent"), (done, SIDE, "line"))
        parts += tuple(Boxes(np.array([[left, height - 4, right, height]]), color) for left, right, color in edges)
    return Scene(SIDE, height, parts)


def _drawn(scene: Scene) -> "PIL.Image.Image":
    """The scene in the film's palette."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    with settings():
        canvas = FigureCanvasAgg(plot(scene, 1 / 100))
        canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    return drawn.quantize(palette=_palette(), dither=Image.Dither.NONE)


@cache
def _palette() -> "PIL.Image.Image":
    """One fixed palette of the colours used, in the picture that Pillow expects.

    The ground, the line and the ink; each class's colour in shades to white and half-way to every other class's; ink
    and accent likewise. With a palette per frame colours flicker, and encoding is far slower.
    """
    from PIL import Image

    shades = np.linspace(0, 1, SHADES + 1)[1:, None]
    base = [np.array(rgb(color), float) for color in (*CLASS_COLORS, COLORS["ink"], COLORS["accent"])]
    first = np.array([rgb(COLORS[name]) for name in ("ground", "line", "ink")], float)
    mixed = np.array([(one + other) / 2 for i, one in enumerate(base) for other in base[:i]])
    table = np.rint(np.concatenate([first, *(255 + (color - 255) * shades for color in base), mixed])).astype(np.uint8)
    holder = Image.new("P", (1, 1))
    holder.putpalette(table[:256].tobytes())
    return holder


def _film(pictures: "list[PIL.Image.Image]", frame_ms: int) -> bytes:
    """Pictures in the entries of the one palette as an endless GIF."""
    import imageio.v3 as imageio

    buffer = io.BytesIO()
    # Given entries and their palette: of colours, a palette is made for every frame.
    imageio.imwrite(
        buffer,
        [np.asarray(picture) for picture in pictures],
        extension=".gif",
        plugin="pillow",
        palette=bytes(_palette().getpalette() or []),
        duration=frame_ms,
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()
