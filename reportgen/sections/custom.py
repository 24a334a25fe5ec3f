"""A user's own content as a section: texts, matplotlib figures, DataFrames, lists of rows.

    section = custom("Ablation", ["Without dropout it overfits.", figure, [("rate", "accuracy"), (0.5, 0.98)]])

A matplotlib figure keeps its colours and stands on white, also in the dark; a paper gets it as a vector drawing.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from reportgen.core.report import Block, Figure, FigureRow, Fold, Raster, Section, Table, Text
from reportgen.core.scripted import Examples, Explorer
from reportgen.errors import OptionError, expect
from reportgen.sections.words import slug


def custom(title: str, content: Sequence[Any], finding: str = "", taken: Collection[str] = ()) -> Section:
    """A section of that content; its anchor comes from the title and differs from those in `taken`.

    Raises OptionError for content that is not text, a figure, a DataFrame, a list of rows or a block.
    """
    expect("title", title, str, "a text")
    expect("finding", finding, str, "a text")
    anchor, count = slug(title), 1
    while anchor in taken:
        count += 1
        anchor = f"{slug(title)}-{count}"
    blocks = tuple(_block(part, title, f"{anchor}-{number}") for number, part in enumerate(content, 1))
    return Section(anchor, title, finding, blocks)


def _block(part: Any, title: str, name: str) -> Block:
    match part:
        case Text() | Table() | Figure() | FigureRow() | Fold() | Explorer() | Examples():
            return part
        case str():
            return Text(part)
        case list() | tuple() if part and all(isinstance(row, list | tuple) for row in part):
            return _table(part, title, name)
        case object(savefig=_, axes=_):  # matplotlib's, which is not imported to find out
            return _figure(part, title, name)
        case object(columns=columns, itertuples=rows):  # a pandas DataFrame, likewise
            return _table([list(columns), *rows(index=False)], title, name)
    raise OptionError(
        f"section {title!r} can't show a {type(part).__name__}: give text, a matplotlib figure, a DataFrame, a list of "
        "rows (the first one names the columns), or a reportgen Text, Table or Figure",
        code="P101",
    )


def _figure(figure: Any, title: str, name: str) -> Figure:
    from reportgen.figures.export import users_export

    # The words that the figure has itself: its title, or those of its axes.
    own = figure.get_suptitle() or "; ".join(filter(None, (axes.get_title() for axes in figure.axes)))
    caption = own or title
    width, height = (round(inches * 72) for inches in figure.get_size_inches())
    picture = Raster(users_export(figure, "svg"), "image/svg+xml", width, height)
    return Figure(name, picture, caption, caption, export=partial(users_export, figure), wide=width > 600)


def _table(rows: Sequence[Sequence[Any]], title: str, name: str) -> Table:
    columns, *body = ([_plain(cell) for cell in row] for row in rows)
    if any(len(row) != len(columns) for row in body):
        lengths = sorted({len(row) for row in (columns, *body)})
        raise OptionError(
            f"section {title!r} has a table with rows of {lengths} cells; all need as many as the first", code="P101"
        )
    return Table(name, title, tuple(map(str, columns)), tuple(map(tuple, body)))


def _plain(cell: Any) -> Any:
    """The cell as a table takes it: NumPy's numbers as Python's."""
    cell = cell.item() if hasattr(cell, "item") and getattr(cell, "ndim", None) == 0 else cell
    return cell if cell is None or isinstance(cell, bool | int | float) else str(cell)
