"""A folder of pictures: one subfolder per class, the subfolder's name is the class.

    data = folder.load(Path("flowers"))     # flowers/rose/1.png, flowers/rose/2.jpg, flowers/tulip/...

Classes and files are read in sorted order, so that the same folder is the same dataset everywhere.
Names that start with a dot are skipped, and so are files beside the class folders (a README, a licence)
that are not pictures; every other file must be a picture. Pictures are grey if all of them are, otherwise
RGB (grey ones are repeated in the three channels); a JPEG's EXIF orientation is applied.
"""

from operator import attrgetter
from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset, split_dataset
from reportgen.data.pictures import read_picture
from reportgen.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
MAX_BYTES = 2 << 30


def load(path: Path) -> Dataset:
    """The dataset of an image folder, named after it; values divided by 255; in a fixed stratified 80/20 split.

    Raises DataError for fewer than two classes, a class with fewer than two pictures, pictures of two
    sizes (both are named), a file that is not a picture or is damaged, transparency, more than 8 bits per
    channel, a picture of more than 16.8 million pixels, or more than 2 GiB in all.
    """
    name = path.resolve().name
    try:
        by_class = _listing(path)
    except OSError as problem:
        raise DataError(f"{path}: can't be listed ({problem})") from problem
    files = [(file, label) for label, listed in enumerate(by_class.values()) for file in listed]
    first, images = None, []
    for file, _ in files:
        image = read_picture(file, strict=True).pixels.astype(np.uint8)
        size = image.shape[:2]
        if first is None:
            first = file, size
            if size[0] * size[1] * 3 * len(files) > MAX_BYTES:
                raise DataError(
                    f"{path}: {len(files)} pictures of {size[1]}x{size[0]} pixels take more than "
                    f"{MAX_BYTES:,} bytes; use fewer or smaller ones"
                )
        elif size != first[1]:
            raise DataError(
                f"{path}: two sizes: {first[0].relative_to(path)} is {first[1][1]}x{first[1][0]}, "
                f"{file.relative_to(path)} is {size[1]}x{size[0]}; resize all to one size"
            )
        images.append(image)
    if len({image.shape[2] for image in images}) > 1:
        images = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
    labels = np.array([label for _, label in files])
    return split_dataset(name, np.stack(images), labels, list(by_class))


def _listing(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    entries = sorted((entry for entry in path.iterdir() if not entry.name.startswith(".")), key=attrgetter("name"))
    loose = [entry.name for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    if loose:
        raise DataError(f"{path}: {loose[0]} is beside the class folders; move it into the folder of its class")
    folders = [entry for entry in entries if entry.is_dir()]
    if len(folders) < 2:
        raise DataError(
            f"{path}: {len(folders)} class folder{'s' * (len(folders) != 1)}; at least 2 are needed, "
            "with the pictures in them: folder/class_name/picture.png"
        )
    return {folder.name: _pictures(folder) for folder in folders}


def _pictures(folder: Path) -> list[Path]:
    files = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=attrgetter("name"))
    for file in files:
        if file.is_dir():
            raise DataError(f"{file}: a folder within a class folder; give the folder whose subfolders are the classes")
        if file.suffix.lower() not in SUFFIXES:
            raise DataError(f"{file}: not a picture; expected {', '.join(SUFFIXES)}")
    if len(files) < 2:
        raise DataError(f"{folder}: {len(files)} pictures; a class needs at least 2, for training and testing")
    return files
