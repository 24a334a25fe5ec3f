"""Golden pictures: each section of a real page in both themes, reviewed like code.

They change on purpose only: `REPORTGEN_GOLDEN=write python -m pytest tests/browser/test_golden.py` draws them anew, and
the review shows what changed. Fonts and browsers draw differently: where either is not the one that drew them
(golden/drawn.json), the comparison is skipped and says so.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

GOLDEN = Path(__file__).with_name("golden")
WRITE = os.environ.get("REPORTGEN_GOLDEN") == "write"
THEMES = ("light", "dark")
WIDTH, TALLEST = 1000, 2400
"""CSS pixels of the window, and of a section's height that are looked at."""

SCALE = 2
"""CSS pixels for one of the picture."""

BLOCK, LEVELS, SHARE, GROWN = 8, 16, 0.01, 0.01
"""Two pictures are the same where of their blocks of 8 x 8 pixels at most 1 % differ by more than 16 of 255 levels in
the mean of a colour, and their heights by at most 1 %: rounding on another machine moves points and labels less."""

MOST = 1_500_000
"""Bytes of all of them."""


def drawn(page) -> dict[str, str]:
    """What decides how a page is drawn: the browser's version, and how wide its fonts are."""
    wide = page.evaluate(
        """() => { const pen = document.createElement('canvas').getContext('2d');
        return ['16px', 'bold 16px'].map((size) => { pen.font = `${size} ${getComputedStyle(document.body).fontFamily}`;
        return pen.measureText('Whereof one can speak: 0123456789').width.toFixed(2); }).join(' '); }"""
    )
    return {"chromium": page.context.browser.version.partition(".")[0], "text": wide}


def picture(section) -> Image.Image:
    """The section as it stands on the page, at half its size."""
    shot = Image.open(io.BytesIO(section.screenshot(animations="disabled"))).convert("RGB")
    shot = shot.crop((0, 0, shot.width, min(shot.height, TALLEST)))
    return shot.reduce(SCALE)


def differing(before: Image.Image, after: Image.Image) -> float:
    """Share of blocks that differ, 1 where the sizes do."""
    if before.width != after.width or abs(before.height - after.height) > GROWN * before.height + 1:
        return 1.0
    height = min(before.height, after.height)
    means = [np.asarray(each.crop((0, 0, each.width, height)).reduce(BLOCK), float) for each in (before, after)]
    return float((np.abs(means[0] - means[1]).max(axis=2) > LEVELS).mean())


def encoded(shot: Image.Image) -> bytes:
    buffer = io.BytesIO()
    shot.quantize(64, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def sections(page) -> dict[str, Image.Image]:
    """Each section's picture by its anchor, once what scripts draw in it is there."""
    page.locator(".figure.explorer").scroll_into_view_if_needed()
    page.locator(".explorer-numbers").wait_for()
    page.locator(".cloud canvas[role]").scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    # What is off the screen would else be drawn only after the picture was taken.
    page.evaluate("for (const each of document.querySelectorAll('.tiles')) each.style.contentVisibility = 'visible';")
    page.screenshot(full_page=True)
    return {each.get_attribute("id"): picture(each) for each in page.locator("main > section").all()}


@pytest.mark.parametrize("theme", THEMES)
def test_each_section_looks_as_it_was_agreed_on(visit, real: Path, theme: str) -> None:
    page = visit(real, viewport={"width": WIDTH, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    by = drawn(page)
    known = {} if WRITE else json.loads((GOLDEN / "drawn.json").read_text(encoding="utf-8"))
    if not WRITE and by != known:
        pytest.skip(f"the golden pictures were drawn by {known}; this is {by}")
    seen = sections(page)
    if WRITE:
        GOLDEN.mkdir(exist_ok=True)
        for old in GOLDEN.glob(f"*-{theme}.png"):
            old.unlink()
        for name, shot in seen.items():
            (GOLDEN / f"{name}-{theme}.png").write_bytes(encoded(shot))
        (GOLDEN / "drawn.json").write_text(json.dumps(by, indent=1) + "\n", encoding="utf-8")
    golden = {file.stem.removesuffix(f"-{theme}"): file for file in GOLDEN.glob(f"*-{theme}.png")}
    assert golden.keys() == seen.keys(), "REPORTGEN_GOLDEN=write accepts other sections"
    shares = {name: differing(Image.open(file).convert("RGB"), seen[name]) for name, file in golden.items()}
    changed = {name: round(share, 3) for name, share in shares.items() if share > SHARE}
    assert not changed, "look at them, then REPORTGEN_GOLDEN=write accepts the new pictures"


def test_the_comparison_sees_what_a_reader_would(visit, real: Path) -> None:
    """A picture that is gone, a colour that is another, a chart that is larger; but not a shade of a pixel."""
    page = visit(real, viewport={"width": WIDTH, "height": 900})
    section = page.locator("#curves")
    before = picture(section)
    assert differing(before, picture(section)) == 0
    for change in (
        "visibility: hidden",
        "filter: hue-rotate(120deg) saturate(9)",
        "transform: translate(24px, 10px)",
        "margin-top: 40px",
    ):
        # The page's own policy allows styles that a script sets.
        page.evaluate("(style) => { document.querySelector('#curves svg').style.cssText = style; }", change)
        assert differing(before, picture(section)) > SHARE, change
    page.evaluate("document.querySelector('#curves svg').style.cssText = 'opacity: 0.97'")
    assert differing(before, picture(section)) <= SHARE


def test_the_pictures_are_small_together() -> None:
    files = list(GOLDEN.glob("*.png"))
    assert len(files) > 20 and sum(file.stat().st_size for file in files) < MOST
