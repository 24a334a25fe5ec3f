"""The effective rank of every kernel at two steps, as a section of each report that is built where this is installed.

Effective rank: the exponential of the entropy of the singular values, taken as shares of their sum (O. Roy and M.
Vetterli, "The effective rank", EUSIPCO 2007). A matrix with k equal singular values and no others has k.
"""

import numpy as np

from reportgen import PageContext, Section, Table, Text


def effective_rank(kernel: np.ndarray) -> float:
    """Of a kernel [..., input, output] as a matrix with a column per output channel."""
    values = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def build(context: PageContext) -> Section | None:
    """A row per kernel; None without an earlier moment, or where no parameter is a matrix."""
    if context.before is None:
        return None
    before, after = context.before.params, context.now.params
    kernels = [name for name in before if before[name].ndim >= 2 and context.chosen(name)]
    if not kernels:
        return None
    rows = [
        (name, effective_rank(before[name]), effective_rank(after[name]), before[name].shape[-1]) for name in kernels
    ]
    fell = sum(end < start for _, start, end, _ in rows)
    table = Table(
        "rank-kernels",
        "Effective rank of every kernel as a matrix with a column per output channel.",
        ("Kernel", context.before.name.capitalize(), context.now.name.capitalize(), "Output channels"),
        tuple(rows),
    )
    method = Text("The exponential of the entropy of the singular values, as shares of their sum.", "method")
    return Section("rank", "Effective rank", f"{fell} of {len(rows)} kernels lost effective rank.", (table, method))
