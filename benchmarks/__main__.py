"""Run the benchmarks: all of them into RESULTS.md, or the named ones onto the screen.

python -m benchmarks --data-dir mnist/
python -m benchmarks step startup --rounds 9
"""

import importlib
import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

from benchmarks import BENCHMARKS
from benchmarks.measure import Missing, Row, Settings
from benchmarks.results import table, written


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar="[NAME]...")
@click.option("--rounds", default=5, show_default=True, help="Runs of each, in turns.")
@click.option("--data-dir", type=click.Path(path_type=Path, exists=True), help="MNIST's IDX files. Default: mnist5k.")
@click.option("--tiny", is_flag=True, help="Sizes for tests: whether it runs, not how long it takes.")
def main(names: tuple[str, ...], rounds: int, data_dir: Path | None, tiny: bool) -> None:
    """Measure NAMEs, by default everything, which also writes benchmarks/RESULTS.md."""
    found: dict[str, list[Row] | str] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for name in names or BENCHMARKS:
            begun = time.monotonic()
            place = Path(folder) / name
            place.mkdir()
            try:
                found[name] = importlib.import_module(f"benchmarks.{name}").measure(
                    Settings(rounds, data_dir, place, tiny)
                )
            except Missing as missing:
                found[name] = str(missing)
            except Exception:
                # The other figures still count; this one shows that it could not be had.
                traceback.print_exc()
                found[name] = "failed: " + traceback.format_exc().strip().splitlines()[-1]
            click.echo(f"{name}, {time.monotonic() - begun:.0f} s\n{table({name: found[name]})}\n", err=True)
    if not names and not tiny:
        click.echo(written(found, rounds, data_dir is not None, time.monotonic() - started))
    if any(isinstance(rows, str) for rows in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
