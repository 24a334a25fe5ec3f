"""The numbers behind a page's figures as the page carries them: small files whole, larger ones as columns.

    carried(report)                                # what the page's script makes CSV files of

A column of a larger file is of texts, of whole numbers, or of numbers to four significant digits; what the page has
already, the places of the embedded examples, is named instead.
"""

import base64
import csv
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from numbers import Integral, Real
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from reportgen.core.arrays import Packable
from reportgen.core.report import Document, Numbers
from reportgen.core.scripted import Examples, pack

WHOLE = 10_000
"""Bytes of a compressed CSV file up to which a page carries it as it is."""

COLUMNS = 180_000
"""Bytes of the compressed columns of one file that a page carries at most."""

ROWS = 60_000
"""Rows of a file of which none of the columns stands in the page already, at most."""

DIGITS = 4
EXACT = 1 << 24
"""Whole numbers up to which float32 has each."""

NONE = -32768
"""The mantissa where there is no number."""


@dataclass(frozen=True)
class Carried:
    """A file's bytes as the page has them, and for columns what the script makes rows of; None for the file itself."""

    data: bytes
    table: dict[str, Any] | None = None


_known: WeakKeyDictionary[Numbers, Carried] = WeakKeyDictionary()


def carried(report: Document) -> dict[str, Any] | None:
    """What the page's script makes of the sections' numbers, None where the page carries none.

    `data` is base64 of the files, compressed, end to end; `files` has the name of each, its first byte there, how many
    it has, 0 where it is too large for a page, and its table; `sections` the names by the sections' anchors.
    """
    if not report.numbers or not any(part.numbers for part in report.sections):
        return None
    examples = {block.name for part in report.sections for block in part.blocks if isinstance(block, Examples)}
    files = {
        each.filename: _carried(each) if {name for _, name, *_ in each.placed} <= examples else Carried(b"")
        for part in report.sections
        for each in part.numbers
    }
    starts = accumulate((len(each.data) for each in files.values()), initial=0)
    return {
        "data": base64.b64encode(b"".join(each.data for each in files.values())).decode("ascii"),
        "files": [
            (name, start, len(each.data), each.table)
            for start, (name, each) in zip(starts, files.items(), strict=False)
        ],
        "sections": {part.anchor: [each.filename for each in part.numbers] for part in report.sections if part.numbers},
    }


def csv_lines(numbers: Numbers) -> Iterator[str]:
    """The file line by line: full precision, empty where there is no data."""
    return _lines(chain([numbers.columns], numbers.rows()))


def _lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield line.getvalue()
        line.seek(line.truncate(0))


def _carried(numbers: Numbers) -> Carried:
    if numbers not in _known:  # a page is rendered again for each size that is tried
        text = _text(numbers)
        _known[numbers] = Carried(text) if text else _columns(numbers)
    return _known[numbers]


def _text(numbers: Numbers) -> bytes:
    """The file in UTF-8, compressed; empty where that takes more than `WHOLE` bytes."""
    packer, packed = zlib.compressobj(9), b""
    for line in chain(csv_lines(numbers), [None]):
        packed += packer.flush() if line is None else packer.compress(line.encode(errors="replace"))
        if len(packed) > WHOLE:
            return b""
    return packed


def _columns(numbers: Numbers) -> Carried:
    """Its columns, packed; nothing where they can't be, or take more than `COLUMNS` bytes."""
    rows = list(numbers.rows() if numbers.placed else islice(numbers.rows(), ROWS + 1))
    if not rows or (len(rows) > ROWS and not numbers.placed):
        return Carried(b"")
    placed = {
        column: {"of": name, "axis": axis, "low": low, "high": high} for column, name, axis, low, high in numbers.placed
    }
    kinds: list[Any] = []
    arrays: list[Packable] = []
    powers: list[Packable] = []
    for index, column in enumerate(numbers.columns):
        if column in placed:
            kinds.append(placed[column])
            continue
        found = _column([row[index] for row in rows])
        if found is None:
            return Carried(b"")
        kind, values, *exponents = found
        kinds.append(kind)
        arrays.append(values)
        powers += exponents
    arrays += powers  # at the end, so that equal mantissas of two columns stand near each other
    packed = pack(arrays)
    if len(packed) > COLUMNS:
        return Carried(b"")
    shapes = [(*array.shape, array.dtype.itemsize) for array in arrays]
    return Carried(packed, {"head": next(csv_lines(numbers)), "rows": len(rows), "kinds": kinds, "arrays": shapes})


def _column(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """What the column is, the texts, "whole" or "short", and the arrays that hold it; None where they can't."""
    there = [value for value in values if value is not None]
    if any(isinstance(value, bool) for value in there) or not all(isinstance(value, Real) for value in there):
        return _texts(values)
    if all(isinstance(value, Integral) and abs(int(value)) < EXACT for value in there):
        small = all(abs(value) < -NONE for value in there)
        kind, none = (np.int16, NONE) if small else (np.float32, np.nan)
        return "whole", _upright(np.array([none if value is None else value for value in values], kind))
    numbers = np.array(values, float)
    if np.isnan(numbers).sum() > len(values) - len(there) or np.isinf(numbers).any():
        return None
    parts = np.array([(NONE, 0) if value is None else _short(value) for value in values], np.int16)
    return "short", *map(_upright, parts.T)


def _texts(values: Sequence[Any]) -> tuple[Any, ...] | None:
    texts: dict[str, int] = {}
    codes = [texts.setdefault(line[:-2], len(texts)) for line in _lines((value, None) for value in values)]
    return None if len(texts) > -NONE else (list(texts), _upright(np.array(codes, np.int16)))


def _upright(column: np.ndarray) -> Packable:
    """The column as rows of one value, of which `pack` takes the differences, or as one row: whichever is shorter."""
    return min(column[None], column[:, None], key=lambda array: len(pack([np.ascontiguousarray(array)])))


def _short(value: float) -> tuple[int, int]:
    """(mantissa, exponent) of the number to four significant digits.

    >>> _short(0.0123456), _short(-2.0), _short(0.0)
    ((1235, -5), (-2000, -3), (0, -3))
    """
    mantissa, exponent = f"{value:.{DIGITS - 1}e}".split("e")
    return int(mantissa.replace(".", "")), int(exponent) - DIGITS + 1
