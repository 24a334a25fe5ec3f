"""Frozen types that the other packages exchange, and atomic file writes."""
