"""Take README's picture, docs/report.png, from the page of the demo: scripts/picture.py gallery/demo.html

Needs playwright and a Chromium, which REPORTGEN_CHROMIUM may name. Look at it before you commit it.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

TARGET = Path(__file__).resolve().parents[1] / "docs" / "report.png"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = os.environ.get("REPORTGEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--force-color-profile=srgb"])
        page = browser.new_page(viewport={"width": 1280, "height": 1240}, color_scheme="light")
        page.goto(Path(sys.argv[1]).resolve().as_uri())
        page.locator("canvas").first.wait_for()  # the embedding, as the page's script draws it
        shot = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
        browser.close()
    # Palettes of 128 colours: a tenth of the bytes, and nothing that is seen.
    shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
