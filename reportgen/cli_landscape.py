"""The command `reportgen landscape`: the loss around the way of a recorded training."""

import click

from reportgen.cli_options import quiet_option
from reportgen.errors import OptionError


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--model",
    metavar="NAME|MODULE:FACTORY",
    help="The model of the run, where its name there does not build it.",
)
@click.option(
    "--dataset",
    metavar="NAME|FILE.npz|DIR",
    help="What `reportgen train` trained on, where its name in the run does not find it.",
)
@click.option("--data-dir", metavar="DIR", help="Directory with the files of a named dataset.")
@click.option("--between", nargs=2, type=int, metavar="STEP STEP", help="Ends of the line. Default: first and last.")
@click.option("--points", default=17, show_default=True, help="Along each side of the plane.")
@quiet_option
def landscape(
    run: str,
    model: str | None,
    dataset: str | None,
    data_dir: str | None,
    between: tuple[int, int] | None,
    points: int,
    quiet: bool,
) -> None:
    """Compute the loss around the way that the training in RUN took, and add it to the run.

    \b
    reportgen landscape runs/a
    reportgen landscape runs/mine --model mynets:small --between 0 600
    reportgen build runs/mine -o report.html

    On the plane of the snapshots' two largest directions, and on the straight line between two of them: of 1,000
    training images for a run of `reportgen train`, else of the evaluation examples that the run holds.
    """
    if data_dir is not None and dataset is None:
        raise OptionError("--data-dir says where a dataset's files lie: give --dataset too", code="O103")
    from reportgen.data import load_dataset
    from reportgen.process import start_jax
    from reportgen.training.landscape import landscape as computed

    start_jax()
    data = None if dataset is None else load_dataset(dataset, data_dir)
    found = computed(run, model=model, dataset=data, between=between, points=points, progress=not quiet).landscape
    if not quiet and found is not None:
        click.echo(f"{run}: {found.measure} at {found.loss.size:,} points of a plane and {len(found.along)} of a line")
