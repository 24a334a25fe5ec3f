"""A network to be named on the command line: tests.reliability.nets:tiny."""

from tests.conftest import tiny_model


def tiny(num_classes: int):
    return tiny_model()
