"""Metrics beside checkpoints: TensorBoard's event files, CSV, JSON lines."""

import numpy as np
import pytest

from reportgen.errors import DataError, NoDataError
from reportgen.training.metrics_file import read_metrics


def test_csv_and_jsonl(tmp_path):
    (tmp_path / "m.csv").write_text("step,train/loss,lr,note\n1,2.5,0.1,a\n2,nan,0.2,b\n2,,0.3,\n")
    assert read_metrics(tmp_path / "m.csv") == {1: {"train_loss": 2.5, "lr": 0.1}, 2: {"lr": 0.3}}
    (tmp_path / "m.jsonl").write_text('{"global_step": 3, "loss": 1, "epoch": 1, "name": "x"}\n\n{"lr": 1}\n')
    assert read_metrics(tmp_path / "m.jsonl") == {3: {"train_loss": 1.0}}


def test_event_files_of_both_forms(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path / "logs" / "train"))
    for step in (1, 2):
        simple = Summary.Value(tag="train/loss", simple_value=2.0 / step)
        tensor = Summary.Value(tag="lr", tensor=make_tensor_proto(np.float32(0.5)))
        tensor.metadata.plugin_data.plugin_name = "scalars"
        writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[simple, tensor])))
    writer.close()
    wanted = {1: {"train_loss": 2.0, "lr": 0.5}, 2: {"train_loss": 1.0, "lr": 0.5}}
    assert read_metrics(tmp_path / "logs") == wanted
    (file,) = (tmp_path / "logs").rglob("events*")
    assert read_metrics(file) == wanted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "a,b\n1,2\n", "no metrics by step in it"),
        ("m.csv", "step,b\n1,text\n", "no metrics by step in it"),
        ("m.jsonl", "[1]\n", "line 1 is no object"),
        ("m.jsonl", "{", "not readable as metrics"),
        ("m.txt", "x", "expected TensorBoard's event files, or a .csv or .jsonl file"),
    ],
)
def test_what_is_none(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_metrics(tmp_path / name)
    with pytest.raises(NoDataError):
        read_metrics(tmp_path / "none.csv")
