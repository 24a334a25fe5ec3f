"""Text in charts: cleaned, cut, measured, with a fallback for characters that no font has.

    shorten("a very long class name", 9)           # "a very l…"
    text_width("epoch 10", 11)                     # 51.0 CSS pixels

matplotlib's own font covers Latin, Greek and Cyrillic; other scripts need installed fonts.
"""

from functools import cache, lru_cache

BASE_FONT = "DejaVu Sans"

# Tried for each character that the base font lacks, in this order.
_FURTHER_FONTS = (
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
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Arial Unicode MS",
)


def clean(text: str) -> str:
    """The text on one line, without the characters that XML forbids: control characters and lone surrogates."""
    return "".join(
        " " if character in "\t\n\r" else character if _is_xml(ord(character)) else "\ufffd" for character in text
    )


def _is_xml(code: int) -> bool:
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000


def shorten(text: str, length: int) -> str:
    """The text cleaned and cut to at most `length` characters, with an ellipsis where it was cut.

    >>> shorten("ankle boot", 20), shorten("a very long class name", 9)
    ('ankle boot', 'a very l…')
    """
    text = clean(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


@lru_cache(maxsize=256)
def distinct(names: tuple[str, ...], length: int) -> tuple[str, ...]:
    """The names cleaned and cut to at most `length` characters, at least 6, so that different ones stay different.

    The beginning and the end that all of them share go first, word by word; then the middle of long ones; a number, the
    place among the names, stands where even that leaves two alike.

    >>> distinct(("photo of an ankle boot, worn", "photo of a sandal, worn"), 20)
    ('an ankle boot', 'a sandal')
    >>> distinct(("northern river otter", "northern river gull, adult", "northern river gull, adopted"), 9)
    ('otter', 'gull,…ult', 'gull,…ted')
    >>> distinct(("probe 1 (dog)", "probe 2 (cat)"), 9)
    ('1 (dog)', '2 (cat)')
    """
    whole = tuple(clean(name) for name in names)
    if all(len(name) <= length for name in whole):
        return whole
    cut = _shared(whole)
    below = _shared(tuple(name[cut:][::-1] for name in whole))
    if not any(character.isalnum() for character in whole[0][len(whole[0]) - below :]):
        below = 0  # a bracket that all of them close
    cores = tuple(name[cut : len(name) - below] for name in whole)
    for tail in (0, length // 3, length // 2, length - 2):
        made = tuple(_without_middle(core, length, tail) for core in cores)
        if len(set(made)) == len(set(whole)):
            return made
    made = tuple(_without_middle(core, length, 0) for core in cores)
    ends = [f"…{place}" for place in range(len(made))]
    return tuple(
        name if made.count(name) == 1 else core[: length - len(end)] + end
        for name, core, end in zip(made, cores, ends, strict=True)
    )


def _shared(names: tuple[str, ...]) -> int:
    """Characters of the beginning that all names share and none needs, up to the end of a word."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return next((i for i in range(same, 0, -1) if not first[i - 1].isalnum()), 0)


def _without_middle(name: str, length: int, tail: int) -> str:
    if len(name) <= length:
        return name
    return name[: length - 1 - tail].rstrip() + "…" + (name[-tail:].lstrip() if tail else "")


@cache
def families() -> tuple[str, ...]:
    """The base font, and installed fonts for the characters that it lacks."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return (BASE_FONT, *(name for name in _FURTHER_FONTS if name in installed))


@cache
def _characters(family: str) -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(family)).get_charmap())


def families_for(text: str) -> tuple[str, ...]:
    """The font families for the text: the base font alone if it has all characters."""
    return families()[:1] if all(ord(character) in _characters(BASE_FONT) for character in text) else families()


def drawable(text: str) -> str:
    """The text cleaned, with a white square (U+25A1) for each character that no font has."""
    text = clean(text)
    missing = {c for c in text if not any(ord(c) in _characters(family) for family in families_for(c))}
    return "".join("□" if character in missing else character for character in text)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in CSS pixels in the base font, which is wider than the page's; characters it lacks count as squares."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    known = "".join(character for character in clean(text) if ord(character) in _characters(BASE_FONT))
    font = FontProperties(family=BASE_FONT, weight="bold" if bold else "normal", size=size)
    width: float = text_to_path.get_text_width_height_descent(known, font, ismath=False)[0]
    return width + size * (len(text) - len(known))
