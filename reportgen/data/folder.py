"""A folder of pictures: one subfolder per class, the subfolder's name is the class.

    data = folder.load(Path("flowers"))     # flowers/rose/1.png, flowers/rose/2.jpg, flowers/tulip/...

Classes and files are read in sorted order, so that the same folder is the same dataset everywhere.
Names that start with a dot are skipped, and so are what operating systems leave behind (Thumbs.db) and files beside
the class folders (a README, a licence) that are not pictures; every other file must be a picture, whatever its name is.
Pictures are grey if all of them are, otherwise RGB (grey ones are repeated in the three channels). Their pixels are
those that `inspect` reads from the same files (`data.pictures`).
"""

from operator import attrgetter
from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset, split_dataset
from reportgen.data.pictures import left_behind, read_picture
from reportgen.errors import DataError

SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".heic", ".avif"),
}
"""How the names of pictures end, in small letters: by these, one beside the class folders is told from a README."""
MAX_BYTES = 2 << 30


def load(path: Path) -> Dataset:
    """The dataset of an image folder, named after it; values divided by 255; in a fixed stratified 80/20 split.

    Raises DataError for fewer than two classes, a class with fewer than two pictures, pictures of two
    sizes (both are named), a file that is not a picture or is damaged, transparency, a picture of more than 16.8
    million pixels, or more than 2 GiB in all.
    """
    name = path.resolve().name
    try:
        by_class = _listing(path)
    except OSError as problem:
        raise DataError(f"{path}: can't be listed ({problem})", code="F102") from problem
    files = [(file, label) for label, listed in enumerate(by_class.values()) for file in listed]
    first, images = None, []
    for file, _ in files:
        image = read_image(file)
        size = image.shape[:2]
        if first is None:
            first = file, size
            if size[0] * size[1] * 3 * image.itemsize * len(files) > MAX_BYTES:
                raise DataError(
                    f"{path}: {len(files)} pictures of {size[1]}x{size[0]} pixels take more than "
                    f"{MAX_BYTES:,} bytes; use fewer or smaller ones",
                    code="F103",
                )
        elif size != first[1]:
            raise DataError(
                f"{path}: two sizes: {first[0].relative_to(path)} is {first[1][1]}x{first[1][0]}, "
                f"{file.relative_to(path)} is {size[1]}x{size[0]}; resize all to one size",
                code="D106",
            )
        images.append(image)
    if len({image.shape[2] for image in images}) > 1:
        images = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
    labels = np.array([label for _, label in files])
    pixels = np.stack(images)
    return split_dataset(name, pixels if pixels.dtype == np.uint8 else pixels / np.float32(255), labels, list(by_class))


def read_image(file: Path) -> np.ndarray:
    """The pixels of one file [height, width, 1 or 3], 0 to 255: uint8, or float32 where it has more than 8 bits.

    Raises DataError as `read_picture` does, and for transparency.
    """
    pixels = read_picture(file, opaque=True).pixels
    whole = pixels.astype(np.uint8)
    return whole if np.array_equal(whole, pixels) else pixels


def _listing(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise DataError(f"{path}: no such folder", code="F101")
    entries = _visible(path)
    loose = [entry.name for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    if loose:
        raise DataError(
            f"{path}: {loose[0]} is beside the class folders; move it into the folder of its class", code="D111"
        )
    folders = [entry for entry in entries if entry.is_dir()]
    if len(folders) < 2:
        raise DataError(
            f"{path}: {len(folders)} class folder{'s' * (len(folders) != 1)}; at least 2 are needed, "
            "with the pictures in them: folder/class_name/picture.png",
            code="D105",
        )
    return {folder.name: _pictures(folder) for folder in folders}


def _visible(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not (entry.name.startswith(".") or left_behind(entry.name)))
    return sorted(entries, key=attrgetter("name"))


def _pictures(folder: Path) -> list[Path]:
    files = _visible(folder)
    for file in files:
        if file.is_dir():
            raise DataError(
                f"{file}: a folder within a class folder; give the folder whose subfolders are the classes", code="D111"
            )
    if len(files) < 2:
        raise DataError(
            f"{folder}: {len(files)} pictures; a class needs at least 2, for training and testing", code="D105"
        )
    return files
