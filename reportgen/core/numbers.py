"""The notation of numbers in tables, captions and charts; and how many of a large array are worked on at once."""

import math

PART = 1 << 20
"""Elements of a large array that are worked on at once; what is computed meanwhile takes a few times as much."""

CACHED = 1 << 14
"""Elements of a larger one that are worked on at once where much is computed of each: it stays in the cache."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short_number(value: float, digits: int = 3) -> str:
    """The number to `digits` significant digits; NaN, which stands for a missing value, is "no data".

    >>> short_number(-0.04213), short_number(1651.4), short_number(2.5e-07), short_number(float("nan"))
    ('−0.0421', '1,651', '2.5×10⁻⁷', 'no data')
    """
    if math.isnan(value):
        return "no data"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        text = f"{value:,.{max(digits - 1 - power, 0)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}×10{str(power).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def decimals(value: float, places: int) -> str:
    """The number with so many decimals; what rounds to 0 has no sign.

    >>> decimals(-0.0171, 2), decimals(-0.0017, 2)
    ('−0.02', '0.00')
    """
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def ordinal(number: int) -> str:
    """The place of that number.

    >>> ordinal(1), ordinal(2), ordinal(3), ordinal(4), ordinal(11), ordinal(22)
    ('1st', '2nd', '3rd', '4th', '11th', '22nd')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
