"""Datasets by name, or from a user's file or folder.

    data = load_dataset("mnist5k")
    data = load_dataset("mnist", data_dir="mnist")
    data = load_dataset("flowers.npz")
    data = load_dataset("flowers/")                # flowers/class_name/*.png

A new dataset is one file with `load(data_dir) -> Dataset`, and one line in DATASETS.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from reportgen.data import digits, folder, mnist, mnist5k, npz
from reportgen.data.dataset import Dataset, make_dataset, stratified_split
from reportgen.errors import DataError, NoDataError, choices
from reportgen.remote import copied

__all__ = ["DATASETS", "Dataset", "load_dataset", "make_dataset", "stratified_split"]


class Loader(Protocol):
    """Reads a dataset, from the files in `data_dir` if it needs any. Raises DataError."""

    def __call__(self, data_dir: Path | None, /) -> Dataset: ...


DATASETS: Mapping[str, Loader] = {
    "mnist5k": mnist5k.load,
    "mnist": mnist.load,
    "digits": digits.load,
}


def load_dataset(name_or_path: str | Path, data_dir: str | Path | None = None) -> Dataset:
    """The dataset of that name in DATASETS, else of that .npz file or image folder, on this machine or at a URL.

    A name takes precedence over a folder of the same name; write `./mnist` for the folder. `data_dir` is the
    folder of a named dataset's files, for those that read any. Raises DataError; for an unknown name it lists
    the known ones.
    """
    name = str(name_or_path)
    if name in DATASETS:
        if data_dir is None:
            return DATASETS[name](None)
        with copied(data_dir, NoDataError) as files:
            return DATASETS[name](files)
    with copied(name_or_path, NoDataError) as path:
        return _read(name, path, data_dir)


def _read(name: str, path: Path, data_dir: str | Path | None) -> Dataset:
    if path.suffix.lower() != ".npz" and not path.is_dir():
        raise DataError(
            f"no dataset, .npz file or image folder {name!r}; {choices(name, DATASETS)}, FILE.npz, IMAGE_FOLDER",
            code="D101",
        )
    if (path / "run.json").is_file():
        raise DataError(f"{name} is a recorded run, not a dataset; open it with reportgen.open_run", code="D101")
    if data_dir is not None:
        raise DataError(f"{name} is itself the data; omit the data folder {data_dir}", code="D112")
    return folder.load(path) if path.is_dir() else npz.load(path)
