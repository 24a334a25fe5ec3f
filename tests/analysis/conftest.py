"""What the tests that compare with umap-learn share."""

import pytest


@pytest.fixture
def umap_in_python(monkeypatch):
    """umap-learn's own functions around its layout, run by Python: numba compiles them for ten times as long."""
    from umap import umap_

    for name in ("smooth_knn_dist", "compute_membership_strengths"):
        monkeypatch.setattr(umap_, name, getattr(umap_, name).py_func)
