"""The code blocks of a Markdown page, and the comments that say how each is tried.

<!-- setup: CODE -->          Python that runs before the next block, unseen by readers
<!-- parsed: REASON -->       of the next block, the commands are parsed only: all their options exist
<!-- not run: REASON -->      the next block is only shown
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent.parent
COMMENT = re.compile(r"<!--\s*(setup|parsed|not run)(?::|\s)(.*?)-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: its language ("" for an indented one), text, line on the page, and how it is tried with why."""

    language: str
    text: str
    line: int
    how: str = ""
    why: str = ""


def pages() -> list[Path]:
    """Every page that a user reads, but those that are written by a command."""
    written = {ROOT / "docs" / "ledger.md"}
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    return sorted(set(found) - written)


def blocks(page: Path) -> list[Block]:
    """The blocks in their order, setups among them."""
    found, how, why = list[Block](), "", ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for kind, text in COMMENT.findall(token.content):
                if kind == "setup":
                    found.append(Block("setup", text, line))
                else:
                    how, why = kind, " ".join(text.split())
        elif token.type in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.split() else ""
            if not language.startswith("{"):  # a directive of the site's generator
                found.append(Block(language, token.content, line, how, why))
            how, why = "", ""
    return found


def commands(text: str) -> list[list[str]]:
    """The commands of a shell block, split as a shell would; comments and the line breaks behind \\ are taken out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = (re.sub(r"(^|\s{2,})#.*", "", line).strip() for line in joined.splitlines())
    return [shlex.split(line) for line in lines if line]
