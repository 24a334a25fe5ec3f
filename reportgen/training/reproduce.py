"""Read from a report.json how its run was made, so that it can be reproduced.

    asked = read_report(Path("numbers/report.json"))
    asked.config                                     # TrainConfig("lenet", "mnist5k", epochs=10, seed=0, ...)
    asked.check(dataset)                             # the same data, by its fingerprint
    asked.versions()                                 # ["jax 0.9.0, now 0.10.2"]

The file names no folder of the machine that it was written on: data that came from a file has to be given again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reportgen.data import Dataset
from reportgen.errors import DataError, RunError
from reportgen.record.provenance import provenance
from reportgen.training.config import TrainConfig


@dataclass(frozen=True)
class Asked:
    """A training to reproduce: its configuration, the fingerprint of its data, versions of packages."""

    config: TrainConfig
    fingerprint: str
    packages: Mapping[str, str]

    @property
    def options(self) -> dict[str, Any]:
        """The options of `train`, but for model and data."""
        fixed = ("model", "dataset", "optimizer")
        return {name: value for name, value in asdict(self.config).items() if name not in fixed and value is not None}

    def check(self, dataset: Dataset) -> None:
        """Raise DataError when this is not the data that the report was made of."""
        if dataset.fingerprint != self.fingerprint:
            raise DataError(
                f"{dataset.name} is not the data of the report ({self.config.dataset}): its fingerprint is "
                f"{dataset.fingerprint[:12]}..., the report's {self.fingerprint[:12]}...; give the data that it was "
                "made of with --dataset and --data-dir",
                code="D115",
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
    """The training in the report.json `file`. Raises RunError for any other file, or run that `train` did not make."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        config, packages, fingerprint = (content[name] for name in ("config", "packages", "dataset_fingerprint"))
        texts = [fingerprint, *(config.get(name, "") for name in ("model", "dataset", "embed_layer"))]
        if not isinstance(packages, dict) or not all(isinstance(text, str) for text in texts):
            raise TypeError("a name is not a text")
    except OSError as error:
        raise RunError(f"{file} can't be read: {error.strerror or error}", code="F105") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{file} is not the report.json of a run that `reportgen train` made ({error!r}); "
            "`reportgen build RUN --numbers DIR` writes one",
            code="D115",
        ) from error
    try:
        options = TrainConfig.from_json(config)
    except ValueError as error:
        raise RunError(f"{file} {error}", code="D115") from error
    return Asked(options, fingerprint, {str(name): str(version) for name, version in packages.items()})
