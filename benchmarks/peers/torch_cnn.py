"""The four-convolution network of `reportgen.models.mnist_cnn` in PyTorch: its training step and its hooks.

train(file, steps=40, batch=100, tuned=False)       # seconds per step
activity(file, batches=[50, 100, 250, 500])         # activity per label of all convolutions, by forward hooks
"""

import ctypes
import time
from collections.abc import Callable

import numpy as np

from benchmarks.measure import read_digits


def train(file: str, steps: int, batch: int, tuned: bool) -> Callable[[], dict[str, float]]:
    """`steps` updates with Adam; `tuned` keeps freed memory in the process and fuses the optimizer's loop."""
    if tuned:
        keep_memory()
    import torch

    torch.manual_seed(0)
    images, labels, *_ = read_digits(file)
    x, y = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)
    model = network(images.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True if tuned else None)

    def run() -> dict[str, float]:
        model.train()
        started = time.perf_counter()
        for number in range(steps):
            begin = number * batch % (len(x) - batch + 1)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[begin : begin + batch]), y[begin : begin + batch])
            loss.backward()
            optimizer.step()
        loss.item()
        return {"seconds": (time.perf_counter() - started) / steps}

    return run


def activity(file: str, batches: list[int]) -> Callable[[], None]:
    """Sums per label and channel of every convolution over the images predicted right, and of the input.

    Of the batch sizes, the one that is quickest on a first part is taken; freed memory is kept.
    """
    keep_memory()
    import torch

    torch.manual_seed(0)
    _, _, images, labels = read_digits(file)
    x, y = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)
    model = network(images.shape[1]).eval()
    convolutions = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Conv2d)}
    caught: dict[str, torch.Tensor] = {}
    for name, part in convolutions.items():
        # The maps are reduced in the hook: none of them outlives its layer.
        part.register_forward_hook(lambda _part, _in, out, name=name: caught.__setitem__(name, out.sum(dim=(2, 3))))

    def run(batch: int, upto: int) -> dict[str, np.ndarray]:
        sums = {name: torch.zeros(10, part.out_channels, dtype=torch.float64) for name, part in convolutions.items()}
        inputs, counts = torch.zeros(10, dtype=torch.float64), torch.zeros(10)
        with torch.inference_mode():
            for begin in range(0, upto, batch):
                part, truth = x[begin : begin + batch], y[begin : begin + batch]
                right = model(part).argmax(dim=1) == truth
                for name, value in caught.items():
                    sums[name].index_add_(0, truth[right], value[right].double())
                inputs.index_add_(0, truth[right], part[right].sum(dim=(1, 2, 3)).double())
                counts.index_add_(0, truth[right], torch.ones(int(right.sum())))
        return {name: value.numpy() for name, value in {**sums, "inputs": inputs, "counts": counts}.items()}

    def seconds(batch: int) -> float:
        run(batch, min(len(x), 2 * batch))
        started = time.perf_counter()
        run(batch, min(len(x), 2000))
        return time.perf_counter() - started

    best = min(batches, key=seconds)

    def whole() -> None:
        run(best, len(x))

    return whole


def network(side: int):  # type: ignore[no-untyped-def]
    """Two blocks of [conv 32 2x2 same, conv 32 2x2 same, relu, max-pool 2, dropout 0.2], dense 512, relu, dense 10."""
    from torch import nn

    def block(channels: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, 32, 2, padding="same"),
            nn.Conv2d(32, 32, 2, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.2),
        ]

    flat = 32 * (side // 4) ** 2
    head = [nn.Flatten(), nn.Linear(flat, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*block(1), *block(32), *head)


def keep_memory() -> None:
    """Have glibc's malloc keep what is freed; elsewhere there is nothing to set."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    m_mmap_threshold, m_trim_threshold, m_top_pad, m_arena_max = -3, -1, -2, -8
    for name, value in (
        (m_mmap_threshold, 32 << 20),
        (m_trim_threshold, 2**31 - 1),
        (m_top_pad, 256 << 20),
        (m_arena_max, 1),
    ):
        mallopt(name, value)
