"""Finds the templates, styles and scripts, in an installed package or a checkout.

    env = environment()
    env.get_template("base.html.jinja").render(...)
    asset("css/page.css")                          # the text unchanged, never parsed as a template

A wheel contains the folder as `reportgen/templates`; a checkout or an editable install has it beside
the package. The first that holds the base template is used.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reportgen.errors import ReportgenError

BASE = "base.html.jinja"

# Not allowed in HTML, or not encodable as UTF-8: C0 and C1 controls except tab and newline, lone surrogates,
# noncharacters. A class name may contain any of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def clean(text: str) -> str:
    """The text with every character that HTML or UTF-8 can't carry replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def candidates() -> tuple[Path, ...]:
    """Folders that may hold the templates, in the order in which they are tried."""
    package = Path(__file__).parents[1]
    return package / "templates", package.parent / "templates"


def templates() -> Path:
    """The folder that holds the base template.

    Raises ReportgenError, with the folders that were tried, when none does.
    """
    tried = candidates()
    for folder in tried:
        if (folder / BASE).is_file():
            return folder
    raise ReportgenError(
        f"can't find the page's templates: no {BASE} in {' or '.join(str(folder) for folder in tried)}; "
        "install reportgen again, or run it from a complete checkout",
        code="P105",
    )


def asset(name: str) -> str:
    """The text of a file under templates/, unchanged: styles and scripts are not templates."""
    return (templates() / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return clean(value) if isinstance(value, str) else value


@cache
def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def environment() -> Environment:
    """Jinja over templates/: everything escaped, an unknown name an error, unprintable text replaced.

    Raises ReportgenError where the templates can't be found.
    """
    return _environment(templates())
