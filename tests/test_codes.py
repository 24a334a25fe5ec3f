"""Every error and warning of ours has a code, every code a section in docs/errors/, with an example that raises it."""

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from reportgen import errors
from reportgen.cli import cli
from reportgen.explain import explain, sections
from tests.delivery.blocks import Block, blocks, commands

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "errors").glob("*.md"))
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def raised(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that make an error of ours, or that warn."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            # A class that is chosen by the caller, as for archives, is called by its variable's name.
            if not isinstance(called, ast.Name) or (called.id in {"error", "kind"}):
                yield node.exc
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {*OURS, "warn", "self._warn"}:
            yield node


def codes() -> dict[str, list[str]]:
    """Code -> the places that use it; "" for places without one."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "reportgen").rglob("*.py")):
        for call in raised(ast.parse(file.read_text(encoding="utf-8"))):
            values = [word.value for word in call.keywords if word.arg == "code"]
            place = f"{file.relative_to(ROOT)}:{call.lineno}"
            if values and ast.unparse(values[0]).rpartition(".")[2] == "code":
                continue  # handed on: of another error that this one says more about, or by the caller (below)
            code = values[0].value if values and isinstance(values[0], ast.Constant) else ""
            found.setdefault(str(code), []).append(place)
    return found


def test_every_error_and_warning_has_a_code():
    assert codes().get("", []) == []
    for file in (ROOT / "reportgen").rglob("*.py"):
        if file.name != "errors.py":
            assert "warnings.warn(" not in file.read_text(encoding="utf-8"), f"{file}: reportgen.errors.warn has a code"


def test_every_code_has_a_section_and_every_section_a_code():
    assert set(codes()) - {""} == set(sections())


@pytest.mark.parametrize("code", sections())
def test_every_section_says_what_to_do(code):
    title, text = sections()[code].split("\n", 1)
    assert re.fullmatch(rf"{code}: [A-Z].*[^.]", title)
    assert re.search(r"^\*\*What to do\.\*\* \S", text, re.MULTILINE) and text.count("```") == 2
    assert re.sub(r"```.*?```|\*\*What to do.*", "", text, flags=re.DOTALL).strip(), "what it means"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_raises_its_error(page, recorded, tmp_path, monkeypatch):
    from tests.delivery import stage

    monkeypatch.setattr(stage, "RECORDED", recorded)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)  # each page writes its own
    headings = [
        (number, line[3:].partition(":")[0])
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if line.startswith("## ")
    ]
    space: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "setup":
            exec(compile(block.text, page.name, "exec"), space)
        elif block.how != "not run":
            code = [code for number, code in headings if number < block.line][-1]
            assert code in came_of(block, space), f"{page.name}, line {block.line}"


def came_of(block: Block, space: dict[str, object]) -> set[str]:
    """The codes of the error that the block raises and of the warnings that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = set()
        try:
            if block.language == "sh":
                for command in commands(block.text):
                    CliRunner().invoke(cli, command[1:], catch_exceptions=False)
            else:
                exec(compile("\n" * block.line + block.text, "example", "exec"), space)
        except errors.ReportgenError as error:
            found = {error.code}
    return found | set(re.findall(r"\[([A-Z]\d+)\]$", "\n".join(str(one.message) for one in caught), re.MULTILINE))


def test_a_code_is_explained():
    done = CliRunner().invoke(cli, ["explain", "d104"])
    assert done.exit_code == 0 and done.output.startswith("D104: Class names\n\n") and "<!--" not in done.output
    with pytest.raises(errors.OptionError, match="'D1O4'; did you mean D1"):
        explain("D1O4")
