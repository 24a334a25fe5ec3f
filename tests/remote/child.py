"""Trains the tiny network to a URL in a process of its own: python -m tests.remote.child URL EPOCHS."""

import sys

from reportgen.remote import spool
from reportgen.training import train
from tests.conftest import tiny_dataset, tiny_model

spool.PAUSE = 0.05

if __name__ == "__main__":
    train(sys.argv[1], tiny_dataset(), tiny_model(), epochs=int(sys.argv[2]), batch_size=50)
