"""The same figures for a paper: SVG with text as text, PDF with embedded fonts, PNG at 300 dpi.

    figure = chart("curves", lambda: curves(...), alt="...", caption="...")       # core.report.Figure
    figure.export("pdf")                                                          # bytes
    Figure(..., picture=picture, export=picture_export(picture, bar))             # for a mosaic or image

Files have the size that a paper sets them at: 720 px are 7 inches, two columns, and 360 px are one; text of 12 px is
8.4 pt. Bytes are the same every time.
"""

import io
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import ColorBar, Figure, FigureFormat, Mosaic, Raster
from reportgen.errors import OptionError, choices
from reportgen.figures.drawing import drawing, svg_element
from reportgen.figures.fonts import set_texts, shorten
from reportgen.figures.style import ACCENT, GROUND, HALO, MUTED, SMALL, new_figure, place, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

_LOG = logging.getLogger(__name__)
# 720 px are 10 inches to matplotlib and 7 in print: 210 dpi here are 300 dpi there.
PNG_DPI = 210
PRINTED = 0.7


def chart(
    name: str, factory: "Callable[[], MatplotlibFigure]", *, alt: str, caption: str, wide: bool = False
) -> Figure:
    """A chart as a report's figure: drawn now for the page, and again when a paper asks for it."""
    picture = drawing(factory(), name, alt)
    return Figure(name, picture, alt, caption, export=partial(export, factory), wide=wide)


@styled
def export(factory: "Callable[[], MatplotlibFigure]", form: FigureFormat) -> bytes:
    """The factory's figure as the bytes of an SVG, PDF or PNG file, in the colours of the light theme.

    Characters that no installed font has become squares in PDF and PNG, and the log says in which
    labels; SVG keeps them as text. Raises OptionError for another format.
    """
    if form not in ("svg", "pdf", "png"):
        raise OptionError(f"figures can't be written as {form!r}; {choices(form, ['svg', 'pdf', 'png'])}")
    figure = factory()
    if form == "svg":
        element = svg_element(figure, "figure", themed=False)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{element}\n'.encode()
    lacking = set_texts(figure, replace=True)
    if lacking:
        _LOG.warning("no installed font shows all characters of: %s", ", ".join(lacking))
    _add_halos(figure)
    buffer = io.BytesIO()
    if form == "pdf":
        _print_pdf(figure, buffer)
    else:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        printed = {"dpi": (PNG_DPI / PRINTED,) * 2}
        canvas.print_figure(
            buffer, format="png", dpi=PNG_DPI, facecolor=GROUND, metadata={"Software": None}, pil_kwargs=printed
        )
    return buffer.getvalue()


def _print_pdf(figure: "MatplotlibFigure", buffer: io.BytesIO) -> None:
    """As `FigureCanvasPdf.print_pdf` does it, on a page of the printed size with everything scaled to it."""
    from matplotlib.backends.backend_mixed import MixedModeRenderer
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, Op, PdfFile, RendererPdf

    FigureCanvasPdf(figure)
    figure.dpi = 72
    width, height = figure.get_size_inches()
    file = PdfFile(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    try:
        file.newPage(width * PRINTED, height * PRINTED)
        # What lies beyond these is left out; the drawing is still as large as it was.
        file.width, file.height = width, height
        file.output(PRINTED, 0, 0, PRINTED, 0, 0, Op.concat_matrix)
        renderer = MixedModeRenderer(figure, width, height, PNG_DPI, RendererPdf(file, PNG_DPI, height, width))
        figure.draw(renderer)
        renderer.finalize()
        file.finalize()
    finally:
        file.close()


def users_export(figure: "MatplotlibFigure", form: FigureFormat) -> bytes:
    """A figure that the user drew, in the user's own style and size: text as text, fonts embedded.

    Raises OptionError for another format than "svg", "pdf" and "png".
    """
    import matplotlib

    nothing = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}
    if form not in nothing:
        raise OptionError(f"figures can't be written as {form!r}; {choices(form, nothing)}")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "reportgen", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=300, metadata=dict.fromkeys(nothing[form]))
    return buffer.getvalue()


def _add_halos(figure: "MatplotlibFigure") -> None:
    """Put a rim of the ground's colour under the marked texts.

    As a text of its own: one text with a stroke effect would become outlines, no longer text in a PDF.
    """
    from matplotlib.patheffects import Stroke
    from matplotlib.text import Text

    for axes in figure.axes:
        for text in [artist for artist in axes.texts if artist.get_gid() == HALO]:
            rim = Text(*text.get_position(), text.get_text())
            rim.update_from(text)
            rim.set_gid(None)
            rim.set_path_effects([Stroke(linewidth=3, foreground=GROUND)])
            rim.set_zorder(text.get_zorder() - 0.1)
            axes.add_artist(rim)


def picture_export(picture: Raster | Mosaic, bar: ColorBar | None = None) -> "Callable[[FigureFormat], bytes]":
    """The `export` of an image or a mosaic: its pixels as they are, tile labels, and the colour bar."""
    return partial(export, partial(picture_figure, picture, bar))


@styled
def picture_figure(picture: Raster | Mosaic, bar: ColorBar | None = None) -> "MatplotlibFigure":
    """The picture with its tile labels and colour bar as a matplotlib figure, 720 px wide at most."""
    from matplotlib.patches import Rectangle
    from PIL import Image

    raster = picture.raster if isinstance(picture, Mosaic) else picture
    pixels = np.asarray(Image.open(io.BytesIO(raster.data)).convert("RGBA"))
    beside = 84 if bar else 0
    scale = min((720 - beside) / raster.width, 24.0)
    width, height = raster.width * scale, raster.height * scale
    figure = new_figure(max(width, 60) + beside, max(height, 60))
    axes = place(figure, 0, 0, width, height)
    axes.axis("off")
    axes.imshow(pixels, interpolation="none", extent=(0, raster.width, raster.height, 0), aspect="auto")
    if isinstance(picture, Mosaic):
        pitch_x, pitch_y = picture.tile_width + picture.gap, picture.tile_height + picture.gap
        for index, label in enumerate(picture.labels):
            row, column = divmod(index, picture.columns)
            left, top = picture.gap + column * pitch_x, picture.gap + row * pitch_y
            if index in picture.outlined:
                box = Rectangle(
                    (left, top), picture.tile_width, picture.tile_height, fill=False, edgecolor=ACCENT, lw=2
                )
                axes.add_patch(box)
            # A label needs 16 px of height to be read, and should not cover its tile.
            if picture.tile_width * scale >= 40 and len(picture.labels) > 1:
                at = (left + 2 / scale, top + 2 / scale)
                axes.text(*at, shorten(label, 12), size=8, va="top", gid=HALO)
    if bar:
        _draw_bar(figure, bar, width + 16, max(height, 60))
    return figure


def _draw_bar(figure: "MatplotlibFigure", bar: ColorBar, left: float, height: float) -> None:
    from matplotlib.colors import to_rgb

    stops = np.array([to_rgb(color) for color in reversed(bar.colors)])
    at_rows = np.linspace(0, len(stops) - 1, 256)
    columns = [np.interp(at_rows, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    colors = np.stack(columns, axis=1)[:, None]
    tall = min(height - 16, 200)
    axes = place(figure, left, 8, 10, tall)
    axes.axis("off")
    axes.imshow(colors, interpolation="none", extent=(0, 1, 0, 1), aspect="auto")
    for at, text in ((1, bar.high), (0.5, bar.middle), (0, bar.low)):
        if text is not None:
            axes.text(1.6, at, text, size=SMALL, color=MUTED, va="center", clip_on=False)
