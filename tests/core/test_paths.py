"""Paths as users write them: the home, URLs, and a working directory that changes or is gone."""

import os
import sys
from pathlib import Path

import pytest
from etils import epath

from reportgen import (
    Recorder,
    build,
    build_site,
    inspect,
    landscape,
    load_dataset,
    open_run,
    upload,
)
from reportgen.core.paths import lasting_path, local_path, url_of
from reportgen.errors import MissingError, OptionError
from reportgen.page.save import save
from reportgen.store import RunWriter
from reportgen.training import train
from reportgen.weights import read
from tests.conftest import tiny_dataset, tiny_model
from tests.page.sample import sample


class Remote:
    """A path object of another library that names an object store."""

    def __fspath__(self) -> str:
        return "gs://bucket/run"


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/runs/a") == local_path(Path("~/runs/a")) == tmp_path / "runs" / "a"
    assert local_path("runs/~a") == Path("runs/~a")


def test_a_home_that_is_not_known_is_said() -> None:
    with pytest.raises(OptionError, match="home folder is not known; write the path without ~"):
        local_path("~nobody-of-this-name/a")


@pytest.mark.parametrize(
    "url", ["gs://bucket/run", "s3://b", "memory://x", "file://x", "simplecache::s3://b", Path("gs://b/x"), Remote()]
)
def test_urls_are_no_local_paths(url: str | os.PathLike[str]) -> None:
    with pytest.raises(OptionError, match="is a URL"):
        local_path(url)


def test_a_url_is_told_from_a_path() -> None:
    assert url_of("s3://bucket/runs/a/") == "s3://bucket/runs/a"
    assert url_of("memory://") == "memory://" and url_of("memory:///") == "memory://"
    assert url_of(Remote()) == url_of(epath.Path("gs://bucket/run")) == "gs://bucket/run"
    for local in ("runs/a", "C:/runs", "runs/12:30", "~/a", Path("a"), epath.Path("/tmp/a"), 3, None):
        assert url_of(local) is None  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"s3:/bucket/a is a URL of which pathlib has taken a slash away: give it"):
        url_of(Path("s3://bucket/a"))


def test_a_url_of_a_file_is_the_file() -> None:
    assert url_of("file:///tmp/a") is None
    assert local_path("file:///tmp/a") == Path("/tmp/a")


@pytest.mark.parametrize("wrong", ["", "a\0b", b"bytes", 3, None])
def test_what_names_no_file_is_refused(wrong: object) -> None:
    with pytest.raises(OptionError):
        local_path(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 4000])
def test_a_name_that_is_too_long_is_said_by_every_way_in(name: str, tmp_path: Path) -> None:
    for use in (local_path, lasting_path, open_run, load_dataset, read, lambda path: save(sample(), path)):
        with pytest.raises(OptionError, match="longer than the file system takes"):
            use(tmp_path / name)


def test_letters_of_drives_and_colons_are_no_urls() -> None:
    assert local_path("C:/runs").parts[-1] == "runs"
    assert local_path("runs/12:30") == Path("runs/12:30")
    assert local_path("./gs:/a").parts == ("gs:", "a")


def test_a_lasting_path_stays_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    path = lasting_path("a")
    monkeypatch.chdir("/")
    assert path == tmp_path / "a"


def test_a_working_directory_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert lasting_path(tmp_path / "a") == tmp_path / "a"
    with pytest.raises(OptionError, match="working directory does not exist any more"):
        lasting_path("a")


@pytest.mark.parametrize("url", ["gs://bucket/run", Remote()])
def test_a_run_is_written_to_this_machine(url, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=r"gs://bucket/run is a URL"):
        RunWriter(url, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "use",
    [
        open_run,
        build,
        upload,
        lambda url: save(sample(), url),
        lambda url: Recorder(url, lambda params, x: x, {"params": {}}, probe=[[1.0]]),
        lambda url: train(url, load_dataset("digits"), None),
        read,
        load_dataset,
        lambda url: load_dataset("mnist", url),
        lambda url: inspect("lenet", [url]),
        lambda url: inspect("lenet", url),
        landscape,
        lambda url: build_site(["x"], url),
    ],
)
@pytest.mark.parametrize("url", ["gs://bucket/run", Remote(), epath.Path("gs://bucket/run")])
def test_a_url_that_can_not_be_reached_is_taken_for_no_folder(use, url, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"gs:// needs gcsfs"):
        use(url)
    assert not list(tmp_path.iterdir())


def test_checkpoints_have_names_that_orbax_takes(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(OptionError, match="takes no name that is not UTF-8"):
        train(odd / "run", tiny_dataset(), tiny_model(), epochs=1)
    assert not odd.exists()
    odd.mkdir()
    with pytest.raises(OptionError, match="takes no name that is not UTF-8"):
        read(odd)
