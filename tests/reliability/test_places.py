"""Each command wherever it may run: another account, other streams, limits and names give the same bytes."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import SOAK
from tests.test_environments import shell

pytestmark = pytest.mark.skipif(os.name != "posix", reason="what a POSIX shell can do to a process")

COMMANDS = {
    "build": '$reportgen build "$run" --embedding pca --layers conv1 -o "$to/made.html" --numbers "$to/numbers"',
    "compare": '$reportgen compare "$run" "$run" -o "$to/made.md" --format md',
    "train": '$reportgen train --dataset mnist5k --epochs 0 -o "$to/made"',
    "inspect": '$reportgen inspect --run "$lenet" --layers conv1 -o "$to/made.html"',
    "replay": '$reportgen replay "$lenet/checkpoints" --model lenet --dataset mnist5k -o "$to/made"',
}

PLACES = {
    # Who installed is not who runs: no home, no name, nothing to write into but the target, not even a /tmp.
    "another account": "cd /; unset HOME XDG_CACHE_HOME USER LOGNAME; export TMPDIR=/nowhere;"
    ' reportgen="setpriv --reuid 54321 --regid 54321 --clear-groups $reportgen"; {}',
    "no language": "export LC_ALL=C LANG=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0; {}",
    "a working directory that is gone": 'mkdir "$to.gone"; cd "$to.gone"; rmdir "$to.gone"; {}',
    "no streams": "{} <&- >&- 2>&-",
    "streams that are full": "{} >/dev/null 2>/dev/full",
    "no docstrings and no assertions": "export PYTHONOPTIMIZE=2; {}",
    "a terminal of no width": "export TERM=dumb COLUMNS=1 LINES=1 NO_COLOR=1; {}",
    "few open files": "ulimit -n 64; {}",
    "a private umask": "umask 077; {}",
    "odd names": "shopt -s dotglob;"
    ' odd=$to/$\'a [b] {{c}} *\\n\'; mkdir "$odd"; cp -r "$run" "$odd/run"; cp -r "$lenet" "$odd/lenet";'
    ' plain=$to; run=$odd/run lenet=$odd/lenet to=$odd/new; mkdir "$to"; {}; code=$?; mv "$odd/new"/* "$plain";'
    ' rm -r "$odd"; exit $code',
}

# In the short form each place with one command and each command in two places.
PAIRS = [
    (place, command)
    for first, place in enumerate(PLACES)
    for second, command in enumerate(COMMANDS)
    if SOAK or first % len(COMMANDS) == second
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder that every account can reach, which pytest's own can't be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def runs(shared, recorded) -> dict[str, Path]:
    """What the commands read, where other accounts may read it and nobody but its owner may write."""
    line = f'cp -r "$run" "$to/run"; {COMMANDS["train"]} && mv "$to/made" "$to/lenet" && chmod -R a+rX "$to"'
    done = shell(line, run=recorded, to=shared)
    assert done.returncode == 0, done.stderr
    return {"run": shared / "run", "lenet": shared / "lenet"}


@pytest.fixture(scope="module")
def ordinary(shared, runs):
    """What each command writes here, made when it is first asked for."""
    made: dict[str, dict[str, bytes]] = {}

    def of(command: str) -> dict[str, bytes]:
        if command not in made:
            made[command] = written(COMMANDS[command], shared / f"ordinary-{command}", runs)
        return made[command]

    return of


def written(line: str, to: Path, runs: dict[str, Path]) -> dict[str, bytes]:
    to.mkdir()
    to.chmod(0o777)
    done = shell(f"cd /; {line}", to=to, **runs, SOURCE_DATE_EPOCH=0, JAX_PLATFORMS="cpu")
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    # Orbax gives its files random names.
    files = (file for file in to.rglob("*") if file.is_file() and "checkpoints" not in file.parts)
    return {str(file.relative_to(to)): file.read_bytes() for file in files}


@pytest.mark.parametrize(("place", "command"), PAIRS)
def test_the_same_bytes_in_every_place(place, command, shared, runs, ordinary):
    if place == "another account":
        if os.geteuid() != 0:
            pytest.skip("only root can take another account")
        own, others = shell("${reportgen% -m*} -VV"), shell(PLACES[place].format("${reportgen% -m*} -VV"))
        # It may get another Python where it can't reach this one.
        if own.stdout != others.stdout or shell(PLACES[place].format("$reportgen --version")).returncode:
            pytest.skip("another account can't run this Python, or read this checkout")
    expected = ordinary(command)
    made = written(PLACES[place].format(COMMANDS[command]), shared / f"{place}-{command}", runs)
    assert sorted(made) == sorted(expected) and expected
    assert [name for name in made if made[name] != expected[name]] == []
