"""A report as data: sections of blocks, before any of it is HTML, Markdown or a file.

    Document ── Section ── Text | Table | Figure | FigureRow | Fold | Explorer | Examples
                              Figure.picture: Raster | Drawing | Mosaic | Animation

The page, the Markdown form and the figure folder are three renderings of the same value. Nothing here
imports matplotlib or Jinja; whatever is expensive to make is a function, called on demand.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reportgen.core.arguments import texts
from reportgen.core.scripted import Examples, Explorer, Shades
from reportgen.errors import OptionError, expect

FigureFormat = Literal["svg", "pdf", "png"]
Stand = Literal["full", "half", "quarter"]
"""The share of the page's width that a picture made of tiles may take: all of it, or a half or a quarter of a row."""


@dataclass(frozen=True)
class Raster:
    """An encoded picture. `pixelated` asks for hard pixel edges when it is enlarged."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    pixelated: bool = False


Aspect = Literal["maps", "channels", "kernels"]
"""What a figure can show of a layer: its activations, what its channels respond to, its parameters."""


@dataclass(frozen=True)
class Entry:
    """A line of an outline, so many levels in; `layer` is the path of the layer that it is about, "" for none."""

    depth: int
    text: str
    layer: str = ""


@dataclass(frozen=True)
class Drawing:
    """A chart as an SVG element without a script, style attributes or an XML prolog.

    Its colours are classes and `currentColor`, which follow the page's theme. `cells` are its panels as such elements,
    () for a chart of one: the page sets them side by side, or below one another where it is narrow. `outline` says in
    indented lines what it shows, for who can't see it; () where the alternative text does.

    A link in it leads to an id, or to what the page has of a layer: "#maps:conv1" to its maps, "#layer:conv1" to what
    there is first. One that leads to nothing on the page becomes plain shapes.
    """

    svg: str = field(repr=False)
    width: float
    height: float
    cells: tuple[str, ...] = field(default=(), repr=False)
    outline: tuple[Entry, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Grid:
    """Tiles of `tile_height` x `tile_width` pixels in rows, with `gap` pixels between and around them."""

    columns: int
    tile_height: int
    tile_width: int
    gap: int

    def origin(self, index: int) -> tuple[int, int]:
        """(left, top) of tile `index`, in pixels."""
        row, column = divmod(index, self.columns)
        return self.gap + column * (self.tile_width + self.gap), self.gap + row * (self.tile_height + self.gap)

    def size(self, count: int) -> tuple[int, int]:
        """(width, height) of `count` tiles with the gaps around them, in pixels; the last row may be incomplete."""
        rows = -(-count // self.columns)
        return self.columns * (self.tile_width + self.gap) + self.gap, rows * (self.tile_height + self.gap) + self.gap


@dataclass(frozen=True)
class Mosaic:
    """Channels laid out as tiles in one picture.

    `raster` is the encoded mosaic at native resolution, its tiles on the `grid`. `labels` has a name per tile,
    `values` a short text per tile (shown on hover), `outlined` the tiles to mark. The page enlarges
    it by a whole factor, within the width that `stand` allows. `links` has for each tile the anchor of the example that
    the page's script tells of when it is chosen, () for none.
    """

    raster: Raster
    grid: Grid
    labels: tuple[str, ...]
    values: tuple[str, ...] = ()
    outlined: tuple[int, ...] = ()
    stand: Stand = "full"
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Animation:
    """A GIF, the still that stands in its place until it is played, and a name per frame."""

    gif: bytes = field(repr=False)
    still: Drawing
    frame_names: tuple[str, ...]
    frame_ms: int
    width: int
    height: int


@dataclass(frozen=True)
class ColorBar:
    """The scale of a picture's colours, printed beside it.

    `colors` are hex values from the low end to the high end; `low` and `high` the numbers at the ends,
    rounded and as text.
    """

    colors: tuple[str, ...]
    low: str
    high: str
    middle: str | None = None


@dataclass(frozen=True)
class Figure:
    """A picture with its texts.

    `name` is a stable ASCII slug: anchor on the page and file name in the figure folder. `alt` states
    the finding, `caption` explains how to read the figure. `export(format)` returns the same figure for a
    paper, as the bytes of an SVG, PDF or PNG file with text as text; None for the animation, which is
    written as its GIF. `wide` lets it exceed the text's width. `of` is what it shows of a layer, with the layer's
    path: links to the layer lead to the first such figure. `live` names the block of `Examples` whose places a script
    draws in the picture's stead, "" for none. `shades` are what a script can show in a drawing of tokens or patches.
    """

    name: str
    picture: Raster | Drawing | Mosaic | Animation
    alt: str
    caption: str
    colorbar: ColorBar | None = None
    export: Callable[[FigureFormat], bytes] | None = None
    wide: bool = False
    of: tuple[Aspect, str] | None = None
    live: str = ""
    shades: Shades | None = None

    def __post_init__(self) -> None:
        for name in ("name", "alt", "caption"):
            expect(name, getattr(self, name), str, "a text")
        expect("picture", self.picture, Raster | Drawing | Mosaic | Animation, "a Raster, Drawing, Mosaic or Animation")
        expect("colorbar", self.colorbar, ColorBar | None, "a ColorBar")
        expect("export", self.export, Callable | None, "a function of a format that returns the bytes of a file")
        expect("wide", self.wide, bool, "True or False")
        expect("of", self.of, tuple | None, 'what it shows of a layer, such as ("maps", "conv1")')
        expect("live", self.live, str, "the name of a block of examples")
        expect("shades", self.shades, Shades | None, "what a script can show in the drawing")

    def __repr__(self) -> str:
        return f"<Figure {self.name!r}: {self.caption[:80]}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """In a notebook: the figure as for a paper, or its picture, which is kept where no page is shown."""
        if self.export is not None:
            return {"image/svg+xml": self.export("svg").decode()}
        match self.picture:
            case Animation(gif=data):
                mime = "image/gif"
            case Drawing(svg=text):
                return {"image/svg+xml": text}
            case Raster(data=data, mime=mime) | Mosaic(raster=Raster(data=data, mime=mime)):
                pass
        return {mime: base64.b64encode(data).decode()}


@dataclass(frozen=True)
class FigureRow:
    """Figures that belong side by side, under one title (an image and its strongest channel)."""

    figures: tuple[Figure, ...]
    title: str = ""


@dataclass(frozen=True)
class Text:
    """Plain text: body text, a method note or a warning, by its `role`."""

    text: str
    role: Literal["body", "method", "warning"] = "body"

    def __post_init__(self) -> None:
        expect("text", self.text, str, "a text")
        if not isinstance(self.role, str) or self.role not in ("body", "method", "warning"):
            raise OptionError(f"role must be body, method or warning, not {self.role!r:.80}", code="O102")


@dataclass(frozen=True)
class Cell:
    """A cell of a table that leads to `link`, a file beside the page, or shows the `drawing`, which the text describes
    then; `value` is what rows are sorted by, None for the text.
    """

    text: str
    link: str = ""
    drawing: Drawing | None = None
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; cells are str, int, float, None ("no data") or a `Cell`.

    `align` has "l" or "r" per column. The first cell of each row is its header; `anchors` are ids of the rows, () for
    none.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    align: str = ""
    anchors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expect("name", self.name, str, "a text")
        expect("caption", self.caption, str, "a text")
        object.__setattr__(self, "columns", texts("columns", self.columns, "names of columns"))
        object.__setattr__(self, "anchors", texts("anchors", self.anchors, "ids of the rows"))
        expect("rows", self.rows, Sequence, "rows of cells")
        for row in self.rows:
            if not isinstance(row, tuple | list) or len(row) != len(self.columns):
                raise OptionError(
                    f"a row of the table {self.name!r} must have {len(self.columns)} cells: {row!r:.80}", code="O101"
                )
        if (
            not isinstance(self.align, str)
            or len(self.align) not in (0, len(self.columns))
            or set(self.align) - {*"lr"}
        ):
            raise OptionError(
                f"align must be l or r for each of {len(self.columns)} columns, not {self.align!r:.80}", code="O101"
            )


@dataclass(frozen=True)
class Fold:
    """Blocks that are collapsed until the reader opens them (and open in print)."""

    summary: str
    blocks: "tuple[Block, ...]"


def folded(table: Table, summary: str) -> Table | Fold:
    """The table, in a fold where it has more than 40 rows."""
    return table if len(table.rows) <= 40 else Fold(summary, (table,))


Block = Text | Table | Figure | FigureRow | Fold | Explorer | Examples


@dataclass(frozen=True)
class Numbers:
    """The numbers behind a section's figures, as one CSV file; `rows` is called only when it is written.

    `placed` are columns that `Examples` have too, of the first group: (column, block, its column, lowest, highest).
    """

    filename: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterable[Sequence[Any]]]
    placed: tuple[tuple[str, str, str, float, float], ...] = ()


@dataclass(frozen=True)
class Section:
    """One topic: a heading that names the subject, a sentence that states the finding, then blocks.

    `part` is the part of the document that it stands in, "" for none; the one of that title opens the part.
    """

    anchor: str
    title: str
    finding: str
    blocks: tuple[Block, ...]
    numbers: tuple[Numbers, ...] = ()
    part: str = ""

    def __post_init__(self) -> None:
        for name in ("anchor", "title", "finding", "part"):
            expect(name, getattr(self, name), str, "a text")
        for name, kind, words in (
            ("blocks", Block, "Text, Table, Figure and the like"),
            ("numbers", Numbers, "Numbers"),
        ):
            expect(name, getattr(self, name), Sequence, f"a sequence of {words}")
            for each in getattr(self, name):
                expect(name, each, kind, f"a sequence of {words}")

    @property
    def opens(self) -> bool:
        """Whether the section opens a part, whose name is its title then."""
        return self.part != "" and self.part == self.title

    @property
    def title_in_full(self) -> str:
        """The title where the sections of other parts stand beside it."""
        return f"{self.part}: {self.title}" if self.part and not self.opens else self.title

    def __repr__(self) -> str:
        return f"<Section {self.anchor!r}: {self.finding}>"


@dataclass(frozen=True)
class Document:
    """The whole report.

    `key_figures` are (name, value) pairs for the strip under the title, `origin` the small line below it: day, commit,
    command. `subject` says of a figure that stands alone which network and data it is of; `omitted` says what the page
    omits for its size, "" for nothing; `numbers` is whether it carries the sections' numbers. `rendered` has the forms
    that it was rendered in, by their names: one that is measured and then saved is rendered once.
    """

    title: str
    headline: str
    key_figures: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    provenance: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    omitted: str = ""
    origin: str = ""
    subject: str = ""
    numbers: bool = True
    rendered: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<Document {self.title!r}: {', '.join(section.anchor for section in self.sections)}>"

    def only(self, section: Section) -> "Document":
        """That section as a document of its own."""
        about = self.subject or self.title
        return Document(
            f"{section.title_in_full}: {about}", section.finding, (), (replace(section, part=""),), {}, subject=about
        )
