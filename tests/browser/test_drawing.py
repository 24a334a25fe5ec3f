"""A drawing in Chromium: under a policy that allows one style sheet, in the page's own colours."""

import base64
import hashlib
import io

import numpy as np
from PIL import Image

from reportgen.figures.scene import Boxes, Dots, Scene
from reportgen.figures.svg import drawing
from tests.figures.test_svg import CHARTS


def test_under_a_strict_policy_the_browser_shows_the_pages_colours(visit, tmp_path):
    css = ".c3-stroke{stroke:rgb(1,2,3)} .accent-fill{fill:rgb(4,5,6)} svg{display:block} body{margin:0}"
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:"
    parts = (Dots(np.array([[50.0, 20.0]]), "c3", 20), Boxes(np.array([[40, 50, 60, 70]]), "accent"))
    svg = drawing(Scene(100, 80, parts)).svg
    pictures = drawing(CHARTS["heatmap"]()).svg
    page_file = tmp_path / "page.html"
    page_file.write_text(
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{css}</style>{svg}{pictures}"
    )
    page = visit(page_file, viewport={"width": 800, "height": 600})
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    assert shot.getpixel((50, 20)) == (1, 2, 3) and shot.getpixel((50, 60)) == (4, 5, 6)
    assert shot.getpixel((50, 40)) == (255, 255, 255)
    colors = {color for _, color in shot.getcolors(1 << 20)}
    assert (5, 48, 97) in colors
