"""What the drawing of deep networks, and the weights of their attention heads, take of a page: kilobytes."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings


def measure(settings: Settings) -> list[Row]:
    """ResNet-50, and 12 blocks with 12 heads on 4 examples: GPT-2 on 128 tokens, ViT-B on 64 patches."""
    rows = []
    for name, limit, model, inputs in _networks(settings.tiny):
        sections = _sections(model, inputs, settings.folder / name)
        rows.append(Row(f"graph of {name}, folded", (sections["graph"] / 1e3,), limit, "KB"))
        if "attention" in sections:
            size = sections["attention"] + sections.get("reading", 0)
            rows.append(Row(f"144 heads of {name} on 4 examples", (size / 1e3,), 600.0, "KB"))
    return rows


def _networks(tiny: bool) -> list[tuple[str, float, Any, np.ndarray]]:
    """(name, KB that its drawing may take, model, inputs); of small widths, which are not what takes room."""
    from benchmarks.networks import GPT, ResNet, ViT

    depth, heads, side = (1, 2, 16) if tiny else (12, 12, 64)
    drawn = np.random.default_rng(0)
    waves = drawn.normal(size=(4, 3, 2, 6)) * 0.05  # smooth, as photographs are and noise is not
    y, x = np.indices((side, side))[:, None, :, :, None, None]
    pictures = np.cos(waves[:, None, None, :, 0] * y + waves[:, None, None, :, 1] * x).mean(axis=-1).astype(np.float32)
    tokens = drawn.integers(0, 50, (4, 16 if tiny else 128))
    shape = {"width": 4 * heads, "depth": depth, "heads": heads}
    return [
        ("ResNet-50", 30.0, ResNet((1,) if tiny else (3, 4, 6, 3), filters=4, classes=10), pictures),
        ("ViT-B", 25.0, ViT(**shape, patch=8, classes=10), pictures),
        ("GPT-2", 25.0, GPT(**shape, vocabulary=50, length=tokens.shape[1]), tokens),
    ]


def _sections(model: Any, inputs: np.ndarray, folder: Path) -> dict[str, int]:
    """Bytes of each section of the page of a recorded network."""
    import jax

    import reportgen
    from reportgen.page.html import html

    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an evaluation without targets
        variables = jax.jit(model.init)(jax.random.key(0), inputs)
        with reportgen.Recorder(folder, model, variables, probe=inputs) as recorder:
            recorder.epoch(variables, steps=1)
        page = html(reportgen.build(folder, embedding="pca").document)
    found = re.findall(r'(<section id="([^"]+)".*?</section>)', page, re.DOTALL)
    return {anchor: len(text.encode()) for text, anchor in found}
