"""Networks over text, sound and other series, after their papers: everything is captured and verified."""

from tests.architectures.proof import names, prove
from tests.architectures.registry import SEQUENCES


@names(*SEQUENCES)
def test_everything_is_captured_and_verified(name):
    prove(name)
