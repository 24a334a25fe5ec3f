"""Files are whole or as they were."""

import json
import os
import threading
from pathlib import Path

import pytest

from reportgen.core import files
from reportgen.core.files import LISTING, Built, write
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


@pytest.mark.parametrize("mode", [0o664, 0o600, 0o755, 0o444])
def test_a_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    target = write(tmp_path / "report.html", "old")
    target.chmod(mode)
    write(target, "new")
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    assert write(tmp_path / "report.html", "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    target = write(tmp_path / "report.html", "old")
    os.chown(target, 12345, 23456)
    write(target, "new")
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 23456)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    for name in ("there", "missing", "far/missing"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(tmp_path / "real" / name)
        if name == "there":
            write(tmp_path / "real" / name, "old")
        assert write(tmp_path / "link", "new") == tmp_path / "link"
        assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / name).read_text() == "new"


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ReportgenError, match=r"can't write .*a: "):
        write(tmp_path / "a", "new")
    assert (tmp_path / "a").is_symlink()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, "through")
    reader.join()
    assert read == [b"through"] and pipe.is_fifo() and names(tmp_path) == ["pipe"]


def test_a_device_is_written_to() -> None:
    write(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(ReportgenError, match=r"can't write /dev/full: No space left"):
        write(Path("/dev/full"), "no room")


def build_into(folder: Path, main: str, *others: str) -> None:
    with Built(folder, main) as built:
        for name in (*others, main):
            built.write(name, name)
    assert built.paths == [folder / name for name in (*others, main)]


def files_in(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {LISTING}


def test_files_of_an_earlier_build_are_gone_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "figures" / "mine.png", "a file of the user's")
    build_into(tmp_path, "index.html", "figures/a.png", "figures/b.png")
    build_into(tmp_path, "other.md", "figures/b.png", "figures/c.png")
    build_into(tmp_path, "index.html", "figures/d.png")
    assert files_in(tmp_path) == {
        *("index.html", "other.md"),
        *("figures/mine.png", "figures/b.png", "figures/c.png", "figures/d.png"),
    }


def test_what_a_failed_build_wrote_is_gone_after_the_next(tmp_path: Path) -> None:
    build_into(tmp_path, "index.html", "a.png")
    with pytest.raises(KeyError), Built(tmp_path, "index.html") as built:
        built.write("b.png", "b")
        raise KeyError
    assert files_in(tmp_path) == {"index.html", "a.png", "b.png"}
    build_into(tmp_path, "index.html")
    assert files_in(tmp_path) == {"index.html"}


@pytest.mark.parametrize(
    "listing",
    [b"", b"\xff", b"[1]", b'{"index.html": 3}', b'{"index.html": [1, null]}']
    + [
        json.dumps({"index.html": [name]}).encode()
        for name in ("../victim", "/etc/hostname", "link/victim", "a\0b", ".", "\ud800")
    ],
)
def test_a_listing_of_anybody_deletes_nothing_outside(tmp_path: Path, listing: bytes) -> None:
    victim = write(tmp_path / "victim", "stays")
    folder = tmp_path / "out"
    write(folder / LISTING, listing)
    (folder / "link").symlink_to(tmp_path)
    try:
        build_into(folder, "index.html")
    except ReportgenError as error:
        assert "can't delete" in str(error)
    assert victim.read_text() == "stays" and (folder / "index.html").is_file()


@pytest.mark.parametrize("form", ["dir", "md"])
def test_a_smaller_report_leaves_no_pictures_of_a_larger_one(tmp_path: Path, form: str) -> None:
    from dataclasses import replace

    smaller = replace(sample(), sections=sample().sections[:1])
    save(smaller, tmp_path / "new", form)
    save(sample(), tmp_path / "again", form)
    assert files_in(tmp_path / "new") < files_in(tmp_path / "again")
    save(smaller, tmp_path / "again", form)
    assert files_in(tmp_path / "new") == files_in(tmp_path / "again")
    assert (tmp_path / "new" / LISTING).read_bytes() == (tmp_path / "again" / LISTING).read_bytes()


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
