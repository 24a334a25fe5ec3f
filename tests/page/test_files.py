"""Files are whole or as they were."""

from pathlib import Path

import pytest

from reportgen.core import files
from reportgen.core.files import write
from reportgen.errors import OptionError, ReportgenError
from reportgen.page.html import html
from reportgen.page.save import save
from tests.page.sample import sample


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "report.html"
    assert write(target, "é") == target
    assert target.read_bytes() == "é".encode()
    write(target, b"new")
    assert target.read_bytes() == b"new" and names(target.parent) == ["report.html"]


def test_the_old_file_stands_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(tmp_path / "report.html", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ReportgenError, match=r"can't write .*report\.html: No space left"):
        write(target, "new")
    assert target.read_text() == "old" and names(tmp_path) == ["report.html"]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(tmp_path / "report.html", "old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(target, "new")
    assert target.read_text() == "old" and names(tmp_path) == ["report.html"]


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportgenError, match=r"can't write .*report\.html"):
        write(tmp_path / "file" / "report.html", "new")


def test_a_folder_in_the_way_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportgenError, match=r"can't write .*report\.html: Is a directory"):
        write(tmp_path / "report.html", "new")
    assert names(tmp_path) == ["report.html"]


def test_save_knows_three_forms(tmp_path: Path) -> None:
    report = sample()
    assert save(report, str(tmp_path / "r.html")).read_text("utf-8") == html(report)
    assert save(report, tmp_path / "d", format="dir") == tmp_path / "d" / "index.html"
    assert save(report, tmp_path / "m", format="md") == tmp_path / "m" / "report.md"
    with pytest.raises(OptionError, match="did you mean html"):
        save(report, tmp_path / "x", format="htm")


def test_a_report_that_can_not_be_rendered_replaces_nothing(tmp_path: Path) -> None:
    from dataclasses import replace

    target = save(sample(), tmp_path / "r.html")
    before = target.read_bytes()
    twice = replace(sample(), sections=sample().sections[:1] * 2)
    with pytest.raises(ReportgenError, match="both named 'hidden-layer'"):
        save(twice, target)
    assert target.read_bytes() == before
