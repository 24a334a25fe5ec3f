"""A checkpoint as a user names it. Importing this module imports no reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reportgen.core.arguments import count, texts
from reportgen.errors import expect


@dataclass(frozen=True)
class Checkpoint:
    """Weights from elsewhere, and how they are read.

    path        a file (.safetensors, .npz, .msgpack) or an Orbax folder; for a replay, the folder of all of them
    step        which of an Orbax folder's; None: the last
    rename      rules OLD=NEW that bring its names to the model's
    layout      of its kernels: "hwio" as in Flax, or "oihw" as in PyTorch
    key         the branch of it that holds the weights, where several fit ("ema_params")
    framework   whose names and layouts it has: "flax", or "torch", which is matched to the model by structure
    """

    path: str | Path
    step: int | None = None
    rename: Sequence[str] = ()
    layout: Literal["hwio", "oihw"] = "hwio"
    key: str | None = None
    framework: Literal["flax", "torch"] = "flax"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rename", texts("rename", self.rename, "rules OLD=NEW, such as ('features/0=conv1',)"))
        if self.step is not None:
            object.__setattr__(self, "step", count("step", self.step))
        expect("layout", self.layout, str, "hwio or oihw")
        expect("key", self.key, str | None, "the name of a branch of the checkpoint")
        expect("framework", self.framework, str, "flax or torch")
