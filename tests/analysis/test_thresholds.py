"""Conditions on two runs' numbers: what they mean, and that nothing else is evaluated."""

import pytest

from reportgen.analysis.thresholds import parse
from reportgen.errors import OptionError

NEW = {"val_accuracy": 0.96, "dead_channels": 3.0, "val/acc": 0.5, "loss": float("nan")}
BASE = {"val_accuracy": 0.98, "dead_channels": 3.0, "val/acc": 0.25, "loss": 0.1}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("val_accuracy < base - 0.01", True),
        ("val_accuracy < base - 0.03", False),
        ("base - 0.01 > val_accuracy", True),
        ("dead_channels > base", False),
        ("dead_channels >= base", True),
        ("dead_channels == base.dead_channels", True),
        ("dead_channels != 3", False),
        ("val_accuracy * 2 / (1 + 1) <= -base.dead_channels + 4", True),
        ("'val/acc' > 1.5 * base", True),
        ("val_accuracy < base.val_accuracy - dead_channels / 1000", True),
    ],
)
def test_what_a_condition_means(text, holds):
    assert parse(text).holds(NEW, BASE) is holds


@pytest.mark.parametrize(
    "text",
    [
        *("", "val_accuracy", "a < b < c", "a < 1 and b < 1", "not a", "a = 1", "a in b", "a is b"),
        *("__import__('os').system('x') < 1", "a() < 1", "base.__class__ < 1.x", "a.b < 1", "a[0] < 1", "[a] < 1"),
        *("lambda: 1 < 2", "a ** 2 < 1", "a // 2 < 1", "a % 2 < 1", "+a < 1", "~a < 1", "True < a", "b'a' < 1"),
        *("f'{a}' < 1", "(a := 1) < 1", "1j < a", "... < 1", "a < 1; b", "a\0 < 1"),
        *("a < " + "1+" * 200 + "1", "base < 1", "a + b < base"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(text):
    with pytest.raises(OptionError, match="is not a condition"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy < 1", "new has no number 'acuracy'"),
        ("val_accuracy < base.nothing", "base has no number 'nothing'"),
        ("loss > base", "loss of new is not finite"),
        ("val_accuracy / (dead_channels - 3) < 1", "can't be checked"),
    ],
)
def test_a_condition_that_cant_be_checked_is_not_kept(text, message):
    with pytest.raises(OptionError, match=message):
        parse(text).holds(NEW, BASE)
