"""Networks over graphs, coordinates, states and tables, after their papers: everything is captured and verified."""

from tests.architectures.proof import names, prove
from tests.architectures.registry import OTHERS


@names(*OTHERS)
def test_everything_is_captured_and_verified(name):
    prove(name)
