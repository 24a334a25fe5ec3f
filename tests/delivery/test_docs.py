"""The documentation is true: its code runs, its commands exist, its names are all there, its links lead somewhere."""

import ast
import importlib
import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from markdown_it import MarkdownIt

import reportgen
from reportgen import errors
from reportgen.cli import cli
from tests.delivery.blocks import ROOT, Block, blocks, commands, pages

DOCS = ROOT / "docs"
TRIED_ELSEWHERE = {"examples/replay.md": "tests/test_replay_example.py"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WITH_CODE = [
    page
    for page in pages()
    if blocks(page) and name_of(page) not in TRIED_ELSEWHERE and page.parent.name != "errors"  # tests/test_codes.py
]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_every_block_of_a_page_runs(page, recorded, tmp_path, monkeypatch):
    from tests.delivery import stage

    monkeypatch.setattr(stage, "RECORDED", recorded)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)  # each page writes its own
    space = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{name_of(page)}, line {block.line}"
        assert not block.how or len(block.why.split()) > 1 or block.why == "LaTeX", f"{where}: say why"
        if block.how != "not run":
            tried(block, where, space)


def tried(block: Block, where: str, space: dict[str, object]) -> None:
    match block.language:
        case "setup" | "python":
            lines = "\n" * (block.line if block.language == "python" else 0)
            exec(compile(lines + block.text, where, "exec"), space)
        case "text":  # a drawing or a listing
            pass
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            assert yaml.safe_load(block.text)
        case "" | "sh":
            for command in commands(block.text):
                command_holds(command, block.how == "parsed", where)
        case _:
            pytest.fail(f"{where}: a block of {block.language} is not tried; mark it <!-- not run: why -->")


def command_holds(command: list[str], parsed: bool, where: str) -> None:
    """Run a command of reportgen's (or parse its arguments), and see that those of others name what exists."""
    program, *arguments = command
    match program:
        case "reportgen" if parsed:
            with cli.make_context("reportgen", list(arguments)) as context:
                name, found, rest = cli.resolve_command(context, list(arguments))
                found.make_context(name, rest, parent=context)
        case "reportgen":
            done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
            assert done.exit_code == 0, f"{where}: {done.output}"
        case "make":
            assert arguments[0] in TARGETS, where
        case "pip":
            assert arguments[0] == "install", where
            for extra in re.findall(r"(?:reportgen-jax|\.)\[(\w+)\]", " ".join(arguments)):
                assert extra in EXTRAS, where
        case _:
            pytest.fail(f"{where}: {program} is not run here; mark the block <!-- not run: why -->")


def test_every_public_name_stands_in_the_reference():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", text, re.MULTILINE)) | set(
        re.findall(r"`(reportgen\.[\w.]+)`", text)
    )
    public = {f"reportgen.{name}" for name in reportgen.__all__}
    for room in ("record", "training", "data", "sections"):
        for name in importlib.import_module(f"reportgen.{room}").__all__:
            public |= set() if name in reportgen.__all__ else {f"reportgen.{room}.{name}"}
    assert public <= listed, sorted(public - listed)
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    kinds = [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)]
    assert {name for name in kinds if not re.search(rf"\b{name}\b", text)} == set()


FORM = ("What it shows.", "How it is computed.", "What it can't show.", "References.")


def entries() -> dict[str, dict[str, str]]:
    """Of the page on sections: which page -> anchor -> the entry's text."""
    alone, compared = re.split(
        r"^# On the page.*$", (DOCS / "sections.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = {}
    for page, text in (("sections", alone), ("compare", compared)):
        parts = re.split(r"^## .*\(`([a-z-]+)`\)$", text, flags=re.MULTILINE)[1:]
        found[page] = dict(zip(parts[::2], parts[1::2], strict=True))
    return found


@pytest.mark.parametrize(("page", "folder"), [("sections", "sections"), ("compare", "sections/compare")])
def test_every_section_has_an_entry_in_the_fixed_form(page, folder):
    built = set()
    for file in (ROOT / "reportgen" / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Section":
                anchors = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "anchor")]
                built |= {anchor.value for anchor in anchors if isinstance(anchor, ast.Constant)}
    assert built == set(entries()[page])
    for anchor, text in entries()[page].items():
        assert tuple(re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)) == FORM, anchor


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_to_a_file_leads_somewhere(page):
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src") or ""
            if target and not target.startswith(("http", "mailto:", "#")):
                assert (page.parent / target.partition("#")[0]).exists(), target
