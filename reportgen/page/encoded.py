"""What stands in the page as text: pictures in the shortest form that keeps every pixel."""

import io
from functools import lru_cache

PIXELS = 50_000_000
SIDE = 16_383
"""Pixels of a picture's side that WebP can hold."""


@lru_cache(maxsize=1024)  # a page is rendered again for each size that is tried
def lossless(png: bytes) -> bytes:
    """The PNG's pixels as WebP, without loss; the PNG itself where WebP can't hold all that it says."""
    from PIL import Image, features

    if not features.check("webp"):
        return png
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    if max(width, height) > SIDE or width * height > PIXELS:
        return png
    with Image.open(io.BytesIO(png)) as picture:
        if picture.mode not in ("1", "L", "P", "RGB", "RGBA") or {"icc_profile", "gamma"} & picture.info.keys():
            return png
        clear = picture.mode == "RGBA" or "transparency" in picture.info
        buffer = io.BytesIO()
        # A higher effort takes several times as long for a few bytes.
        picture.convert("RGBA" if clear else "RGB").save(buffer, "WEBP", lossless=True, exact=True, quality=50)
    return buffer.getvalue()
