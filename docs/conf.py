"""The documentation site, built from the Markdown files where they lie (`scripts/docs`)."""

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import reportgen  # noqa: E402

project = "reportgen"
copyright = "the reportgen maintainers, Apache-2.0"
version = release = reportgen.__version__
html_title = f"reportgen {version}"
root_doc = "docs/index"
include_patterns = ["docs/**.md", "examples/*.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 4
default_role = "code"
smartquotes = False
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_extra_path = ["site"]
html_show_sphinx = False
html_copy_source = False
pygments_style, pygments_dark_style = "xcode", "github-dark"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

COLUMNS = re.compile(r"(?P<names>[`\w*][\w*`., ()=/\[\]-]*?) {2,}(?P<text>\S.*)")


def as_rst(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """A docstring in the house's form, as reStructuredText: code blocks, and columns of names and descriptions."""
    result: list[str] = []
    before, kind = "", ""
    for line in lines:
        row = COLUMNS.fullmatch(line)
        escaped = _escaped(line)
        if not line.strip():
            kind = "" if kind == "columns" else kind
        elif line.startswith(">>> ") or kind == "doctest":
            kind = "doctest"
        elif row is not None and kind in ("", "columns") and (kind or not before.strip()):
            kind, indent = "columns", row.start("text")
            result += [", ".join(f"``{part}``" for part in row["names"].split(", ")), f"    {_escaped(row['text'])}"]
            before = line
            continue
        elif kind == "columns" and len(line) - len(line.lstrip()) >= min(indent, 8):
            escaped = f"    {escaped.strip()}"
        elif line.startswith("    ") and kind == "" and not before.strip():
            result += [".. code-block:: python", ""]
            kind = "code"
        elif not line.startswith(" "):
            kind = "" if kind in ("code", "columns") else kind
        if kind == "doctest" and not line.strip():
            kind = ""
        result.append(line if kind in ("doctest", "code") else escaped)
        before = line
    lines[:] = result


def _escaped(line: str) -> str:
    """Text in which stars stand for themselves; what is between backticks is code anyway."""
    return "`".join(part if at % 2 else part.replace("*", r"\*") for at, part in enumerate(line.split("`")))


class Embedded(SphinxDirective):
    """A report of the gallery in a frame, with a link to it alone; a sentence where `make gallery` has not made it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not (ROOT / "gallery" / f"{name}.html").is_file():
            made = nodes.Text(f" makes gallery/{name}.html, which was not there when this site was built.")
            return [nodes.paragraph("", "", nodes.literal("", "make gallery"), made)]
        up = "../" * self.env.docname.count("/")
        target = f"{up}gallery/{name}.html"
        frame = f'<iframe src="{target}" title="The report {name}" width="100%" height="640" loading="lazy"></iframe>'
        return [nodes.raw("", f'{frame}\n<p><a href="{target}">Open it alone</a></p>', format="html")]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", as_rst)
    app.add_directive("report", Embedded)
