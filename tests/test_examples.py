"""Every script in examples/ that needs no data of its own runs as it stands, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PAGES = {
    "linen_loop": "linen.html",
    "nnx_loop": "nnx.html",
    "token_model": "tokens.html",
    "foreign_checkpoint": "foreign.html",
}


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_an_example_runs_as_it_stands(tmp_path, name, page):
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", EXAMPLES / f"{name}.py"],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert 'id="overview"' in text
    if name == "foreign_checkpoint":
        theirs, ours = (part.rpartition(" ")[2] for part in done.stdout.strip().split(", "))
        assert theirs == ours
        assert float(ours) > 0.8
