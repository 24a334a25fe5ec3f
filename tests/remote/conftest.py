"""Folders elsewhere for tests: in memory, and an object store on loopback with a line to it that can be disturbed."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from reportgen.remote import place, spool
from tests.remote.line import Line


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Spools and copies are kept for the test alone, and nothing waits for seconds."""
    monkeypatch.setenv("REPORTGEN_REMOTE", str(tmp_path / "remote"))
    monkeypatch.setattr(spool, "PAUSE", 0.02)
    monkeypatch.setattr(spool, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(place, "PAUSES", (0.01, 0.02, 0.02))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The file system behind memory://, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture(scope="session")
def store() -> Iterator[int]:
    """The port of an object store on loopback, as a thread of this process."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


@pytest.fixture
def line(store: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The line to the object store, through which s3:// goes, with an empty bucket named `bucket`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Line(store) as line:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("bucket")
        yield line
        line.fault = None
        system.rm("bucket", recursive=True)
        type(system).clear_instance_cache()
