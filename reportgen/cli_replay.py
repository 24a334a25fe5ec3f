"""The command `reportgen replay`: a run from the checkpoints of a training that was not recorded."""

from typing import Any

import click

from reportgen.cli_options import quiet_option, weights_options
from reportgen.errors import OptionError


@click.command()
@click.argument("checkpoints", metavar="CHECKPOINTS")
@click.option("-o", "--output", required=True, metavar="RUN", help="Run directory to create, or to go on with.")
@click.option(
    "--model",
    required=True,
    metavar="NAME|MODULE:FACTORY",
    help="The model that was trained: lenet, lenet_nnx, mnist_cnn, squeezenet, or your own.",
)
@click.option("--dataset", metavar="NAME|FILE.npz|DIR", help="Labelled images to evaluate every checkpoint on.")
@click.option(
    "--data-dir", metavar="DIR", help="Directory with the files of a named dataset, the IDX files of `mnist`."
)
@click.option(
    "--preprocess",
    type=click.Choice(["caffe", "imagenet", "unit", "none"]),
    help="Pixel preprocessing. Default: that of the built-in model, otherwise unit (0 to 1).",
)
@click.option("--steps", metavar="N,A:B,A:B:EVERY", help="Which checkpoints; both ends of a range belong to it.")
@click.option("--metrics", metavar="FILE|DIR", help="Metrics of the training: TensorBoard event files, .csv or .jsonl.")
@click.option(
    "--layers", multiple=True, metavar="GLOB,...", help="Layers whose activations are recorded. Default: all."
)
@click.option("--embed-layer", metavar="LAYER", help="Layer to embed. Default: the last hidden vector.")
@click.option(
    "--skip-bad", is_flag=True, help="Pass over checkpoints that are damaged or do not fit; the page says so."
)
@click.option("--overwrite", is_flag=True, help="Replace the run in RUN; else a replay that is there goes on.")
@weights_options
@quiet_option
def replay(
    checkpoints: str,
    output: str,
    model: str,
    dataset: str | None,
    data_dir: str | None,
    layers: tuple[str, ...],
    embed_layer: str | None,
    reading: dict[str, Any],
    quiet: bool,
    **options: Any,
) -> None:
    """Record in RUN a training that was not recorded, from its CHECKPOINTS.

    \b
    reportgen replay checkpoints/ -o runs/mine --model mynets:small --dataset my.npz
    reportgen replay checkpoints/ -o runs/mine --model mynets:small --dataset my.npz \\
        --key ema_params --steps 0,1000:10000:500 --metrics logs/
    reportgen replay 'weights/step_*.safetensors' -o runs/mine --model mynets:small --dataset my.npz --from torch
    reportgen build runs/mine -o report.html

    CHECKPOINTS is the folder of an Orbax CheckpointManager, a folder of files that are named by their steps
    (checkpoint_100, step_000100.safetensors, model-00100.npz), or a pattern in quotes. Given again when more have
    come, or after it was stopped, it goes on.
    """
    if dataset is None:
        raise OptionError("there is no data to evaluate the checkpoints on: give --dataset", code="O103")
    from reportgen.data import load_dataset
    from reportgen.process import start_jax
    from reportgen.record import Keep
    from reportgen.training.replay import replay as replayed
    from reportgen.weights.checkpoint import Checkpoint

    start_jax()
    patterns = [pattern for group in layers for pattern in group.split(",") if pattern]
    run = replayed(
        Checkpoint(checkpoints, **reading),
        model,
        output,
        dataset=load_dataset(dataset, data_dir),
        keep=Keep(layers=patterns or ("*",), embed=embed_layer, top=True),
        progress=not quiet,
        **options,
    )
    if quiet:
        return
    for note in run.notes:
        click.echo(note)
    steps = list(run.snapshots)
    click.echo(f"{output}: {len(steps)} checkpoints, steps {steps[0]} to {steps[-1]}")
