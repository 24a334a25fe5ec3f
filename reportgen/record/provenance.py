"""Where a recording was made: versions, device, git commit. No paths, no environment, no user names.

provenance()   # {"python": "3.11.7", "device": "cpu", "packages": {...}, "git_commit": ..., ...}
"""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax

from reportgen import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def provenance() -> dict[str, Any]:
    """Versions, device and commit, which are needed to judge or repeat a recording, as JSON values."""
    packages: dict[str, str | None] = {"reportgen": __version__}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "device": f"{device.platform}: {device.device_kind}",
        "devices": jax.device_count(),
        **git_state(),
    }


def git_state() -> dict[str, Any]:
    """Commit of the current directory's repository, and whether tracked files differ from it.

    Both are None outside a repository, or without git.
    """
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"git_commit": commit, "git_dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
