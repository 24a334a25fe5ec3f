"""The command line in a terminal: a bar without colours, and completion as documented."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

REPORTGEN = [sys.executable, "-c", "import sys; sys.argv[0] = 'reportgen'; from reportgen.cli import main; main()"]


def seen(command: list[str], **variables: str) -> tuple[int, str]:
    """Exit code of a command, and what a terminal gets of it as standard error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, **variables})
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    return process.wait(), text.decode()


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}])
def test_a_terminal_gets_a_bar_and_no_colours(recorded, tmp_path, variables):
    command = [*REPORTGEN, "build", str(recorded), "-o", str(tmp_path / "a.html"), "--embedding", "pca"]
    code, text = seen(command, TERM="xterm-256color", **variables)
    assert code == 0 and "\r" in text and "section" in text
    assert not re.search(r"\x1b\[[\d;]*m", text)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_by_the_documented_line(shell):
    done = subprocess.run(
        REPORTGEN, env={**os.environ, "_REPORTGEN_COMPLETE": f"{shell}_source"}, capture_output=True, text=True
    )
    assert done.returncode == 0 and "_REPORTGEN_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [("reportgen insp", "inspect"), ("reportgen build --embedding p", "pca"), ("reportgen train --ep", "--epochs")],
)
def test_commands_options_and_choices_are_completed(words, offered):
    variables = {"_REPORTGEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(REPORTGEN, env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0 and f"plain,{offered}" in done.stdout.splitlines()


def test_a_missing_run_is_no_fault_of_standard_output(tmp_path):
    done = subprocess.run([*REPORTGEN, "build", str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"reportgen: {tmp_path / 'none'} is not a directory")
