"""What pyproject.toml promises is what CI tests: Python versions, and the oldest release of each dependency.

CI runs the suite twice: `make check` installs requirements.txt, `scripts/newest` what is newest.
"""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCK = {
    pinned.name.lower(): next(iter(pinned.specifier)).version
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for pinned in [Requirement(line)]
}
PROMISED = [
    Requirement(line)
    for lines in (
        PYPROJECT["build-system"]["requires"],
        PROJECT["dependencies"],
        *PROJECT["optional-dependencies"].values(),
    )
    for line in lines
    if Requirement(line).name != PROJECT["name"]  # an extra made of other extras
]


def test_ci_runs_both_sets():
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert commands[-2:] == ["PYTHON=python3.11 make check", "scripts/newest"]


def test_the_promised_pythons_are_those_of_ci():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    newest = re.search(r"^version=(.*)$", (ROOT / "scripts" / "newest").read_text(encoding="utf-8"), re.MULTILINE)
    oldest = re.search(r"python3\.\d+", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert named == [oldest[0].removeprefix("python"), newest[1]]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named


@pytest.mark.parametrize("promised", PROMISED, ids=str)
def test_the_oldest_promised_release_is_the_pinned_one(promised):
    # Without a bound nothing is promised (the peers of the benchmarks).
    assert [str(bound) for bound in promised.specifier] in ([], [f">={LOCK.get(promised.name.lower())}"])
