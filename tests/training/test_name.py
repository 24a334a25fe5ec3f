"""`reportgen.train` is the function, whatever was imported before."""

import subprocess
import sys

# One process, in which jax is imported once and reportgen anew for each case.
PROGRAM = """
import importlib, sys
for before in ("reportgen", "reportgen.training", "reportgen.training.loop", "reportgen.cli"):
    for name in [name for name in sys.modules if name.partition(".")[0] == "reportgen"]:
        del sys.modules[name]
    import reportgen
    assert "train" not in vars(reportgen), before
    importlib.import_module(before)
    for _ in range(2):
        assert reportgen.train.__name__ == "train" and callable(reportgen.train), (before, reportgen.train)
"""


def test_the_public_name_is_the_function_at_every_access():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)


def test_no_room_has_the_name_of_a_public_function():
    """Importing a room sets an attribute of the package, which would hide the function."""
    from pathlib import Path

    import reportgen

    folder = Path(reportgen.__file__).parent
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms & set(reportgen.__all__) == set()
