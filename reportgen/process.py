"""Start jax for a command, and keep its compiled programs for the next one. No import does either."""

import os
import platform
import zlib
from pathlib import Path

from reportgen.errors import OptionError, warn

#: Compiled programs kept on disk, in bytes: those of some twenty networks. jax deletes the least recently used.
CACHE_BYTES = 64 << 20


def keep_compiled() -> None:
    """Have jax keep compiled programs in the user's cache folder, unless the user chose one or it can't be written.

    By default jax keeps none, and where a folder is chosen only what took a second to compile: the networks that are
    recorded here are many small programs. Called before jax compiles anything.
    """
    import jax

    if jax.config.values.get("jax_compilation_cache_dir") is not None:
        return
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a read-only or a full disk; an account without a home
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", CACHE_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def tune() -> None:
    """The earlier name of `keep_compiled`."""
    warn("reportgen.process.tune is called keep_compiled now", DeprecationWarning, code="N101")
    keep_compiled()


def start_jax() -> None:
    """Have jax find its devices, with its compiled programs kept. Commands call it before they do anything else.

    Raises OptionError where jax finds no device of the kind that JAX_PLATFORMS names.
    """
    import jax

    keep_compiled()
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # an assertion where jax was built without that kind
        chosen = jax.config.values.get("jax_platforms")
        raise OptionError(
            f"jax finds no device: JAX_PLATFORMS is {chosen!r}; without it, jax takes what this machine has",
            code="O110",
        ) from error


def _folder() -> Path:
    """A folder for this kind of processor: homes are shared, and jax's keys don't tell processors apart.

    Raises RuntimeError where the user has no home.
    """
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        flags = next((line for line in described.splitlines() if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "reportgen" / f"jax-{platform.machine()}-{zlib.crc32(flags.encode()):08x}"
