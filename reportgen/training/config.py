"""The options of a training, as one type: passed to `train`, kept in run.json, compared on resuming.

config = TrainConfig(model="lenet", dataset="mnist5k", epochs=3)
config.check()
TrainConfig.from_json(run.config)
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from reportgen.core.arguments import count, positive


@dataclass(frozen=True)
class TrainConfig:
    """The options of a training; `embed_layer` and `snapshot_every` None for the recorder's defaults."""

    model: str
    dataset: str
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    seed: int = 0
    embed_size: int = 2000
    embed_layer: str | None = None
    snapshot_every: str | int | None = None

    def check(self) -> None:
        """Raise OptionError for invalid values."""
        for name, least in _LEAST.items():
            count(name.replace("_", " "), getattr(self, name), least)
        positive("the learning rate", self.learning_rate)

    def as_json(self) -> dict[str, Any]:
        """The options for run.json, those alone that were asked for; the recorder notes how often it keeps."""
        options = {name: value for name, value in asdict(self).items() if name != "snapshot_every"}
        return {name: value for name, value in options.items() if value is not None}

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> "TrainConfig":
        """The options that a run's configuration tells. Raises ValueError, which names the option."""
        if missing := [name for name in REQUIRED if name not in config]:
            raise ValueError(f"does not say how to train again: it lacks {', '.join(missing)}")
        known = {field.name: config[field.name] for field in fields(cls) if field.name in config}
        for name, value in known.items():
            if not _VALID[name](value):
                raise ValueError(f"says {name} is {value!r}, which is not a valid value")
        return cls(**known)

    def differences(self, before: Mapping[str, Any]) -> list[str]:
        """How this differs, side by side, from the configuration of the run that is resumed.

        `epochs` may differ; without `snapshot_every`, it is what the run has.
        """
        was = {name: value for name, value in before.items() if name not in ("epochs", "layers")}
        now = {name: value for name, value in self.as_json().items() if name != "epochs"}
        every = self.snapshot_every
        now["snapshot_every"] = was.get("snapshot_every") if every is None else 1 if every == "batch" else every
        names = dict.fromkeys([*was, *now])
        return [f"{n} {_shown(was, n)}, now {_shown(now, n)}" for n in names if was.get(n) != now.get(n)]


_LEAST = {"epochs": 0, "batch_size": 1, "seed": 0, "embed_size": 3}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int


_VALID: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("model", "dataset", "optimizer", "embed_layer"), _is_text),
    **dict.fromkeys(("epochs", "batch_size", "seed", "embed_size"), _is_whole),
    "learning_rate": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "snapshot_every": lambda value: type(value) is int or value == "epoch",
}
REQUIRED = ("model", "dataset", "epochs", "batch_size", "learning_rate", "seed", "snapshot_every", "embed_size")


def _shown(config: Mapping[str, Any], name: str) -> str:
    return str(config[name]) if name in config else "not given"
