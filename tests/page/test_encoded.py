"""Pictures in the page itself: shorter, with every pixel as it was."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.mosaic import png, small_png
from reportgen.figures.palettes import DIVERGING, GAP
from reportgen.page.blocks import embed
from reportgen.page.encoded import lossless


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def smooth() -> np.ndarray:
    return (120 + 100 * np.sin(np.add.outer(np.arange(90), np.arange(120)) / 9)).astype(np.uint8)


def with_gaps() -> bytes:
    entries = smooth()
    entries[::10] = GAP
    return png(entries, DIVERGING)


@pytest.mark.parametrize("made", [with_gaps(), png(smooth()), small_png(np.stack([smooth()] * 3, axis=2) // 50)])
def test_every_pixel_is_kept(made: bytes) -> None:
    before, after = pixels(made), pixels(lossless(made))
    seen = before[..., 3] > 0
    assert (before[..., 3] == after[..., 3]).all() and (before[seen] == after[seen]).all()


def test_the_shorter_form_stands_in_the_page() -> None:
    long = with_gaps()
    shown = embed("a", long, "image/png")
    assert shown.startswith("data:image/webp;base64,") and len(shown) < len(base64.b64encode(long))
    wide = png(np.zeros((2, 20_000), np.uint8))
    assert embed("b", wide, "image/png") == f"data:image/png;base64,{base64.b64encode(wide).decode()}"


def test_what_webp_can_not_hold_stays_as_it_is() -> None:
    deep, wide = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16).save(deep, "PNG")
    Image.new("L", (20_000, 2)).save(wide, "PNG")
    for made in (deep.getvalue(), wide.getvalue()):
        assert lossless(made) == made
