"""These tests compile twenty networks once and run them once."""

from tests.architectures.quick import quick_compilation  # noqa: F401
