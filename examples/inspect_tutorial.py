"""A look inside: from LeNet on one handwritten digit to SqueezeNet on a face. Run it as it stands.

    python examples/inspect_tutorial.py                        # LeNet on a digit: needs the extra `demo`
    python examples/inspect_tutorial.py WEIGHTS FACE ONE_EYE   # and SqueezeNet on two pictures of a face

WEIGHTS is squeezenet1_1_notop.safetensors; FACE and ONE_EYE can be any two pictures of one size that differ in
one place. examples/inspect_tutorial.md walks through the pages that this writes.
"""

import sys
from pathlib import Path

import numpy as np

import reportgen
from reportgen.models import build


def lenet(folder: Path) -> None:
    """Train for a minute, then show every map of one digit: 16 of 24x24, pooled to 12x12, and 30 of 8x8."""
    run = folder / "run"
    digits = reportgen.load_dataset("mnist5k")
    if not run.exists():
        reportgen.train(run, digits, build("lenet", 10), model_name="lenet", epochs=3, progress=True)
    seven = digits.test_images[np.flatnonzero(digits.test_labels == 7)[:1]]

    # Each convolution beside its pooling; one range for all images of a layer, printed at every grid.
    page = reportgen.inspect(run=run, images=seven, layers=["conv*"], channels=[4], normalize="images")
    print(page.save(folder / "digit.html"))

    # A fixed range for signed values: -1 is black, 1 is white, values outside are clipped and counted.
    page = reportgen.inspect(run=run, images=seven, layers=["conv1", "conv1/max_pool"], normalize=(-1, 1))
    print(page.save(folder / "digit-fixed-range.html"))

    # The digits that activate each channel most, with the part of the image that does it, and activity per label.
    page = reportgen.inspect(run=run, images=seven, layers=["conv1/relu", "conv2/relu"], dataset=digits)
    print(page.save(folder / "digit-channels.html"))
    page.write_numbers(folder / "digit-numbers")


def face(folder: Path, weights: str, both_eyes: str, one_eye: str) -> None:
    """Which channels respond to an eye? Cover it, and see which activations fall, and which stay."""
    page = reportgen.inspect(
        "squeezenet",
        [both_eyes, one_eye],
        weights=weights,
        layers=["conv1", "fire6/squeeze1x1*"],
        channels=[13, 46],
        verify=True,
    )
    print(page.save(folder / "face.html"))
    print(page.document.headline)


if __name__ == "__main__":
    out = Path("inspect-tutorial")
    lenet(out)
    if len(sys.argv) == 4:
        face(out, *sys.argv[1:])
