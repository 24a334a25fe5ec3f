"""Settings of the whole process that make training and reports quicker. The command line makes them; no import does.

    tune()          # before jax is imported
    share_python()  # before a report is built

What the user has set in the environment stands.
"""

import os
import platform
import sys
import zlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

#: Compiled programs kept on disk, in bytes; the least recently used go first.
CACHE_BYTES = 256 << 20
#: And how many are left there when a process begins. A network has about 25; for each one that jax adds it looks at all
#: that are there (70 µs each).
CACHE_PROGRAMS = 500

#: Of jaxlib 0.10: what XLA gives to YNNPACK on CPUs. By default convolutions are among it.
YNNPACK = "--xla_cpu_experimental_ynn_fusion_type"
YNNPACK_FOR = "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"

#: How much LLVM optimises what XLA compiles, 0 to 3; by default 3.
LLVM_LEVEL = "--xla_backend_optimization_level"


def tune() -> None:
    """Keep freed memory, choose the quicker convolutions, compile in half the time, and keep what was compiled."""
    keep_memory()
    choose_convolutions()
    compile_sooner()
    keep_compiled()


def share_python() -> None:
    """Have a thread wait for Python's lock 0.5 ms, not 5, until the one that has it is asked to give way.

    The embedding asks for it after every pass, while the charts are drawn: so a build takes 0.91 of its time (in turns,
    five each).
    """
    sys.setswitchinterval(0.0005)


def keep_memory() -> None:
    """Have malloc keep what is freed.

    glibc gives large buffers back to the system after each step and fetches them anew, page by page:
    keeping them saves a quarter of a step. Elsewhere there is nothing to set.
    """
    import ctypes

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


def choose_convolutions() -> None:
    """Have XLA compute convolutions by Eigen, and by YNNPACK matrix products and sums alone.

    A training step of `mnist_cnn` takes little more than half the time so (benchmarks/notes.md); sums round otherwise.
    YNNPACK's elementwise operations would be as quick, but their maximum of NaN and 0 is 0: a relu would hide NaN.
    Measured on x86 with jaxlib 0.10 alone; others may not know the flag, and XLA ends the process at an unknown one.
    """
    try:
        known = version("jaxlib").startswith("0.10.") and platform.machine() in ("x86_64", "AMD64")
    except PackageNotFoundError:
        return
    if known:
        _set_for_xla(YNNPACK, YNNPACK_FOR)


def compile_sooner() -> None:
    """Have LLVM optimise at its level 2.

    At 3 a convolutional network's programs take twice as long to compile, and none of those measured run quicker
    (benchmarks/notes.md). Compilers for accelerators read the same flag: where jax has one, it stays as it is.
    """
    if not any(map(find_spec, ("jax_plugins", "libtpu"))):
        _set_for_xla(LLVM_LEVEL, "2")


def _set_for_xla(flag: str, value: str) -> None:
    """Add the flag to XLA's, unless the user has set it."""
    given = os.environ.get("XLA_FLAGS", "")
    if flag not in given:
        os.environ["XLA_FLAGS"] = f"{given} {flag}={value}".strip()


def keep_compiled() -> None:
    """Have jax keep its compiled programs in the user's cache folder.

    The second training of a network reaches its first step in a quarter of the CPU time. By default jax
    keeps nothing, and where a folder is named only what took a second to compile: these networks are many
    small programs. jax reads these variables when it is imported.
    """
    folder = _folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:  # a home that can't be written to: everything works, compiled anew
        return
    if not os.access(folder, os.W_OK):
        return
    ours = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder)) == str(folder)
    # Without a limit jax neither locks the folder nor says when an entry was used.
    if os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(CACHE_BYTES)) != "-1" and ours:
        _tidy(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _tidy(folder: Path) -> None:
    """Delete the entries whose writer was killed, and but for the last `CACHE_PROGRAMS` those unused for longest.

    jax writes an entry in place, then the time of its last use beside it; it never mends a torn one, but
    warns of it in each process to come. With the lock held nobody is writing: an entry without a time is torn.
    """
    import filelock

    try:
        with filelock.FileLock(folder / ".lockfile", timeout=10):
            used: dict[Path, int] = {}
            for entry in folder.glob("*-cache"):
                try:
                    used[entry] = _last_use(entry).stat().st_mtime_ns
                except FileNotFoundError:
                    entry.unlink(missing_ok=True)
            for entry in sorted(used, key=used.__getitem__)[:-CACHE_PROGRAMS]:
                entry.unlink(missing_ok=True)
                _last_use(entry).unlink(missing_ok=True)
    except (OSError, filelock.Timeout):
        pass  # the next process will


def _last_use(entry: Path) -> Path:
    """The file that jax writes whenever it reads or writes the entry."""
    return entry.with_name(entry.name.removesuffix("-cache") + "-atime")


def _folder() -> Path:
    """A folder for this kind of processor: homes are shared, and jax's keys don't tell processors apart."""
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        flags = next((line for line in described.splitlines() if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "reportgen" / f"jax-{platform.machine()}-{zlib.crc32(flags.encode()):08x}"
