"""Every script in examples/ that needs no data of its own runs as it stands, in an empty folder."""

import runpy
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
def test_an_example_runs_as_it_stands(tmp_path, monkeypatch, capsys, name, page):
    monkeypatch.chdir(tmp_path)
    # In this process: importing everything anew takes longer than most of them.
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert 'id="overview"' in text
    if name == "foreign_checkpoint":
        theirs, ours = (part.rpartition(" ")[2] for part in capsys.readouterr().out.strip().split(", "))
        assert theirs == ours
        assert float(ours) > 0.8
