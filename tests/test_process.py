"""The cache of compiled programs: asked for by the command line alone, and never against the user's own."""

import os
import subprocess
import sys

import pytest

from reportgen import process

COMPILE = """
from reportgen.process import keep_compiled
keep_compiled()
import jax
print(float(jax.jit(lambda x: x * 3 + 1)(2.0)))
print(jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs)
"""


@pytest.fixture(autouse=True)
def untouched(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("JAX_") and "CACHE" in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def compile_in_a_process() -> list[str]:
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("7.0\n") and done.stderr == ""
    return done.stdout.split()[1:]


def test_compiled_programs_are_kept_for_the_next_process(tmp_path):
    compile_in_a_process()
    (program,) = tmp_path.glob("reportgen/jax-*/*-cache")
    written = program.stat().st_mtime_ns
    assert compile_in_a_process() == [str(program.parent), "0"]
    assert [program] == list(tmp_path.glob("reportgen/jax-*/*-cache")) and program.stat().st_mtime_ns == written


def test_the_users_own_folder_stands(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "5")
    assert compile_in_a_process() == [str(tmp_path / "mine"), "5.0"]
    assert not (tmp_path / "reportgen").exists()


def test_a_cache_folder_that_cannot_be_made_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_in_a_process()[0] == "None"


def test_importing_the_package_sets_nothing():
    code = (
        "import os; before = dict(os.environ); import jax, reportgen.api, reportgen.cli, reportgen.training; "
        "print(before == dict(os.environ), jax.config.jax_compilation_cache_dir)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True None\n"


def test_the_earlier_name_works_with_a_warning(monkeypatch):
    called = []
    monkeypatch.setattr(process, "keep_compiled", lambda: called.append(True))
    with pytest.warns(DeprecationWarning, match="is called keep_compiled now"):
        process.tune()
    assert called == [True]
