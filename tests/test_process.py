"""Settings of the process: made by the command line alone, and never against the user's own."""

import os
import shutil
import subprocess
import sys

import pytest

from reportgen import process

SETTINGS = [
    "XLA_FLAGS",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
]
COMPILE = """
from reportgen.process import tune
tune()
import jax
print(float(jax.jit(lambda x: x * 3 + 1)(2.0)))
"""


@pytest.fixture(autouse=True)
def untouched(monkeypatch, tmp_path):
    for name in SETTINGS:
        monkeypatch.setenv(name, "before")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def compile_in_a_process() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("7.0\n", "")


def test_compiled_programs_are_kept_for_the_next_process_but_a_torn_one_is_compiled_anew(tmp_path):
    compile_in_a_process()
    (torn,) = tmp_path.glob("reportgen/jax-*/*-cache")
    written = torn.stat().st_mtime_ns
    compile_in_a_process()
    assert [torn] == list(tmp_path.glob("reportgen/jax-*/*-cache")) and torn.stat().st_mtime_ns == written

    # As a process leaves it that is killed while it writes; an entry of another's is whole.
    whole = torn.with_name("whole-cache")
    shutil.copy(torn, whole)
    whole.with_name("whole-atime").write_bytes(bytes(8))
    torn.write_bytes(torn.read_bytes()[:40])
    torn.with_name(torn.name.removesuffix("-cache") + "-atime").unlink()
    compile_in_a_process()
    assert torn.read_bytes() == whole.read_bytes()


def test_of_many_compiled_programs_the_last_used_are_left(monkeypatch, tmp_path):
    process.keep_compiled()
    (folder,) = tmp_path.glob("reportgen/jax-*")
    for number, name in enumerate("cadb"):
        (folder / f"{name}-cache").touch()
        (folder / f"{name}-atime").touch()
        os.utime(folder / f"{name}-atime", (number, number))
    monkeypatch.setattr(process, "CACHE_PROGRAMS", 2)
    process.keep_compiled()
    assert sorted(file.name for file in folder.glob("?-*")) == ["b-atime", "b-cache", "d-atime", "d-cache"]


def test_the_users_own_settings_stand(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "5")
    process.keep_compiled()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "5"


def test_convolutions_are_chosen_for_a_known_jaxlib_alone(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(process, "version", lambda name: "0.10.7")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    process.choose_convolutions()
    process.choose_convolutions()
    assert os.environ["XLA_FLAGS"] == f"--xla_cpu_enable_fast_math=false {process.YNNPACK}={process.YNNPACK_FOR}"
    for users in ("", f"{process.YNNPACK}="):
        monkeypatch.setenv("XLA_FLAGS", users)
        if not users:
            monkeypatch.setattr(process, "version", lambda name: "0.11.0")
        process.choose_convolutions()
        assert os.environ["XLA_FLAGS"] == users


def test_less_is_optimised_where_the_processor_is_all_there_is(monkeypatch):
    for installed, given, expected in (
        (None, "", f"{process.LLVM_LEVEL}=2"),
        (None, f"{process.LLVM_LEVEL}=1", f"{process.LLVM_LEVEL}=1"),
        ("jax_plugins", "", ""),
    ):
        monkeypatch.setattr(process, "find_spec", lambda name, installed=installed: name == installed)
        monkeypatch.setenv("XLA_FLAGS", given)
        process.compile_sooner()
        assert os.environ["XLA_FLAGS"] == expected


def test_a_cache_folder_that_cannot_be_made_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    process.keep_compiled()
    assert not set(SETTINGS) & set(os.environ)


def test_importing_the_package_sets_nothing():
    code = (
        "import os; before = dict(os.environ); import reportgen, reportgen.api, reportgen.cli, reportgen.training; "
        "print(sorted(k for k in os.environ if os.environ[k] != before.get(k) and ('CACHE' in k or k == 'XLA_FLAGS')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
