"""Frozen types that the rooms hand to one another; nothing here computes."""
