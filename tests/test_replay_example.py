"""The lines of examples/replay.md, in their order, in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_line_runs_as_it_stands(tmp_path):
    text = (ROOT / "examples" / "replay.md").read_text(encoding="utf-8")
    scripts = re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)
    for name, content in scripts:
        (tmp_path / name).write_text(content, encoding="utf-8")
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = re.findall(r"^    (\S.*)$", outside, re.MULTILINE)
    assert len(scripts) == 2 and sum(line.startswith("reportgen") for line in lines) == 3
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "    reportgen replay checkpoints/ -o runs/mine" in readme and "    reportgen build runs/mine" in readme
    said = []
    for line in lines:
        program, *arguments = line.split()
        command = [sys.executable, *(["-m", "reportgen"] if program == "reportgen" else []), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "Replayed from 6 checkpoints" in said[1] and "steps 0 to 250" in said[1]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Replayed from 6 checkpoints" in page and "at step 250" in page
    assert len(said[-1].split(",")) == 6
