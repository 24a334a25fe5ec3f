"""One notation of a number, wherever it stands on a page."""

import numpy as np
import pytest

from reportgen.core.numbers import short_number
from reportgen.page.blocks import cell


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (-0.0421337, "−0.0421"),
        (3.4, "3.4"),
        (1651.4, "1,651"),
        (99999.6, "100,000"),
        (2.5e-7, "2.5×10⁻⁷"),
        (-1e9, "−1×10⁹"),
        (np.nan, "no data"),
        (-np.inf, "−∞"),
        (0.99999, "1"),
    ],
)
def test_short_numbers(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize("value", [1.939e-6, -2.5e7, 0.97314, 12.0, np.inf, -0.0421])
def test_a_table_writes_a_number_as_a_caption_does(value):
    assert cell(value)[0] == short_number(value, 4)


def test_a_tables_nan_is_a_value_and_a_missing_one_is_no_data():
    assert cell(float("nan"))[0] == "NaN" and cell(None)[0] == "no data"
