"""The input check of the built-in models."""

from collections.abc import Sequence

from reportgen.errors import ModelError


def check_images(model: str, shape: Sequence[int], smallest: int) -> None:
    """Raises ModelError unless `shape` is [batch, height, width, channel] with sides >= `smallest`."""
    if len(shape) != 4:
        raise ModelError(f"{model} takes images [batch, height, width, channel], not {list(shape)}", code="M104")
    if min(shape[1:3]) < smallest:
        raise ModelError(
            f"{model} needs images of at least {smallest}x{smallest} pixels, not {shape[1]}x{shape[2]}; "
            "enlarge them or take another model",
            code="M104",
        )
