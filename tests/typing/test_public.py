"""The public names have types for users' own type checkers."""

import subprocess
import sys
from pathlib import Path

import pytest

import reportgen

ROOT = Path(__file__).parent.parent.parent
NAMES = [name for name in reportgen.__all__ if not name.startswith("_")]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> str:
    """What mypy says of the user's program, and of one that asks for the type of each public name."""
    names = tmp_path_factory.mktemp("typing") / "names.py"
    names.write_text("import reportgen\n" + "".join(f"reveal_type(reportgen.{name})\n" for name in NAMES))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "mypy", "--strict", f"--python-version={version}"]
    done = subprocess.run(
        [*command, "tests/typing/public.py", str(names)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_a_users_program_is_clean(told):
    assert [line for line in told.splitlines() if line.startswith("tests/typing/public.py")] == []


def test_no_public_name_is_of_any_type(told):
    revealed = [line for line in told.splitlines() if "Revealed type is" in line]
    assert len(revealed) == len(NAMES)
    assert [line for line in revealed if 'is "Any"' in line] == []
