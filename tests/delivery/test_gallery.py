"""The gallery: its script makes the reports that the page shows, by commands that exist."""

import re

from reportgen.cli import cli
from tests.delivery.blocks import ROOT, commands

SCRIPT = (ROOT / "scripts" / "gallery").read_text(encoding="utf-8")


def test_the_script_makes_what_the_page_shows():
    shown = re.findall(
        r"^```\{report\} (\w+)$", (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    made = re.findall(r'"\$gallery/(\w+)\.html"', SCRIPT)
    assert len(shown) == 6 and sorted(made) == sorted(shown)


def test_its_commands_exist():
    lines = [line.strip().replace("$seed", "0") for line in SCRIPT.splitlines()]
    for _, *arguments in commands("\n".join(line for line in lines if line.startswith("reportgen "))):
        with cli.make_context("reportgen", list(arguments)) as context:
            _, found, rest = cli.resolve_command(context, list(arguments))
            found.make_context(found.name, rest, parent=context)
    for name in re.findall(r'"\$examples/(\w+\.py)"', SCRIPT):
        assert (ROOT / "examples" / name).is_file()
