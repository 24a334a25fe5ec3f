import pytest
from matplotlib import font_manager

from reportgen.figures import fonts
from reportgen.figures.fonts import BASE_FONT, clean, drawable, families_for, shorten, text_width

NOWHERE = "\U000f0000"  # a private-use character


def test_clean_keeps_one_line_of_valid_xml():
    assert clean("a\nb\tc") == "a b c"
    assert clean("\x00\x1b\x7f\ud800\ufffe!") == "\ufffd\ufffd\ufffd\ufffd\ufffd!"
    assert clean("猫 é 😀 \u200f") == "猫 é 😀 \u200f"


def test_shorten():
    assert shorten("exactly10!", 10) == "exactly10!"
    assert shorten("eleven char", 10) == "eleven ch…"
    assert len(shorten("x" * 300, 18)) == 18


def test_latin_needs_no_other_font():
    assert families_for("Ankle boot, 1.5×10⁻³ é я Ω") == (BASE_FONT,)


def test_wide_scripts_get_an_installed_font():
    if "Noto Sans CJK SC" not in font_manager.fontManager.get_font_names():
        pytest.skip("the font Noto Sans CJK SC is not installed")
    assert families_for("猫 고양이 ねこ")[:2] == (BASE_FONT, "Noto Sans CJK SC")
    assert drawable("猫 고양이 ねこ") == "猫 고양이 ねこ"


def test_what_no_font_has_becomes_a_square():
    assert drawable(f"x{NOWHERE}y\nz") == "x□y z"


def test_without_any_wide_font_every_wide_character_is_a_square(monkeypatch):
    monkeypatch.setattr(fonts, "families", lambda: (BASE_FONT,))
    assert drawable("a猫") == "a□"


def test_widths_grow_with_the_text_its_size_and_its_weight():
    assert text_width("", 11) == 0
    assert text_width("iii", 11) < text_width("mmm", 11) < text_width("mmmm", 11)
    assert text_width("mmm", 22) == pytest.approx(2 * text_width("mmm", 11), rel=0.05)
    assert text_width("mmm", 11, bold=True) > text_width("mmm", 11)
    assert text_width("猫" * 3 + NOWHERE, 10) == 40, "a full square each"
