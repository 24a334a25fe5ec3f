"""`reportgen.train` is the function, whatever was imported before."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("before", ["reportgen", "reportgen.training", "reportgen.training.loop", "reportgen.cli"])
def test_the_public_name_is_the_function_at_every_access(before):
    program = (
        f"import reportgen, {before}\n"
        "for _ in range(2):\n"
        "    assert reportgen.train.__name__ == 'train' and callable(reportgen.train), reportgen.train\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_no_room_has_the_name_of_a_public_function():
    """Importing a room sets an attribute of the package, which would hide the function."""
    from pathlib import Path

    import reportgen

    folder = Path(reportgen.__file__).parent
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms & set(reportgen.__all__) == set()
