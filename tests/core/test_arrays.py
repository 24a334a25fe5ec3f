"""The names for shapes hold in the tests, and cost nothing elsewhere."""

import subprocess
import sys
from typing import get_args

import jaxtyping
import numpy as np
import pytest

from reportgen.analysis.embedding import align
from reportgen.core import arrays
from reportgen.core.outcome import Classification
from reportgen.core.run import TopExamples
from reportgen.evaluate import arrays as on_device
from tests.shapes import checked, type_of


def named(module):
    return {name: hint for name, hint in vars(module).items() if hasattr(hint, "__metadata__")}


@pytest.mark.parametrize("module", [arrays, on_device])
def test_every_name_is_one_of_jaxtypings_types(module):
    assert named(module)
    for name, hint in named(module).items():
        # Of a union jaxtyping makes one of its types for each member.
        for kind in get_args(type_of(hint)) or [type_of(hint)]:
            assert issubclass(kind, jaxtyping.AbstractArray), name


def test_an_array_of_another_shape_raises():
    layout = np.zeros((4, 2))
    assert align(layout, layout).shape == (4, 2)
    with pytest.raises(jaxtyping.TypeCheckError, match="point 2"):
        align(np.zeros((4, 3)), np.zeros((4, 3)))
    with pytest.raises(jaxtyping.TypeCheckError, match="parameter 'onto'"):
        align(layout, np.zeros((5, 2)))


def test_the_fields_of_a_dataclass_belong_together():
    none = np.zeros(0, np.float32)
    with pytest.raises(jaxtyping.TypeCheckError, match="input_sums"):
        Classification(np.zeros(0, np.int64), none, np.zeros(3, np.int64), {}, np.zeros(2))
    with pytest.raises(jaxtyping.TypeCheckError, match="examples"):
        TopExamples(np.zeros((9, 4), np.float32), np.zeros((9, 4), np.int32), np.zeros((9, 4, 2), np.int64))


def test_results_and_what_may_be_missing_are_checked():
    @jaxtyping.jaxtyped(typechecker=checked)
    def first(layout: arrays.Layout | None, count: int) -> arrays.Layout | None:
        return None if layout is None else layout[:count]

    assert first(None, 3) is None
    assert first(np.zeros((4, 2)), 4).shape == (4, 2)
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        first(np.zeros((4, 2)), 3)


def test_nothing_is_checked_outside_of_tests():
    code = "import sys, reportgen.api, reportgen.analysis.embedding; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "reportgen.core.arrays" in loaded
    assert not {"jaxtyping", "beartype", "jax"} & set(loaded)
