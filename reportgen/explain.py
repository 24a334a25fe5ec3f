"""What the codes of errors and warnings mean, as docs/errors/ says it.

    explain("D104")                # "D104: Class names\n\nClass names are texts, ..."

A wheel contains the folder as `reportgen/explained`; a checkout or an editable install has it beside the package.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from reportgen.errors import OptionError, choices


@cache
def sections() -> Mapping[str, str]:
    """Code -> its part of the documentation in Markdown, without the comments that only tests read."""
    package = Path(__file__).parent
    found = {}
    for folder in (package / "explained", package.parent / "docs" / "errors"):
        for file in sorted(folder.glob("*.md")):
            text = re.sub(r"<!--.*?-->\n*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
            for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
                found[part.partition(":")[0]] = part.strip()
        if found:
            break
    return found


def explain(code: str) -> str:
    """The part of the documentation on a code. Raises OptionError for one that there is not."""
    known = sections()
    if code.upper() not in known:
        raise OptionError(f"no error or warning has the code {code!r:.20}; {choices(code.upper(), known)}", code="O102")
    return known[code.upper()]
