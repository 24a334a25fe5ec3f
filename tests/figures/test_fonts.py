import pytest
from matplotlib import font_manager

from reportgen.figures import fonts
from reportgen.figures.fonts import BASE_FONT, clean, families_for, set_texts, shorten
from reportgen.figures.style import new_figure, place, styled

NOWHERE = "\U000f0000"  # a private-use character


@styled
def figure_with(*texts):
    figure = new_figure(200, 100)
    axes = place(figure, 20, 20, 100, 60)
    axes.set_title(texts[0])
    for text in texts[1:]:
        axes.text(0, 0, text)
    return figure


def test_clean_keeps_one_line_of_valid_xml():
    assert clean("a\nb\tc") == "a b c"
    assert clean("\x00\x1b\x7f\ud800\ufffe!") == "\ufffd\ufffd\ufffd\ufffd\ufffd!"
    assert clean("猫 é 😀 \u200f") == "猫 é 😀 \u200f"


def test_shorten():
    assert shorten("exactly10!", 10) == "exactly10!"
    assert shorten("eleven char", 10) == "eleven ch…"
    assert len(shorten("x" * 300, 18)) == 18


def test_latin_needs_no_other_font():
    assert families_for("Ankle boot, 1.5×10⁻³ é я Ω") == ((BASE_FONT,), frozenset())


def test_what_no_font_has_is_named():
    assert families_for("a" + NOWHERE)[1] == {NOWHERE}


def test_wide_scripts_get_an_installed_font():
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    if "Noto Sans CJK SC" not in installed:
        pytest.skip("the font Noto Sans CJK SC is not installed")
    families, missing = families_for("猫 고양이 ねこ")
    assert families == (BASE_FONT, "Noto Sans CJK SC") and not missing


def test_texts_are_set_replaced_and_reported():
    figure = figure_with("title", "plain", f"x{NOWHERE}y", "two\nlines")
    assert set_texts(figure, replace=False) == (f"x{NOWHERE}y",)
    assert [text.get_text() for text in figure.axes[0].texts] == ["plain", f"x{NOWHERE}y", "two lines"]
    assert set_texts(figure, replace=True) == (f"x{NOWHERE}y",)
    assert figure.axes[0].texts[1].get_text() == "x□y"


def test_without_any_wide_font_every_label_is_reported(monkeypatch):
    monkeypatch.setattr(fonts, "_families", lambda: (BASE_FONT,))
    families_for.cache_clear()
    try:
        figure = figure_with("猫")
        assert set_texts(figure, replace=True) == ("猫",)
        assert figure.axes[0].get_title(loc="left") == "□"
    finally:
        families_for.cache_clear()
