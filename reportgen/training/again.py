"""What a report.json says of how its run was made, so that it can be made again.

    asked = read_report(Path("numbers/report.json"))
    asked.dataset, asked.model, asked.options        # "mnist5k", "lenet", {"epochs": 10, "seed": 0, ...}
    asked.check(dataset)                             # the same data, by its fingerprint
    asked.versions()                                 # ["jax 0.9.0, now 0.10.2"]

The file names no folder of the machine that it was written on: data that came from a file has to be given again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.data import Dataset
from reportgen.errors import DataError, RunError
from reportgen.record.provenance import provenance

OPTIONS: Mapping[str, Callable[[Any], bool]] = {
    "epochs": lambda value: type(value) is int,
    "batch_size": lambda value: type(value) is int,
    "learning_rate": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "seed": lambda value: type(value) is int,
    "snapshot_every": lambda value: type(value) is int or value == "epoch",
    "embed_size": lambda value: type(value) is int,
}
"""The options of `train` that a run notes, each with what its value must be; and, where asked for, embed_layer."""


@dataclass(frozen=True)
class Asked:
    """A training as it was asked for: names of model and dataset, options of `train`, fingerprint of the data."""

    model: str
    dataset: str
    options: Mapping[str, Any]
    fingerprint: str
    packages: Mapping[str, str]

    def check(self, dataset: Dataset) -> None:
        """Raise DataError when this is not the data that the report was made of."""
        if dataset.fingerprint != self.fingerprint:
            raise DataError(
                f"{dataset.name} is not the data of the report ({self.dataset}): its fingerprint is "
                f"{dataset.fingerprint[:12]}..., the report's {self.fingerprint[:12]}...; give the data that it was "
                "made of with --dataset and --data-dir"
            )

    def versions(self) -> list[str]:
        """The packages that are of another version now; with them, numbers may differ in the last digits."""
        now = provenance()["packages"]
        return [
            f"{name} {version}, now {now.get(name)}"
            for name, version in self.packages.items()
            if now.get(name) != version
        ]


def read_report(file: Path) -> Asked:
    """What the report.json `file` says. Raises RunError when it is none, or of a run that `train` did not make."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        config, packages = content["config"], content["packages"]
        fingerprint = content["dataset_fingerprint"]
        missing = [name for name in ("model", "dataset", *OPTIONS) if name not in config]
        texts = [fingerprint, *(config.get(name, "") for name in ("model", "dataset", "embed_layer"))]
        if not isinstance(packages, dict) or not all(isinstance(text, str) for text in texts):
            raise TypeError("a name is no text")
    except OSError as error:
        raise RunError(f"{file} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{file} is not the report.json of a run that `reportgen train` made ({error!r}); "
            "`reportgen build RUN --numbers DIR` writes one"
        ) from error
    if missing:
        raise RunError(f"{file} does not say how to train again: it lacks {', '.join(missing)}")
    for name, is_right in OPTIONS.items():
        if not is_right(config[name]):
            raise RunError(f"{file} says {name} is {config[name]!r}, which can't be")
    return Asked(
        config["model"],
        config["dataset"],
        {name: config[name] for name in (*OPTIONS, "embed_layer") if name in config},
        fingerprint,
        {str(name): str(version) for name, version in packages.items()},
    )
