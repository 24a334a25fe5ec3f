"""Check what `hatchling build` made: python scripts/check_dist.py DIST. Ends with what is wrong, if anything."""

import email
import sys
import tarfile
import zipfile
from pathlib import Path

import cmarkgfm

REQUIRED = {
    "reportgen/templates/base.html.jinja",
    "reportgen/explained/data.md",
    "reportgen/py.typed",
    "reportgen/cli.py",
}
ROOM = 2_000_000
"""Bytes that a wheel of code and templates has at most; a picture or a data set that slipped in is more."""


def check(dist: Path) -> list[str]:
    """What is wrong with the wheel and the sdist in that folder."""
    wheels, sdists = list(dist.glob("*.whl")), list(dist.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{dist} holds {len(wheels)} wheels and {len(sdists)} sdists instead of one each"]
    with zipfile.ZipFile(wheels[0]) as archive:
        names = set(archive.namelist())
        metadata = email.message_from_bytes(archive.read(next(name for name in names if name.endswith("/METADATA"))))
    with tarfile.open(sdists[0]) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    version = metadata["Version"]
    wrong = [f"the wheel lacks {name}" for name in sorted(REQUIRED - names)]
    own = ("reportgen/", f"reportgen_jax-{version}.dist-info/")
    wrong += [f"the wheel holds {name}" for name in sorted(names) if not name.startswith(own)]
    inside = {name for name in sources if name.startswith("reportgen/") and name.endswith(".py")}
    wrong += [f"the wheel lacks {name}, which the sdist has" for name in sorted(inside - names)]
    wrong += [f"the sdist lacks {name}" for name in ("README.md", "CHANGELOG.md", "LICENSE") if name not in sources]
    if wheels[0].stat().st_size > ROOM:
        wrong.append(f"the wheel has {wheels[0].stat().st_size:,} bytes, more than {ROOM:,}")
    page = cmarkgfm.github_flavored_markdown_to_html(metadata.get_payload())
    if metadata["Description-Content-Type"] != "text/markdown" or "<h1>reportgen</h1>" not in page:
        wrong.append("the wheel's description is not the README")
    if metadata["License-Expression"] != "Apache-2.0":
        wrong.append("the wheel names no licence")
    return wrong


if __name__ == "__main__":
    found = check(Path(sys.argv[1]))
    sys.exit("\n".join(found) or None)
