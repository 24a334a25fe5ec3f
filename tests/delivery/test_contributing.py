"""What stands at the door for strangers is true: commands exist, hooks run, the citation names the version."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import reportgen

ROOT = Path(__file__).parent.parent.parent
PAPERS = ("CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_command_and_file_that_is_named_exists(paper):
    text = (ROOT / paper).read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:`|^    )make ([a-z]+)", text, re.MULTILINE)) <= set(targets)
    for name in re.findall(r"\bscripts/\w+(?:\.py)?|\b(?:tests|docs)/[\w./]+(?:\.py|\.md)", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:sections|core|evaluate|analysis)/[a-z_]+\.py)`", text):
        assert (ROOT / "reportgen" / name).exists(), name


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == reportgen.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_hooks_are_local_and_name_programs_of_the_environment():
    assert [repository["repo"] for repository in HOOKS] == ["local"]
    for hook in HOOKS[0]["hooks"]:
        program, *arguments = shlex.split(hook["entry"])
        assert hook["language"] == "system"
        if program.startswith(".venv/bin/"):
            assert shutil.which(program.removeprefix(".venv/bin/"), path=str(Path(sys.executable).parent)), program
        for name in arguments:
            assert not name.startswith("tests/") or (ROOT / name).is_file(), name


@pytest.mark.parametrize(("subject", "code"), [("x" * 72, 0), ("x" * 73, 1), ("", 1)])
def test_the_hook_of_the_subject_counts(tmp_path, subject, code):
    (hook,) = (hook for hook in HOOKS[0]["hooks"] if hook["id"] == "subject")
    message = tmp_path / "message"
    message.write_text(f"{subject}\n\n{'why ' * 40}\n", encoding="utf-8")
    ended = subprocess.run([*shlex.split(hook["entry"]), str(message)], capture_output=True)
    assert ended.returncode == code
