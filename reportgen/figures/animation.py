"""The embedding over the epochs, as an animated GIF and its still.

    moving = animation(frames, labels, run.classes, ["before training", "epoch 1", ...])

Every frame has the same limits, its name above, each class named at the median of its points, and a
bar below that shows how far the film has run. The picture stands on white, also on a dark page.
"""

import io
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from reportgen.core.report import Animation, Raster
from reportgen.errors import DataError
from reportgen.figures.fonts import clean, families_for, shorten
from reportgen.figures.marks import apart, centres
from reportgen.figures.palettes import CLASS_COLORS, class_color, class_mark, rgb
from reportgen.figures.scatter import checked_cloud, dot_size, limits
from reportgen.figures.style import (
    ACCENT,
    GROUND,
    INK,
    LINE,
    SIZE,
    SMALL,
    new_figure,
    styled,
)

SIDE = 560
HEAD, FOOT = 34, 14
SHADES = 12
NAME = 40
"""Pixels above and below the middle of the picture that are looked at for a class name there."""


@styled
def animation(
    frames: Sequence[np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    frame_ms: int = 500,
) -> Animation:
    """Points of every frame, [frame, n, 2], coloured by their labels [n]; `names` has a title per frame.

    An endless GIF of 560 x 608 pixels with exactly one picture per frame, each shown for `frame_ms`
    milliseconds; the still is the last frame. Points that are not finite are left out of their frame.
    Raises DataError where there is no frame, or not one name per frame.
    """
    if not len(frames) or len(frames) != len(names):
        raise DataError(f"an animation needs a name per frame; got {len(frames)} and {len(names)}")
    clouds = [checked_cloud(frame, labels) for frame in frames]
    table, lookup = _palette()
    stage = _Stage(clouds, classes)
    pixels: list[np.ndarray] = []
    for index, (points, name) in enumerate(zip((points for points, _ in clouds), names, strict=True)):
        indices = stage.draw(points, name)
        _mark_progress(indices, (index + 1) / len(frames), lookup)
        # A GIF writer merges equal frames into one that lasts longer; then frames are no longer epochs.
        if pixels and np.array_equal(indices, pixels[-1]):
            indices[-1, index % indices.shape[1]] = _entry(INK, lookup)
        pixels.append(indices)
    height, width = pixels[0].shape
    still = Raster(_still(pixels[-1], table), "image/png", width, height)
    gif = _film(pixels, table, frame_ms)
    return Animation(gif, still, tuple(clean(name) for name in names), frame_ms, width, height)


class _Stage:
    """One Agg canvas on which the frames are drawn one after another, as palette entries.

    Axes, artists and text layout would cost 15 ms a frame; here the renderer draws the markers itself,
    one call per class and half, and the class names are drawn once and pasted.
    """

    def __init__(self, clouds: Sequence[tuple[np.ndarray, np.ndarray]], classes: Sequence[str]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.lookup = _palette()[1]
        self.figure = new_figure(SIDE, SIDE + HEAD + FOOT)
        self.figure.set_facecolor(GROUND)
        self.canvas = FigureCanvasAgg(self.figure)
        self.canvas.draw()
        self.ground = self.canvas.copy_from_bbox(self.figure.bbox)
        left, right, bottom, top = limits(*(points for points, _ in clouds))
        self.corner = np.array([left, bottom])
        self.scale = np.array([SIDE / (right - left), SIDE / (top - bottom)])
        self.labels = clouds[0][1]
        self.markers = self._markers()
        shown = np.unique(self.labels).tolist() if classes else []
        self.names = {label: self._name(shorten(classes[label], 18)) for label in shown}

    def draw(self, points: np.ndarray, name: str) -> np.ndarray:
        """The frame as palette entries [height, width]."""
        self.canvas.restore_region(self.ground)
        pixels = (points - self.corner) * self.scale + (0, FOOT)
        for marker in self.markers:
            marker(pixels)
        self._title(shorten(name, 48))
        indices = self._entries()
        self._paste_names(indices, centres(pixels, self.labels))
        return indices

    def _markers(self) -> list[Callable[[np.ndarray], None]]:
        """A function per class and half of its points that draws them, in drawing order."""
        from matplotlib.colors import to_rgba
        from matplotlib.path import Path
        from matplotlib.transforms import Affine2D, IdentityTransform

        renderer = self.canvas.get_renderer()
        size = dot_size(len(self.labels), SIDE)
        half = np.arange(len(self.labels)) % 2

        def marker(label: int, part: int) -> Callable[[np.ndarray], None]:
            chosen = np.flatnonzero((self.labels == label) & (half == part))
            mark, color = class_mark(label), to_rgba(class_color(label))
            context = renderer.new_gc()
            context.set_linewidth(size * 0.25 if mark == "ring" else 0)
            context.set_foreground(color)
            shape = Path.unit_rectangle() if mark == "square" else Path.unit_circle()
            form = Affine2D().translate(-0.5, -0.5) if mark == "square" else Affine2D().scale(0.5)
            form, still = form.scale(size), IdentityTransform()
            face = to_rgba(GROUND) if mark == "ring" else color

            def draw(pixels: np.ndarray) -> None:
                here = pixels[chosen]
                here = here[np.isfinite(here).all(axis=1)]
                if len(here):
                    renderer.draw_markers(context, shape, form, Path(here), still, face)

            return draw

        # Two rounds over the classes, so that none lies on top of all the others.
        return [marker(label, part) for part in (0, 1) for label in np.unique(self.labels).tolist()]

    def _title(self, text: str) -> None:
        from matplotlib.colors import to_rgba
        from matplotlib.font_manager import FontProperties

        text, families = _in_fonts(text)
        renderer = self.canvas.get_renderer()
        context = renderer.new_gc()
        context.set_foreground(to_rgba(INK))
        # Drawn as it stands: laying out one line as an artist takes as long again.
        font = FontProperties(family=families, size=SIZE + 2, weight="bold")
        renderer.draw_text(context, 10, HEAD - 10, text, font, 0)

    def _entries(self, rows: slice = slice(None)) -> np.ndarray:
        """What is drawn, as palette entries; of some rows only, which is quicker."""
        buffer = np.asarray(self.canvas.buffer_rgba())[rows]
        height, width = buffer.shape[:2]
        packed = np.ascontiguousarray(buffer).view("<u4").reshape(-1)
        indices = np.zeros(height * width, np.uint8)
        # Most of a frame is ground, which is entry 0.
        drawn = np.flatnonzero(packed != 0xFFFFFFFF)
        colors = packed[drawn]
        codes = (colors & 0xF8) << 7 | (colors >> 11 & 31) << 5 | (colors >> 19 & 31)
        indices[drawn] = self.lookup[codes]
        return indices.reshape(height, width)

    def _name(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """(entries, which of them to paste) of a class name with a white rim."""
        self.canvas.restore_region(self.ground)
        text, families = _in_fonts(text)
        artist = self.figure.text(SIDE / 2, SIDE / 2, text, size=SMALL + 1, weight="bold", ha="center", family=families)
        artist.set_transform(None)
        artist.draw(self.canvas.get_renderer())
        artist.remove()
        entries = self._entries(slice(HEAD + SIDE // 2 - NAME, HEAD + SIDE // 2 + NAME))
        rimmed = entries != 0
        for _ in range(2):  # pixels of rim; no name reaches the edges
            beside = [np.roll(rimmed, step, axis) for step in (1, -1) for axis in (0, 1)]
            rimmed = np.logical_or.reduce([rimmed, *beside])
        rows, columns = np.flatnonzero(rimmed.any(axis=1)), np.flatnonzero(rimmed.any(axis=0))
        if not len(rows):
            return np.zeros((1, 1), np.uint8), np.zeros((1, 1), bool)
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return entries[box], rimmed[box]

    def _paste_names(self, indices: np.ndarray, at: dict[int, np.ndarray]) -> None:
        shown = [label for label in self.names if label in at]
        if not shown:
            return
        sizes = np.array([self.names[label][0].shape[::-1] for label in shown])
        placed = apart(np.array([at[label] for label in shown]), sizes)
        height, width = indices.shape
        for label, (x, y), (wide, tall) in zip(shown, placed, sizes.tolist(), strict=True):
            entries, mask = self.names[label]
            left = int(np.clip(round(x - wide / 2), 0, max(width - wide, 0)))
            top = int(np.clip(round(height - y - tall / 2), HEAD, max(height - FOOT - tall, HEAD)))
            spot = indices[top : top + tall, left : left + wide]
            mask, entries = mask[: spot.shape[0], : spot.shape[1]], entries[: spot.shape[0], : spot.shape[1]]
            spot[mask] = entries[mask]


def _in_fonts(text: str) -> tuple[str, list[str]]:
    """The text with a white square, as in the charts, for a character that no installed font has; its fonts."""
    families, missing = families_for(text)
    return "".join("□" if character in missing else character for character in text), list(families)


@lru_cache(maxsize=1)
def _palette() -> tuple[np.ndarray, np.ndarray]:
    """(colours [n, 3], entry [32768] of the nearest one for each colour of 5 bits a channel).

    One fixed palette of the colours used: each class's colour in shades to white and half-way to every
    other class's, the ink in greys, the line and the accent. A palette made for every frame costs 20
    times the time, and colours flicker.
    """
    shades = np.linspace(0, 1, SHADES + 1)[1:, None]
    base = [np.array(rgb(color), float) for color in (*CLASS_COLORS, INK, ACCENT)]
    colors = [np.array([rgb(GROUND), rgb(LINE)], float)]
    colors += [255 + (color - 255) * shades for color in base]
    mixed = [(one + other) / 2 for i, one in enumerate(base) for other in base[:i]]
    table = np.rint(np.concatenate([*colors, np.array(mixed)])).astype(np.uint8)
    # Each colour once, the ground first.
    table = table[np.sort(np.unique(table, axis=0, return_index=True)[1])][:256]
    levels = np.arange(32) * 255 / 31
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    # |a - b|^2 without the a^2 that is the same for all entries.
    numbers = table.astype(float)
    nearest = ((numbers**2).sum(axis=1) - 2 * grid @ numbers.T).argmin(axis=1)
    return table, nearest.astype(np.uint8)


def _entry(color: str, lookup: np.ndarray) -> int:
    red, green, blue = (channel >> 3 for channel in rgb(color))
    return int(lookup[red << 10 | green << 5 | blue])


def _mark_progress(indices: np.ndarray, share: float, lookup: np.ndarray) -> None:
    """A bar at the foot: the accent up to that share of the film, a line for the rest."""
    done = round(indices.shape[1] * share)
    indices[-4:, :done] = _entry(ACCENT, lookup)
    indices[-4:, done:] = _entry(LINE, lookup)


def _still(indices: np.ndarray, table: np.ndarray) -> bytes:
    """Palette entries [height, width] as a PNG."""
    from PIL import Image

    picture = Image.fromarray(indices)
    picture.putpalette(table.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _film(frames: list[np.ndarray], table: np.ndarray, frame_ms: int) -> bytes:
    """Frames of palette entries as an endless GIF with one palette."""
    import imageio.v3 as imageio

    buffer = io.BytesIO()
    # Given entries and their palette: of colours, a palette is made for every frame (15 times the time).
    imageio.imwrite(
        buffer,
        frames,
        extension=".gif",
        plugin="pillow",
        palette=table.tobytes(),
        duration=frame_ms,
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()
