"""The house stays as docs/architecture.md shows it: rooms import lower floors only, and the reporting half no jax."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "reportgen"
FLOORS = [
    {"errors", "process"},
    {"core"},
    {"data", "models", "weights", "capture", "store", "analysis", "figures", "page"},
    {"evaluate"},
    {"record", "sections", "inspection"},
    {"training"},
    {"api"},
    {"cli"},
]
WITHOUT_JAX = {"errors", "core", "store", "analysis", "figures", "page", "sections", "data"}
JAX = {"jax", "flax", "optax", "orbax"}


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imported(file: Path) -> set[str]:
    """Every module named by an import statement anywhere in the file, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


FILES = sorted(file for file in PACKAGE.rglob("*.py") if room(file) not in ("__init__", "__main__"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_lower_floors_and_itself_only(file):
    here = room(file)
    for module in imported(file):
        if module.startswith("reportgen."):
            there = module.split(".")[1]
            assert there == here or floor(there) < floor(here), f"{here} imports {module}"


@pytest.mark.parametrize(
    "file", [f for f in FILES if room(f) in WITHOUT_JAX], ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_the_reporting_half_imports_no_jax(file):
    assert not {module.split(".")[0] for module in imported(file)} & JAX


def test_every_room_has_a_floor():
    assert {room(file) for file in FILES} <= set().union(*FLOORS)


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_reportgen_loads_nothing_heavy():
    loaded = run_python("import sys, reportgen, reportgen.cli; print(*sys.modules)").split()
    assert not {"jax", "flax", "matplotlib", "umap", "numpy"} & set(loaded)


def test_a_report_is_built_where_jax_can_not_be_imported(recorded, tmp_path):
    code = """
import sys
for name in ("jax", "jaxlib", "flax", "optax", "orbax"):
    sys.modules[name] = None
import reportgen
built = reportgen.build(sys.argv[1], embedding="pca")
print(built.save(sys.argv[2]).stat().st_size)
"""
    size = int(run_python(code, str(recorded), str(tmp_path / "report.html")))
    assert size > 50_000


def test_public_names_exist():
    import reportgen

    for name in reportgen.__all__:
        assert getattr(reportgen, name) is not None
    assert set(reportgen.__all__) <= set(dir(reportgen))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = reportgen.nothing
