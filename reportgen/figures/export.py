"""The same figures for a paper: SVG with text as text, PDF with embedded fonts, PNG at 300 dpi.

    export(curves(...), "pdf")                                                    # bytes
    Figure(..., picture=picture, export=picture_export(picture, bar))             # for a mosaic or image

Files have their printed size: 720 px are 7 inches, two columns, and 360 px are one; text of 12 px is 8.4 pt. Bytes
are reproducible.
"""

import io
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import ColorBar, FigureFormat, Mosaic, Raster
from reportgen.errors import OptionError, choices
from reportgen.figures.fonts import clean, drawable, shorten
from reportgen.figures.palettes import rgb
from reportgen.figures.plot import ALONE, plot, settings
from reportgen.figures.scene import SMALL, WIDTH, Lines, Part, Picture, Scene, Words, middle, plain, rectangle
from reportgen.figures.svg import PRINTED, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

_LOG = logging.getLogger(__name__)
_DPI = 300
# Metadata that would make files differ between runs or versions.
_OMITTED = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}


def export(scene: Scene, form: FigureFormat) -> bytes:
    """The scene as the bytes of an SVG, PDF or PNG file, in the colours of the light theme.

    Characters that no installed font has become squares in PDF and PNG, and a warning is logged with the
    labels; SVG keeps them as text. Raises OptionError for another format.
    """
    _check(form)
    if form == "svg":
        return f'<?xml version="1.0" encoding="utf-8"?>\n{svg(scene, themed=False)}\n'.encode()
    texts = [clean(part.text) for part in plain(scene.parts) if isinstance(part, Words)]
    lacking = dict.fromkeys(text for text in texts if drawable(text) != text)
    if lacking:
        _LOG.warning("no installed font shows all characters of: %s", ", ".join(lacking))
    with settings():
        return _saved(plot(scene, PRINTED), form)


def users_export(figure: "MatplotlibFigure", form: FigureFormat) -> bytes:
    """The user's own figure, in its style and size: text as text, fonts embedded.

    Raises OptionError for a format other than "svg", "pdf" and "png".
    """
    import matplotlib

    _check(form)
    with ALONE, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "reportgen", "pdf.fonttype": 42}):
        return _saved(figure, form)


def _check(form: str) -> None:
    if not isinstance(form, str) or form not in _OMITTED:
        raise OptionError(f"figures can't be written as {form!r}; {choices(form, _OMITTED)}", code="O102")


def _saved(figure: "MatplotlibFigure", form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_DPI, metadata=dict.fromkeys(_OMITTED[form]))
    return buffer.getvalue()


def picture_export(picture: Raster | Mosaic, bar: ColorBar | None = None) -> Callable[[FigureFormat], bytes]:
    """The `export` of an image or a mosaic: its pixels, tile labels and colour bar."""
    return lambda form: export(picture_scene(picture, bar), form)


def picture_scene(picture: Raster | Mosaic, bar: ColorBar | None = None) -> Scene:
    """The picture with its tile labels and colour bar, at most 720 px wide."""
    from PIL import Image

    raster = picture.raster if isinstance(picture, Mosaic) else picture
    pixels = np.asarray(Image.open(io.BytesIO(raster.data)).convert("RGBA"))
    beside = 84 if bar else 0
    scale = min((WIDTH - beside) / raster.width, 24.0)
    width, height = raster.width * scale, raster.height * scale
    parts: list[Part] = [Picture(0, 0, width, height, pixels)]
    if isinstance(picture, Mosaic):
        parts += _labels(picture, scale)
    if bar:
        parts += _bar(bar, width + 16, max(height, 60.0))
    return Scene(max(width, 60.0) + beside, max(height, 60.0), tuple(parts))


def _labels(picture: Mosaic, scale: float) -> list[Part]:
    """A rim around each outlined tile, and labels on tiles that are large enough."""
    wide, tall = picture.grid.tile_width * scale, picture.grid.tile_height * scale
    rims, words = [], []
    for index, label in enumerate(picture.labels):
        left, top = (scale * at for at in picture.grid.origin(index))
        if index in picture.outlined:
            rims.append(rectangle(left, top, left + wide, top + tall))
        if wide >= 40 and len(picture.labels) > 1:
            words.append(Words(left + 3, top + 10, shorten(label, 12), size=8, halo=True))
    return [Lines(tuple(rims), "accent", 2), *words]


def _bar(bar: ColorBar, left: float, height: float) -> list[Part]:
    stops = np.array([rgb(color) for color in reversed(bar.colors)], float)
    at = np.linspace(0, len(stops) - 1, 256)
    columns = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    pixels = np.rint(np.stack(columns, axis=1)[:, None]).astype(np.uint8)
    tall = min(height - 16, 200)
    named = ((0.0, bar.high), (0.5, bar.middle), (1.0, bar.low))
    return [
        Picture(left, 8, 10, tall, pixels),
        *(Words(left + 16, middle(8 + tall * y, SMALL), text, "muted", SMALL) for y, text in named if text is not None),
    ]
