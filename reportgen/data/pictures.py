"""Picture files in one form, with a note for each conversion.

    pictures = as_pictures(["face.png", "scan.tif"])            # core.pictures.Picture
    pictures = with_channels(resized(pictures, (227, 227)), 3)
    pixels = stacked(pictures)                                  # float32 [image, 227, 227, 3], 0 to 255

Palette, CMYK and 16-bit grey files are converted, and each picture's notes say so; the pixels are the same in a
dataset's folder (`data.folder`). What is transparent is laid on white and said, and refused in a dataset, where nobody
would see it. Only the first frame of an animation is read; the EXIF orientation is applied.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.core.pictures import Picture
from reportgen.errors import DataError, NoDataError
from reportgen.remote import copied

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 4096 * 4096
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
TRANSPARENT = "partly transparent; compose it over the background that the network should see"
LEFT_BEHIND = {
    *(".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"),
}
TURNS: Mapping[Any, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""EXIF orientation -> what brings the pixels [height, width(, channel)] upright; 1 and anything else is upright."""
CONVERTED = {
    "1": ("L", "black and white, taken as grey"),
    "P": ("RGB", "palette colours, converted to RGB"),
    "CMYK": ("RGB", "CMYK, converted to RGB"),
    "YCbCr": ("RGB", "YCbCr, converted to RGB"),
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

    What operating systems leave beside pictures (Thumbs.db, ._1.png) is passed over, as a * of the shell names it
    too. A file's picture is named after it; equal names get #2, #3. An array is [height, width] or [height, width,
    1 or 3]: uint8, or floating point from 0 to 1. Raises DataError for anything else, for no image at all,
    and as `read_picture` does.
    """
    pictures = []
    for index, image in enumerate(images):
        if isinstance(image, str | os.PathLike):
            with copied(image, NoDataError) as path:
                if not left_behind(path.name):
                    pictures.append(read_picture(path))
        else:
            pictures.append(_from_array(np.asarray(image), f"image {index}"))
    if not pictures:
        raise DataError("expected at least one picture", code="O103")
    return _named(pictures)


def _from_array(array: np.ndarray, name: str) -> Picture:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise DataError(
            f"{name} has the shape {list(array.shape)}; expected [height, width] or [height, width, 1 or 3]",
            code="D102",
        )
    if array.dtype == np.uint8:
        return Picture(name, array.astype(np.float32))
    if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"{name} is {array.dtype} from {array.min()} to {array.max()}; expected uint8, or floats from 0 to 1",
            code="D102",
        )
    # Values that were bytes divided by 255 become exactly these bytes again.
    pixels = array.astype(np.float32) * np.float32(255)
    whole = np.rint(pixels)
    return Picture(name, whole if np.array_equal(whole / np.float32(255), array.astype(np.float32)) else pixels)


def left_behind(name: str) -> bool:
    """Whether a file or folder of that name is what an operating system leaves beside pictures."""
    return name.startswith("._") or name.endswith(":Zone.Identifier") or name.lower() in LEFT_BEHIND


def read_picture(path: Path, opaque: bool = False) -> Picture:
    """One picture file as `Picture`, whatever its name ends in; `opaque` rejects one that is transparent anywhere.

    Raises DataError that names the file if it is not a picture, damaged, has more than 16.8 million pixels, or more
    bits a channel than can be kept (16 in grey, 8 in colour).
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        if path.is_dir():
            raise DataError(f"{path}: is a folder, not a picture", code="F101")
        raise NoDataError(f"{path}: no such file", code="F101")
    try:
        with warnings.catch_warnings():
            # Pillow warns beyond 89 million pixels, where the limit below is lower and checked before decoding, and of
            # marks that it can't read, which are left aside.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{image.width}x{image.height} pixels; at most {MAX_PIXELS:,} are read, make it smaller",
                        code="F103",
                    )
                pixels, notes = _pixels(image, opaque)
                notes = [*_frames(image), *notes]
                if turn := _turn(image):
                    pixels = turn(pixels)
                    notes.append("turned as its EXIF mark says")
    except DataError as problem:
        raise DataError(f"{path}: {problem}", code=problem.code) from problem
    except UnidentifiedImageError as problem:
        raise DataError(
            f"{path}: not a readable picture; save it as one of {', '.join(FORMATS)}, or move it elsewhere", code="F102"
        ) from problem
    except Exception as problem:  # Pillow's decoders raise a dozen kinds for damaged bytes
        raise DataError(f"{path}: not a readable picture, or damaged ({problem})", code="F102") from problem
    pixels = np.ascontiguousarray(pixels, np.float32)
    return Picture(path.name, pixels if pixels.ndim == 3 else pixels[..., None], tuple(notes))


def _frames(image: "Image.Image") -> list[str]:
    """A note where a file has more pictures than its first; what phones put behind a photograph (MPO) is none."""
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format == "MPO":
        return []
    return [f"first of {count} pages" if image.format == "TIFF" else "first frame of an animation"]


def _turn(image: "Image.Image") -> Callable[[np.ndarray], np.ndarray] | None:
    """What brings the pixels upright, by the EXIF mark; None for nothing, also where the mark is unreadable."""
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged mark raises as many kinds as damaged pixels, which are whole here
        return None


def _pixels(image: "Image.Image", opaque: bool) -> tuple[np.ndarray, list[str]]:
    """The picture as numbers from 0 to 255, grey or RGB, and notes on its conversion."""
    stored = _stored(image)
    image.load()
    key: Any = image.info.get("transparency")
    if image.mode in SIXTEEN_BITS:
        return _sixteen_bits(image, key, opaque)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or key is not None:
        if stored in ("L;2", "L;4"):  # the values are spread to 0..255, the transparent one is as in the file
            image.info["transparency"] = key * 255 // (2 ** int(stored[-1]) - 1)
        return _on_white(image, opaque)
    if image.mode in ("L", "RGB"):
        return np.asarray(image), []
    if image.mode in CONVERTED:
        mode, note = CONVERTED[image.mode]
        return np.asarray(image.convert(mode)), [note]
    raise DataError(f"unsupported mode {image.mode}; save it as 8-bit or 16-bit grey or RGB", code="D109")


def _stored(image: "Image.Image") -> str:
    """How a pixel lies in the file, by Pillow's name ("RGB;16B"). Raises DataError where reading would lose bits."""
    tiles: Sequence[Any] = getattr(image, "tile", ())
    arguments = tiles[0][3] if tiles else ""
    stored, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
    deep = ";16" in str(stored) or (image.format == "PPM" and rest and rest[0] > 255)
    if deep and image.mode not in SIXTEEN_BITS:
        raise DataError(
            "16 bits a channel in colour, of which 8 would be lost; save it as 8-bit RGB or 16-bit grey", code="D109"
        )
    if stored == "I;12":
        raise DataError("12 bits a channel; save it as 8-bit or 16-bit grey", code="D109")
    return str(stored)


def _sixteen_bits(image: "Image.Image", key: int | None, opaque: bool) -> tuple[np.ndarray, list[str]]:
    """A grey picture of 16 bits, of which the value `key` is transparent."""
    values = np.asarray(image).astype(np.float32)
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"32-bit values from {values.min():g} to {values.max():g}; 16 bits are read", code="D109")
    # 65535 / 257 = 255: white stays white, and all levels stay distinct.
    notes = ["16 bits a channel, divided by 257"]
    if image.format == "TIFF" and image.getexif().get(262) == 0:
        values = 65535 - values
        notes.append("stored with white as 0, inverted")
    if key is not None and (hidden := values == key).any():
        if opaque:
            raise DataError(TRANSPARENT, code="D109")
        values[hidden] = 65535
        notes.append("transparency: laid on white")
    return values / 257, notes


def _on_white(image: "Image.Image", opaque: bool) -> tuple[np.ndarray, list[str]]:
    """A picture that may be transparent, composed over white."""
    from PIL import Image

    colors = image.convert("RGBA")
    notes = ["palette colours, converted to RGB"] if image.mode in ("P", "PA") else []
    least = int(np.asarray(colors.getchannel("A")).min())
    if opaque and least < 255:
        raise DataError(TRANSPARENT, code="D109")
    kind = image.mode.upper() if image.mode not in ("1", "P", "PA", "L", "RGB") else "transparency"
    notes.append(f"{kind}: laid on white" if least < 255 else f"{kind}: alpha channel dropped, opaque everywhere")
    flat = Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors)
    return np.asarray(flat.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB")), notes


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
        raise DataError(
            f"the network expects images of {channels} channels; pictures have 1 (grey) or 3 (RGB)", code="D102"
        )
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
                f"resize them, or give --size {first.pixels.shape[0]}x{first.pixels.shape[1]}",
                code="D106",
            )
    return np.stack([picture.pixels for picture in pictures])
