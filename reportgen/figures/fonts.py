"""Text that a font can't show: found before drawing, and set in another font.

    missing = set_texts(figure)          # labels that no installed font can show in full

matplotlib's own font has Latin, Greek and Cyrillic letters, no Chinese, Japanese or Korean ones.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

BASE_FONT = "DejaVu Sans"

# Tried first, in this order; then every other installed family by name.
_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "WenQuanYi Micro Hei",
    "Arial Unicode MS",
)


def clean(text: str) -> str:
    """The text on one line, without what XML can't hold: control characters and lone surrogates."""
    return "".join(
        " " if character in "\t\n\r" else character if _is_xml(ord(character)) else "\ufffd" for character in text
    )


def shorten(text: str, length: int) -> str:
    """The text cleaned and cut to at most `length` characters, with an ellipsis where it was cut.

    >>> shorten("ankle boot", 20), shorten("a very long class name", 9)
    ('ankle boot', 'a very l…')
    """
    text = clean(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _is_xml(code: int) -> bool:
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000


@lru_cache(maxsize=64)
def _characters(family: str) -> frozenset[int]:
    """The code points that the family's regular font has; empty where it is not installed."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name == family]
    if not entries:
        return frozenset()
    entry = min(entries, key=lambda entry: (entry.style != "normal", abs(_weight(entry) - 400), entry.fname))
    # Collections hold one font per family; matplotlib before 3.11 reads the first one only.
    index = getattr(entry, "index", 0)
    font = FT2Font(entry.fname, face_index=index) if index else FT2Font(entry.fname)
    return frozenset(font.get_charmap())


def _weight(entry: object) -> int:
    weight = getattr(entry, "weight", 400)
    return weight if isinstance(weight, int) else 400


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    # Last Resort shows a box for everything: it is not a font that has the characters.
    others = sorted(name for name in installed if "Last Resort" not in name)
    return (*(name for name in _WIDE_FONTS if name in installed), *others)


@lru_cache(maxsize=1024)
def families_for(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """(font families that show the text together, characters that none of the installed fonts has)."""
    missing = {ord(character) for character in text} - _characters(BASE_FONT)
    families = [BASE_FONT]
    for family in _families() if missing else ():
        found = missing & _characters(family)
        if found:
            families.append(family)
            missing -= found
        if not missing:
            break
    return tuple(families), frozenset(map(chr, missing))


def set_texts(figure: "Figure", *, replace: bool) -> tuple[str, ...]:
    """Clean every text of the figure and give it fonts that have its characters.

    Returns the labels with characters that no installed font has; with `replace` these characters
    become a white square (U+25A1), else they are left to whoever shows the text.
    """
    from matplotlib.ticker import FixedFormatter

    lacking: dict[str, None] = {}

    def prepared(text: str) -> str:
        text = clean(text)
        missing = families_for(text)[1]
        if missing:
            lacking[text] = None
        if missing and replace:
            text = "".join("□" if character in missing else character for character in text)
        return text

    for axis, names in _tick_names(figure):
        axis.set_major_formatter(FixedFormatter([prepared(name) for name in names]))
    for artist in _texts(figure):
        text = prepared(artist.get_text())
        artist.set_text(text)
        families = families_for(text)[0]
        if len(families) > 1:
            artist.set_fontfamily(list(families))
    return tuple(lacking)


def _tick_names(figure: "Figure") -> "Iterator[tuple[Axis, Sequence[str]]]":
    """The axes whose ticks have names: tick labels are written anew from these at every drawing."""
    from matplotlib.ticker import FixedFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                yield axis, formatter.seq


def _texts(figure: "Figure") -> "Iterator[Text]":
    """The texts that will be drawn. `findobj` would make ticks for every axis that is switched off."""
    from matplotlib.text import Text

    yield from figure.texts
    for axes in figure.axes:
        if not axes.axison:
            yield from axes.texts
        else:
            yield from (child for child in axes.get_children() if isinstance(child, Text))
            for axis in (axes.xaxis, axes.yaxis):
                yield axis.label
                yield from axis.get_majorticklabels()
