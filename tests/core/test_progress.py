"""What a terminal, a log and a closed stream get to see of something that takes its time."""

import io
import sys

import pytest

from reportgen.core.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def show(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, *, shown: bool = True) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar("train", 4, "step", shown=shown) as bar:
        for epoch in (1, 2):
            for step in (1, 2):
                bar.note("batch", step, 2)
                bar.advance()
            bar.part(f"epoch {epoch}/2")
    return stream.getvalue() if stream is not None and not stream.closed else ""


def test_a_log_gets_a_line_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(monkeypatch, io.StringIO()) == "train: epoch 1/2\ntrain: epoch 2/2\n"


def test_a_terminal_gets_a_bar_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    text = show(monkeypatch, Terminal())
    assert "train: 100%" in text and "\r" in text and "epoch 2/2" in text and "\x1b[3" not in text


def test_nothing_is_shown_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(monkeypatch, io.StringIO(), shown=False) == show(monkeypatch, Terminal(), shown=False) == ""


def test_a_stream_that_takes_nothing_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed, Full()):
        assert show(monkeypatch, stream) == ""
