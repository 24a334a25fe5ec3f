"""Picture files in one form, with a note for each conversion.

    pictures = as_pictures(["face.png", "scan.tif"])            # core.pictures.Picture
    pictures = with_channels(resized(pictures, (227, 227)), 3)
    pixels = stacked(pictures)                                  # float32 [image, 227, 227, 3], 0 to 255

Grey, palette, transparent, CMYK and 16-bit files are converted, and each picture's notes say so. For a
dataset's folder (`data.folder`) `read_picture` is strict, since a conversion would go unnoticed there. Only the
first frame of an animation is read; a JPEG's EXIF orientation is applied.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.core.paths import local_path
from reportgen.core.pictures import Picture
from reportgen.errors import DataError, NoDataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 4096 * 4096
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
CONVERTED = {
    "1": ("L", "black and white, taken as grey"),
    "P": ("RGB", "palette colours, converted to RGB"),
    "CMYK": ("RGB", "CMYK, converted to RGB"),
    "YCbCr": ("RGB", "YCbCr, converted to RGB"),
    "LAB": ("RGB", "Lab, converted to RGB"),
    "HSV": ("RGB", "HSV, converted to RGB"),
}


def _named(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """The pictures with unique names."""
    named: list[Picture] = []
    for picture in pictures:
        taken = {other.name for other in named}
        name, count = picture.name, 1
        while name in taken:
            count += 1
            name = f"{picture.name}#{count}"
        named.append(replace(picture, name=name))
    return tuple(named)


def as_pictures(images: Sequence[Any]) -> tuple[Picture, ...]:
    """Paths and arrays, or a mixture, as pictures; an array is named "image 0" after its position.

    A file's picture is named after it; equal names get #2, #3. An array is [height, width] or [height, width,
    1 or 3]: uint8, or floating point from 0 to 1. Raises DataError for anything else, for no image at all,
    and as `read_picture` does.
    """
    if not len(images):
        raise DataError("expected at least one picture")
    pictures = []
    for index, image in enumerate(images):
        if isinstance(image, str | os.PathLike):
            pictures.append(read_picture(local_path(image)))
        else:
            pictures.append(_from_array(np.asarray(image), f"image {index}"))
    return _named(pictures)


def _from_array(array: np.ndarray, name: str) -> Picture:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise DataError(
            f"{name} has the shape {list(array.shape)}; expected [height, width] or [height, width, 1 or 3]"
        )
    if array.dtype == np.uint8:
        return Picture(name, array.astype(np.float32))
    if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"{name} is {array.dtype} from {array.min()} to {array.max()}; expected uint8, or floats from 0 to 1"
        )
    # Values that were bytes divided by 255 become exactly these bytes again.
    pixels = array.astype(np.float32) * np.float32(255)
    whole = np.rint(pixels)
    return Picture(name, whole if np.array_equal(whole / np.float32(255), array.astype(np.float32)) else pixels)


def read_picture(path: Path, strict: bool = False) -> Picture:
    """One picture file as `Picture`; `strict` rejects files whose values would be altered.

    Raises DataError that names the file if it is not a picture, damaged, or has more than 16.8 million pixels;
    with `strict` also if it is transparent or has more than 8 bits per channel (so that all pixels are integers).
    """
    from PIL import Image, ImageOps

    if not path.is_file():
        if path.is_dir():
            raise DataError(f"{path}: is a folder, not a picture")
        raise NoDataError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            # Pillow warns beyond 89 million pixels; the limit below is lower, and checked before decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{image.width}x{image.height} pixels; at most {MAX_PIXELS:,} are read, make it smaller"
                    )
                notes = ["first frame of an animation"] if getattr(image, "n_frames", 1) > 1 else []
                upright = ImageOps.exif_transpose(image)
                if upright.size != image.size:
                    notes.append("turned as its EXIF mark says")
                pixels, converted = _pixels(upright, strict)
    except DataError as problem:
        raise DataError(f"{path}: {problem}") from problem
    except Exception as problem:  # Pillow's decoders raise a dozen kinds for damaged bytes
        raise DataError(f"{path}: not a readable picture, or damaged ({problem})") from problem
    pixels = np.asarray(pixels, np.float32)
    return Picture(path.name, pixels if pixels.ndim == 3 else pixels[..., None], (*notes, *converted))


def _pixels(image: "Image.Image", strict: bool) -> tuple[np.ndarray, list[str]]:
    """The picture as numbers from 0 to 255, grey or RGB, and notes on its conversion."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return np.asarray(image), []
    if image.mode in SIXTEEN_BITS:
        if strict:
            raise DataError(f"mode {image.mode} has more than 8 bits a channel; save it as 8-bit grey or RGB")
        values = np.asarray(image).astype(np.float32)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"32-bit values from {values.min():g} to {values.max():g}; 16 bits are read")
        # 65535 / 257 = 255: white stays white, and all levels stay distinct.
        return values / 257, ["16 bits a channel, divided by 257"]
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _on_white(image, strict)
    if image.mode in CONVERTED:
        mode, note = CONVERTED[image.mode]
        return np.asarray(image.convert(mode)), [note]
    raise DataError(f"unsupported mode {image.mode}; save it as 8-bit or 16-bit grey or RGB")


def _on_white(image: "Image.Image", strict: bool) -> tuple[np.ndarray, list[str]]:
    """A picture that may be transparent, composed over white."""
    from PIL import Image

    colors = image.convert("RGBA")
    notes = ["palette colours, converted to RGB"] if image.mode in ("P", "PA") else []
    least = int(np.asarray(colors.getchannel("A")).min())
    if strict and least < 255:
        raise DataError("partly transparent; compose it over the background that the network should see")
    kind = image.mode.upper() if image.mode not in ("P", "PA", "L", "RGB") else "transparency"
    notes.append(f"{kind}: laid on white" if least < 255 else f"{kind}: alpha channel dropped, opaque everywhere")
    flat = Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors)
    return np.asarray(flat.convert("L" if image.mode in ("L", "LA", "La") else "RGB")), notes


def resized(pictures: Sequence[Picture], size: tuple[int, int]) -> tuple[Picture, ...]:
    """The pictures at `size` (height, width): bilinear, with an antialiasing filter when made smaller."""
    from PIL import Image

    height, width = size
    done = []
    for picture in pictures:
        if picture.pixels.shape[:2] == size:
            done.append(picture)
            continue
        planes = [
            np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
            for plane in np.moveaxis(picture.pixels, -1, 0)
        ]
        was = f"{picture.pixels.shape[0]}×{picture.pixels.shape[1]}"
        note = f"resized from {was} to {height}×{width} (height×width, bilinear)"
        done.append(replace(picture, pixels=np.stack(planes, axis=-1), notes=(*picture.notes, note)))
    return tuple(done)


def with_channels(pictures: Sequence[Picture], channels: int) -> tuple[Picture, ...]:
    """The pictures with 1 (grey) or 3 (RGB) channels; colour becomes grey by ITU-R 601 luma.

    Raises DataError for another number of channels.
    """
    if channels not in (1, 3):
        raise DataError(f"the network expects images of {channels} channels; pictures have 1 (grey) or 3 (RGB)")
    done = []
    for picture in pictures:
        if picture.pixels.shape[2] == channels:
            done.append(picture)
        elif channels == 3:
            note = "grey, repeated in the three colour channels"
            pixels = np.repeat(picture.pixels, 3, axis=2)
            done.append(replace(picture, pixels=pixels, notes=(*picture.notes, note)))
        else:
            pixels = picture.pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
            note = "colour, made grey (0.299 R + 0.587 G + 0.114 B)"
            done.append(replace(picture, pixels=pixels, notes=(*picture.notes, note)))
    return tuple(done)


def stacked(pictures: Sequence[Picture]) -> np.ndarray:
    """All pixels as one float32 array [image, height, width, channel].

    Raises DataError, naming two of them, where the pictures have more than one size.
    """
    first = pictures[0]
    for other in pictures[1:]:
        if other.pixels.shape[:2] != first.pixels.shape[:2]:
            sizes = [f"{p.name} is {p.pixels.shape[0]}x{p.pixels.shape[1]}" for p in (first, other)]
            raise DataError(
                f"pictures of two sizes can't be compared: {sizes[0]}, {sizes[1]} (height x width); "
                f"resize them, or give --size {first.pixels.shape[0]}x{first.pixels.shape[1]}"
            )
    return np.stack([picture.pixels for picture in pictures])
