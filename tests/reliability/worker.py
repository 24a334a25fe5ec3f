"""A process that trains or builds in children which a test may kill at any moment.

    python -m tests.reliability.worker        # a JSON line per job on stdin

Everything is imported once and each job runs in a fork: a job costs its own work, not the imports. Lines on
stdout: `pid N` when a job begins, `ack PART STEP` after the writer has returned from writing that file,
`saving` before a report is written, `end STATUS` when the child is gone.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import jax  # noqa: F401  (imported, never used here: a fork of a process with a jax backend would hang)
import numpy as np
import orbax.checkpoint  # noqa: F401

import reportgen
import reportgen.cli
import reportgen.page.html
import reportgen.sections
from reportgen.data import make_dataset
from reportgen.figures import animation, bars, curves, export, scatter  # noqa: F401
from reportgen.store import RunWriter
from reportgen.training import train
from tests.conftest import tiny_model

EPOCHS, PER_EPOCH = 3, 5
TRAINING = {"model_name": "tiny", "epochs": EPOCHS, "batch_size": 12, "learning_rate": 0.01, "embed_size": 20}


def dataset():
    """60 + 20 images of noise in 10 classes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (80, 8, 8), np.uint8), np.arange(80) % 10
    return make_dataset("noise", images[:60], labels[:60], images[60:], labels[60:], list("0123456789"))


def say(text: str) -> None:
    """One line on stdout, whole although several processes write there."""
    os.write(1, f"{text}\n".encode())


def job(order: dict[str, Any]) -> None:
    """Do what the order says, in the child."""
    if order["do"] == "train":
        for part in ("record", "observation"):
            setattr(RunWriter, part, _acknowledged(part, getattr(RunWriter, part)))
        train(order["path"], dataset(), tiny_model(), **TRAINING, **order["options"])
    else:
        built = reportgen.build(order["path"], embedding="pca", title=order["title"])
        say("saving")
        built.save(order["target"])


def _acknowledged(part: str, write: Any) -> Any:
    def acknowledged(self: RunWriter, of: Any, *rest: Any, **options: Any) -> None:
        write(self, of, *rest, **options)
        say(f"ack {part} {of.step if part == 'observation' else of}")

    return acknowledged


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            try:
                job(order)
            except BaseException:
                Path(order["log"]).write_text(traceback.format_exc())
                os._exit(1)
            os._exit(0)
        say(f"pid {child}")
        say(f"end {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


if __name__ == "__main__":
    main()
