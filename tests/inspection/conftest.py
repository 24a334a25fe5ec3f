"""These tests compile much and run it once."""

from tests.architectures.quick import quick_compilation  # noqa: F401
