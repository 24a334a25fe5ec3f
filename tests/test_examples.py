"""Every script in examples/ that needs no data of its own runs as it stands, in an empty folder."""

import ast
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PAGES = {
    "linen_classifier": "linen.html",
    "nnx_classifier": "nnx.html",
    "language_model": "language.html",
    "regression": "regression.html",
    "autoencoder": "autoencoder.html",
    "segmentation": "segmentation.html",
    "contrastive": "contrastive.html",
    "reinforcement_learning": "policy.html",
    "gan": "gan.html",
    "vision_transformer": "vit.html",
    "foreign_checkpoint": "foreign.html",
}


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"foreign_checkpoint"}))
def test_a_loop_has_at_most_30_lines_beside_its_model(name):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    models = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    within = {line for model in models for line in range(model.lineno, model.end_lineno + 1)}
    assert sum(bool(line.strip()) for n, line in enumerate(text.splitlines(), 1) if n not in within) <= 30


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_an_example_runs_as_it_stands(tmp_path, monkeypatch, capsys, name, page):
    monkeypatch.chdir(tmp_path)
    # In this process: importing everything anew takes longer than most of them.
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert 'overview"' in text
    assert "<title>A network with" not in text
    if name == "foreign_checkpoint":
        theirs, ours = (part.rpartition(" ")[2] for part in capsys.readouterr().out.strip().split(", "))
        assert theirs == ours
        assert float(ours) > 0.8
