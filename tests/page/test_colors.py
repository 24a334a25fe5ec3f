"""The page's colours: readable in both themes, and apart for readers who see fewer of them."""

import re
from itertools import combinations

import numpy as np
import pytest

from reportgen.figures.marks import PALE
from reportgen.page.loader import asset

PAIRS = re.findall(r"--([\w-]+):\s*light-dark\((#\w{6}),\s*(#\w{6})\)", asset("css/colors.css"))
THEMES = {
    "light": {name: light for name, light, _ in PAIRS},
    "dark": {name: dark for name, _, dark in PAIRS},
}

# Full dichromacy after Viénot, Brettel and Mollon (1999), "Digital video colourmaps for checking the
# legibility of displays by dichromats", in linear RGB; None is normal sight.
SIGHT = {
    "normal": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, two: str) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear RGB."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / matrix.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_every_colour_is_there() -> None:
    wanted = {"ground", "ink", "muted", "line", "accent", "alarm", *(f"c{i}" for i in range(10))}
    assert set(THEMES["light"]) == wanted


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "alarm"])
def test_text_reaches_the_contrast_of_wcag_aa(theme: str, name: str) -> None:
    assert contrast(THEMES[theme][name], THEMES[theme]["ground"]) >= 4.5


def test_pale_class_colours_are_those_that_get_a_rim() -> None:
    on_white = {i for i in range(10) if contrast(THEMES["light"][f"c{i}"], THEMES["light"]["ground"]) < 3}
    assert on_white == set(PALE)
    assert all(contrast(THEMES[theme]["muted"], THEMES[theme]["ground"]) >= 3 for theme in THEMES)


def test_class_colours_stand_out_from_the_dark_ground() -> None:
    assert min(contrast(THEMES["dark"][f"c{i}"], THEMES["dark"]["ground"]) for i in range(10)) >= 3


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", THEMES)
def test_classes_stay_apart_for_colour_blind_readers(theme: str, sight: str) -> None:
    seen = [lab(SIGHT[sight] @ linear(THEMES[theme][f"c{i}"])) for i in range(10)]
    nearest = min(float(np.linalg.norm(one - two)) for one, two in combinations(seen, 2))
    # About 2.3 is a just noticeable difference (CIE76).
    assert nearest >= 14


def test_each_chart_class_is_defined() -> None:
    rules = dict(re.findall(r"\.([\w-]+) \{ (\w+: var\(--[\w-]+\)); \}", asset("css/charts.css")))
    names = ["ink", "muted", "line", "ground", "accent", *(f"c{i}" for i in range(10))]
    for name in names:
        assert rules[f"{name}-fill"] == f"fill: var(--{name})"
        assert rules[f"{name}-stroke"] == f"stroke: var(--{name})"
    from reportgen.figures.scene import COLORS

    assert set(COLORS) == set(names), "what the charts emit has a rule"
    assert {name: THEMES["light"][name] for name in names} == COLORS, "and the same colour"
