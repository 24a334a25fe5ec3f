"""Pairs of one configuration with other seeds: no difference may be claimed. `make soak` has twenty of them.

These trainings are short: three quarters of such pairs differ with McNemar's p < .05.
"""

import os

import pytest

import reportgen
from tests.comparison.training import Plan, train

PAIRS = 20 if os.environ.get("REPORTGEN_SOAK") else 2


@pytest.mark.parametrize("pair", range(PAIRS))
def test_another_seed_is_no_difference(pair, tmp_path):
    base, new = (train(tmp_path / str(side), Plan(seed=2 * pair + side + 100)) for side in range(2))
    document = reportgen.compare(base, new, embedding="pca").document
    assert document.headline.startswith("No difference"), document.headline
    classes = next(section for section in document.sections if section.anchor == "classes")
    assert classes.finding.startswith("No class is "), classes.finding
