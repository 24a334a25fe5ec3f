"""The report as one self-contained HTML file.

    text = html(report)                            # write it with core.files.write(path, text)

Styles and scripts are inline, pictures are data: URIs, and a Content-Security-Policy names the hashes
of exactly these styles and scripts: nothing else can run, nothing can be fetched. The same report gives
the same bytes.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from reportgen.core.report import Document
from reportgen.errors import ReportgenError
from reportgen.page.blocks import Emit, Pen, embed, section
from reportgen.page.carried import carried
from reportgen.page.encoded import lean_script, lean_style
from reportgen.page.loader import asset, clean, environment
from reportgen.page.outline import needs_script, outline, parts, targets

STYLES = ("colors", "page", "blocks", "charts", "print")
# These run before the first paint: a chosen theme does not flash the other one, and the scroll position is restored.
EARLY_SCRIPTS = ("theme", "loading")
SCRIPTS = (
    "unpack",
    "contents",
    "filter",
    "tables",
    "layers",
    "known",
    "mosaic",
    "cloud",
    "story",
    "kernels",
    "scatter",
    "explorer",
    "shades",
    "enlarge",
    "take",
    "search",
    "scrolls",
    "stops",
)


def html(report: Document) -> str:
    """The whole report as the text of one HTML file.

    Raises ReportgenError where ids are not unique, a drawing holds more than shapes and text, a
    table's rows do not fit its columns, or the templates can't be found.
    """
    if "html" not in report.rendered:
        style = styles(report)
        early, late = scripts(EARLY_SCRIPTS), scripts(SCRIPTS)
        policy = (
            f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(early)} {_hash(late)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        assets = {"style": Markup(style), "early": Markup(early), "late": Markup(late)}
        report.rendered["html"] = render(report, embed, policy, **assets, linked=False)
    return report.rendered["html"]


def styles(report: Document) -> str:
    """All style sheets as one text, and the report's title and day for the head of each printed page."""
    day = str(report.provenance.get("date", ""))
    head = f"@page{{@top-left{{content:{_quoted(report.title[:100])}}}@top-right{{content:{_quoted(day)}}}}}\n"
    return _joined(f"css/{name}.css" for name in STYLES) + head


def _quoted(text: str) -> str:
    """A text as a string of CSS, in which nothing can end it."""
    safe = re.sub(r"[^A-Za-z0-9 ,.-]", lambda found: f"\\{ord(found[0]):x} ", " ".join(clean(text).split()))
    return f'"{safe}"'


def scripts(names: tuple[str, ...]) -> str:
    """The named scripts as one text, strict as a whole."""
    strict = '"use strict";'
    return strict + _joined(f"js/{name}.js" for name in names).replace(strict, "")


def render(report: Document, emit: Emit, policy: str, **assets: Any) -> str:
    """The page around the sections; `assets` are the styles and scripts, inline or as links."""
    env = environment()
    pen = Pen(env, emit, outline(report), targets(report))
    drawn = [section(pen, part) for part in report.sections]
    sizes = [(part.title_in_full, len(markup.encode())) for part, markup in zip(report.sections, drawn, strict=True)]
    text = env.get_template("base.html.jinja").render(
        report=report,
        sections=drawn,
        parts=parts(report.sections),
        scripted={part.anchor for part in report.sections if needs_script(part)},
        sizes=sizes,
        ramps=pen.ramps,
        provenance=flat(report.provenance),
        policy=policy,
        numbers=carried(report),
        **assets,
    )
    return text if text.endswith("\n") else text + "\n"


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted name, text) pairs, in order.

    >>> flat({"git": {"commit": "1f0c", "dirty": False}, "seed": 0})
    [('git.commit', '1f0c'), ('git.dirty', 'no'), ('seed', '0')]
    """
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += flat(value, f"{name}.")
        elif isinstance(value, bool):
            pairs.append((name, "yes" if value else "no"))
        elif isinstance(value, list | tuple):
            pairs.append((name, ", ".join(map(str, value))))
        else:
            pairs.append((name, "no data" if value is None else str(value)))
    return pairs


def _joined(names: Any) -> str:
    text = "".join((lean_style if name.startswith("css/") else lean_script)(asset(name)) for name in names)
    # Either would end the element early, and the rest of the text would become part of the page.
    if "</script" in text.lower() or "</style" in text.lower() or "<!--" in text:
        raise ReportgenError("a file under templates/css or templates/js holds </script, </style or <!--", code="P105")
    return text


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
