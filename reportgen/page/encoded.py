"""Short forms of what stands in the page: pictures with every pixel, scripts and styles without comments."""

import io
import re
from functools import lru_cache

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
    end in semicolons, and none is empty; a line has one. Declarations in a row become one.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        declares = line.lstrip().startswith("const ") and lines and lines[-1].endswith(";")
        if declares and lines[-1].startswith(line[: line.index("const ") + len("const ")]):
            lines[-1] = f"{lines[-1][:-1]}, {line.lstrip().removeprefix('const ')}"
        else:
            lines.append(line)
    return _SCRIPT.sub(_kept, "\n".join(lines)).strip() + "\n"


def lean_style(text: str) -> str:
    """A style sheet likewise."""
    return _STYLE.sub(_kept, text).replace(";}", "}").strip() + "\n"


def _kept(found: re.Match[str]) -> str:
    text = next((text for text in found.groups() if text), "")
    if text == "const":
        return "let"
    return text or ("\n" if found[0].isspace() else "")
