"""The templates are found, rendered safely, and their absence is a clear error."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from reportgen.errors import ReportgenError
from reportgen.page import loader


def test_the_package_is_tried_before_the_checkout() -> None:
    inside, beside = loader.candidates()
    assert inside.parent.name == "reportgen" and beside == inside.parents[1] / "templates"
    assert (loader.templates() / loader.BASE).is_file()


def test_the_package_wins_where_both_have_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
    (folders[1] / loader.BASE).write_text("beside")
    monkeypatch.setattr(loader, "candidates", lambda: folders)
    assert loader.templates() == folders[1]
    (folders[0] / loader.BASE).write_text("inside")
    assert loader.environment().get_template(loader.BASE).render() == "inside"


def test_without_templates_the_error_names_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "candidates", lambda: (tmp_path / "one", tmp_path / "two"))
    with pytest.raises(ReportgenError, match=r"one or .*two; install reportgen again"):
        loader.environment()


def test_values_are_escaped_whatever_the_template_is_called() -> None:
    template = loader.environment().from_string("{{ value }}")
    assert template.render(value="<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"
    assert template.render(value="a\x00b\ud800\tc") == "a\ufffdb\ufffd\tc"


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        loader.environment().from_string("{{ missing }}").render()


def test_assets_are_not_parsed_as_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / loader.BASE).write_text("")
    (tmp_path / "a.css").write_text("a{#id{}} {{7*7}}")
    monkeypatch.setattr(loader, "candidates", lambda: (tmp_path, tmp_path))
    assert loader.asset("a.css") == "a{#id{}} {{7*7}}"
