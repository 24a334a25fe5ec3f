"""Short forms of what stands in the page: pictures with every pixel, numbers, scripts and styles without comments."""

import csv
import io
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from weakref import WeakKeyDictionary

from reportgen.core.report import Numbers

PIXELS = 50_000_000
SIDE = 16_383
"""Pixels of a picture's side that WebP can hold."""


@lru_cache(maxsize=1024)  # a page is rendered again for each size that is tried
def lossless(png: bytes) -> bytes:
    """The PNG as WebP with the same pixels; the PNG itself where WebP can't hold all that it says, or it is damaged."""
    from PIL import Image, UnidentifiedImageError, features

    if not features.check("webp"):
        return png
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    if max(width, height) > SIDE or width * height > PIXELS:
        return png
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png)) as picture:
            if picture.mode not in ("1", "L", "P", "RGB", "RGBA") or {"icc_profile", "gamma"} & picture.info.keys():
                return png
            clear = picture.mode == "RGBA" or "transparency" in picture.info
            # A higher effort takes several times as long for a few bytes.
            picture.convert("RGBA" if clear else "RGB").save(buffer, "WEBP", lossless=True, exact=True, quality=50)
    except (UnidentifiedImageError, OSError, SyntaxError):  # pillow's words for what is not a whole PNG
        return png
    return buffer.getvalue()


CARRIED = 16_000
"""Bytes of a compressed CSV file up to which a page carries it."""

_deflated: WeakKeyDictionary[Numbers, bytes] = WeakKeyDictionary()


def deflated(numbers: Numbers) -> bytes:
    """The CSV file in UTF-8, compressed by zlib; empty where that takes more than `CARRIED` bytes."""
    if numbers not in _deflated:  # a page is rendered again for each size that is tried
        _deflated[numbers] = _compressed(numbers)
    return _deflated[numbers]


def csv_lines(numbers: Numbers) -> Iterator[str]:
    """The file line by line: full precision, empty where there is no data."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in chain([numbers.columns], numbers.rows()):
        writer.writerow(row)
        yield line.getvalue()
        line.seek(line.truncate(0))


def _compressed(numbers: Numbers) -> bytes:
    packer, packed = zlib.compressobj(9), b""
    for line in chain(csv_lines(numbers), [None]):
        packed += packer.flush() if line is None else packer.compress(line.encode(errors="replace"))
        if len(packed) > CARRIED:
            return b""
    return packed


_STRING = r"""\"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
_INNER = r"`(?:[^`\\$]|\\.|\$(?!\{)|\$\{[^`{}]*\})*`"
_TEMPLATE = rf"`(?:[^`\\$]|\\.|\$(?!\{{)|\$\{{(?:[^`{{}}]|\{{[^`{{}}]*\}}|{_INNER})*\}})*`"
_PATTERN = r"(?:(?<=[(,=:?!])|(?<=[(,=:?!] ))/(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*"
_LITERAL = rf"{_STRING}|{_TEMPLATE}|{_PATTERN}"
_SCRIPT = re.compile(
    rf"({_LITERAL})|\s*//[^\n]*|;?\s*(\}})|(?<!async )\((\w+)\) (?==>)"
    r"|\s*([{(\[,;:?<>&|*\])]|[-+/%!*]?=)\s*|(?<![+-]) ([-+/%]) (?![-+/])|\b(const)\b|\n\s*"
)
_STYLE = re.compile(rf"({_STRING})|/\*.*?\*/|\s*([{{}};,>])\s*|(:)\s+|(?<![\w.])0(?=\.\d)", re.DOTALL)


def lean_script(text: str) -> str:
    """A script without the comments, spaces, brackets and semicolons that nothing depends on; `const` is `let`.

    Strings, templates (one within another at most) and regular expressions are left alone. Its statements
    end in semicolons, and none is empty.
    """
    return _SCRIPT.sub(_kept, text).strip() + "\n"


def lean_style(text: str) -> str:
    """A style sheet likewise."""
    return _STYLE.sub(_kept, text).replace(";}", "}").strip() + "\n"


def _kept(found: re.Match[str]) -> str:
    text = next((text for text in found.groups() if text), "")
    if text == "const":
        return "let"
    return text or ("\n" if found[0].isspace() else "")
