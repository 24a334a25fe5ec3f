"""The wheel holds the templates, and a report is built from it outside the checkout; a release is checked."""

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import reportgen

ROOT = Path(__file__).parent.parent


def test_the_wheel_renders_outside_the_checkout(recorded, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert checked(tmp_path / "dist") == ""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(archive.read(next(name for name in names if name.endswith("/METADATA"))))
        archive.extractall(tmp_path / "site")
    assert metadata["Name"] == "reportgen-jax" and metadata["Version"] == reportgen.__version__
    assert {"record", "umap", "demo", "all"} <= set(metadata.get_all("Provides-Extra"))
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    code = """
import sys, reportgen
assert "site" in reportgen.__file__, reportgen.__file__
print(reportgen.build(sys.argv[1], embedding="pca").save("report.html"))
"""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # -P and PYTHONPATH: the unpacked wheel comes before the checkout's editable install.
    subprocess.run(
        [sys.executable, "-P", "-c", code, str(recorded)],
        cwd=elsewhere,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert (elsewhere / "report.html").stat().st_size > 50_000

    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tests/forgotten.py", "")
    assert checked(tmp_path / "dist") == "the wheel holds tests/forgotten.py"
    wheel.unlink()
    assert "holds 0 wheels and 1 sdists" in checked(tmp_path / "dist")


def checked(dist: Path) -> str:
    """What scripts/release finds wrong with the archives in that folder."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "check_dist.py", dist], capture_output=True, text=True
    ).stderr.strip()


def test_there_are_no_templates_inside_the_package_of_the_checkout():
    assert not (ROOT / "reportgen" / "templates").exists()
