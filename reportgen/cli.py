"""The command line: `reportgen demo | train | build | inspect | compare | replay | landscape | explain`.

Each command turns its options into one call of a plain function; whatever costs time to import is
imported inside it, so that `--help` answers at once.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from reportgen import __version__
from reportgen.cli_compare import compare
from reportgen.cli_landscape import landscape
from reportgen.cli_options import Output, numbers, page_options, print_matched, quiet_option, weights_options
from reportgen.cli_replay import replay
from reportgen.cli_streams import end, open_streams, stream_errors
from reportgen.core.paths import local_path, named_path, url_of
from reportgen.errors import OptionError, ReportgenError, RunError, naming_the_extra


def main() -> None:
    """Entry point: runs a command; what the user can mend is one sentence on stderr and exit code 2."""
    open_streams()
    try:
        with naming_the_extra(), stream_errors():
            cli(standalone_mode=False)
    except ReportgenError as error:
        code = f" [{error.code}]" if error.code else ""
        end(2, partial(click.echo, f"reportgen: {error}{code}", err=True))
    except click.exceptions.NoArgsIsHelpError as error:
        end(2, partial(click.echo, error.format_message()))
    except click.ClickException as error:
        end(error.exit_code, error.show)
    except (click.Abort, KeyboardInterrupt):
        said = "reportgen: interrupted; everything recorded so far can still be built into a report"
        end(130, partial(click.echo, said, err=True))
    end(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="reportgen")
def cli() -> None:
    """Show what a JAX/Flax network has learned in one self-contained HTML report.

    \b
    reportgen demo                              train on 5,000 digits, write demo/report.html
    reportgen train -o runs/a --epochs 5        record a training
    reportgen build runs/a -o a.html            turn it into a report
    reportgen inspect --run runs/a -o in.html   look inside a network without training
    reportgen compare runs/a runs/b -o c.html   run against run
    reportgen replay ckpts/ -o runs/b --model nets:small --dataset my.npz
                                                record a training from its checkpoints
    reportgen landscape runs/a                  compute the loss around its way, for the page
    reportgen explain D104                      what an error's code means, and what to do
    """


cli.add_command(compare)
cli.add_command(landscape)
cli.add_command(replay)


@cli.command()
@click.option("-o", "--output", default="demo", show_default=True, metavar="DIR", help="Output directory.")
@quiet_option
def demo(output: str, quiet: bool) -> None:
    """Train LeNet on 5,000 handwritten digits and write DIR/report.html.

    Replaces an earlier demo in DIR, but no other run.
    """
    folder = named_path(output)
    _check_demo(f"{folder}/run")
    seconds: dict[str, float] = {}
    with _timed(seconds, "load"):
        from reportgen import build, load_dataset

        dataset = load_dataset("mnist5k")
    with _timed(seconds, "train"):
        summary = _train(f"{folder}/run", dataset, "lenet", epochs=10, overwrite=True, progress=not quiet)
    with _timed(seconds, "report"):
        path = build(f"{folder}/run", progress=not quiet).save(f"{folder}/report.html")
    if quiet:
        return
    click.echo(f"\nreport          {folder}/report.html ({path.stat().st_size / 1e6:.1f} MB)")
    click.echo(f"test accuracy   {summary.test_accuracy:.4f}")
    click.echo("seconds         " + ", ".join(f"{stage} {s:.1f}" for stage, s in seconds.items()))


@cli.command()
@click.option("-o", "--output", required=True, metavar="RUN", help="Run directory to create.")
@click.option(
    "--dataset",
    default="mnist5k",
    show_default=True,
    metavar="NAME|FILE.npz|DIR",
    help="mnist5k, mnist, digits, an .npz with `images` and `labels`, or a folder with one subdirectory per class.",
)
@click.option(
    "--data-dir", metavar="DIR", help="Directory with the files of a named dataset, the IDX files of `mnist`."
)
@click.option(
    "--model",
    default="lenet",
    show_default=True,
    metavar="NAME|MODULE:FACTORY",
    help="lenet, lenet_nnx, mnist_cnn, squeezenet, or your own model.",
)
@click.option("--epochs", default=10, show_default=True, help="Number of epochs; 0 records only the untrained network.")
@click.option("--batch-size", default=100, show_default=True, help="Images per update.")
@click.option("--learning-rate", default=1e-3, show_default=True, help="Adam learning rate.")
@click.option("--seed", default=0, show_default=True, help="Random seed for initialisation, shuffling and dropout.")
@click.option(
    "--snapshot-every",
    metavar="batch|epoch|N",
    help="How often to save parameters. Default: every batch, thinned to 2 GB.",
)
@click.option(
    "--embed-layer", metavar="LAYER", help="Layer to embed. Default: the last hidden layer with vector output."
)
@click.option("--embed-size", default=2000, show_default=True, help="Number of images to embed.")
@click.option("--resume", is_flag=True, help="Continue the run in RUN after its last complete epoch.")
@click.option("--overwrite", is_flag=True, help="Replace the run in RUN.")
@click.option("--from-report", metavar="FILE", help="Repeat the training described by a report.json.")
@quiet_option
@click.pass_context
def train(
    context: click.Context,
    /,
    output: str,
    dataset: str,
    data_dir: str | None,
    model: str,
    from_report: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a network and record the training in RUN.

    \b
    reportgen train -o runs/a
    reportgen train -o runs/b --dataset mnist --data-dir mnist/ --model mnist_cnn --epochs 2
    reportgen train -o runs/c --dataset my.npz --model mynets:small --snapshot-every epoch
    reportgen train -o runs/again --from-report numbers/report.json

    With --from-report, the model, the data and all options are taken from the report unless given on the command line.
    Data that came from your own files must be given again with --dataset or --data-dir, and must be identical.
    """
    every = options.pop("snapshot_every")
    if every is not None and every.isdigit():
        every = int(every)
    if options["resume"] and options["overwrite"]:
        raise OptionError("--resume continues a run and --overwrite replaces it: give only one of them", code="O103")
    from reportgen.data import load_dataset

    options["snapshot_every"] = every
    if from_report is None:
        data = load_dataset(dataset, data_dir)
    else:
        given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
        data, model, options = _again(local_path(from_report), given, dataset, data_dir, model, options)
    summary = _train(output, data, model, progress=not quiet, **options)
    if quiet:
        return
    # None where the output is no score per class.
    accuracy = "" if summary.test_accuracy is None else f"test accuracy {summary.test_accuracy:.4f}, "
    click.echo(f"{output}: {summary.steps} steps in {summary.epochs} epochs, {accuracy}{summary.seconds:.1f} s")


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--from", "from_step", default="init", show_default=True, metavar="STEP|init", help="Earlier step.")
@click.option("--to", "to_step", default="final", show_default=True, metavar="STEP|final", help="Later step.")
@click.option(
    "--embedding",
    type=click.Choice(["umap", "pca"]),
    help="How to draw the hidden layer in two dimensions. Default: umap, or pca (linear) where numba is missing.",
)
@page_options("report")
def build(runs: tuple[str, ...], output: Output, view: dict[str, Any], **options: Any) -> None:
    """Turn the run directory RUN, or a folder of several networks' runs side by side, into a report.

    Several RUNs, or an -o that ends in a slash, make a site: a page for each run, built where something changed, and
    an index that lists them.

    \b
    reportgen build runs/a -o a.html
    reportgen build runs/a -o late.html --from 200 --to final --layers 'conv*'
    reportgen build runs/a -o a.html --numbers a-numbers --figures a-figures --figure-format pdf
    reportgen build runs/a -o pull-request --format md
    reportgen build runs/* -o site/
    """
    from reportgen import api

    if len(runs) == 1 and not output.is_site:
        output.write(api.build(runs[0], progress=not output.quiet, **view, **options))
        return
    output.check_site()
    from reportgen.site import build_site

    site = build_site(runs, output.path, progress=not output.quiet, **view, **options)
    index = f"{url}/{site.index.name}" if (url := url_of(output.path)) else site.index
    if not output.quiet:
        click.echo(f"{index}: {len(site.built)} built, {len(site.current)} current, {len(site.failed)} failed")
    if site.failed:
        said = "; ".join(f"{name}: {text.rstrip('.')}" for name, text in site.failed.items())
        count = f"{len(site.failed)} of {len(site.built) + len(site.current) + len(site.failed)} runs"
        raise RunError(f"{count} could not be built, the others are in {index}: {said}", code="R110")


@cli.command()
@click.argument("pictures", nargs=-1, metavar="[IMAGE]...")
@click.option("--images", multiple=True, metavar="IMAGE", help="Another way to give an IMAGE.")
@click.option(
    "--model", metavar="NAME|MODULE:FACTORY", help="lenet, lenet_nnx, mnist_cnn, squeezenet, or your own model."
)
@click.option("--weights", metavar="FILE|DIR", help="Checkpoint: .safetensors, .npz, .msgpack, or an Orbax directory.")
@weights_options
@click.option("--run", metavar="RUN", help="Recorded run to inspect instead of a model with weights.")
@click.option("--step", type=int, metavar="N", help="Inspect the run after N updates, or a step of an Orbax directory.")
@click.option(
    "--preprocess",
    type=click.Choice(["caffe", "imagenet", "unit", "none"]),
    help="Pixel preprocessing. Default: that of the built-in model, otherwise unit (0 to 1).",
)
@click.option("--size", metavar="N|HxW", help="Resize the images to height x width.")
@click.option(
    "--dataset",
    metavar="NAME|FILE.npz|DIR",
    help="Labelled images to search for the top-activating examples of each channel.",
)
@click.option(
    "--data-dir", metavar="DIR", help="Directory with the files of a named dataset, the IDX files of `mnist`."
)
@click.option("--verify", is_flag=True, help="Recompute every captured value and compare.")
@click.option(
    "--save", "save_to", metavar="RUN", help="Also write a run directory, which `build` lays out without jax."
)
@page_options("inspect")
def inspect(
    pictures: tuple[str, ...],
    images: tuple[str, ...],
    size: str | None,
    dataset: str | None,
    data_dir: str | None,
    weights: str | None,
    reading: dict[str, Any],
    output: Output,
    view: dict[str, Any],
    **options: Any,
) -> None:
    """Show how each layer and channel of a network responds to IMAGEs (default: the probe images of the run).

    \b
    reportgen inspect --model squeezenet --weights squeezenet1_1_notop.safetensors \\
        face.png face-one-eye.png --layers 'conv1,fire6/squeeze1x1*' --channels 13,46 -o face.html
    reportgen inspect --run runs/a seven.png --layers 'conv*' --range 0,1
    reportgen inspect --run runs/a --step 40 --dataset mnist5k
    reportgen inspect --model nets:make --weights w.npz --layout oihw --rename features/0=conv1 a.png
    reportgen inspect --model nets:resnet18 --weights resnet18.safetensors --from torch a.png
    """
    if data_dir is not None and dataset is None:
        raise OptionError("--data-dir says where a dataset's files lie: give --dataset too", code="O103")
    if weights is None and reading:
        raise OptionError(
            "--rename, --layout, --key and --from say how weights are read: give --weights too", code="O103"
        )
    shape = numbers(f"{size}x{size}" if size and "x" not in size else size, "--size", "x", int)
    from reportgen import api
    from reportgen.data import load_dataset
    from reportgen.process import start_jax
    from reportgen.weights.checkpoint import Checkpoint

    start_jax()
    data = None if dataset is None else load_dataset(dataset, data_dir)
    checkpoint = None if weights is None else Checkpoint(weights, options["step"], **reading)
    read = {"images": (*images, *pictures), "weights": checkpoint, "size": shape, "dataset": data}
    report = api.inspect(**read, **view, **options, progress=not output.quiet)
    if report.run is not None:
        print_matched(report.run.provenance.get("weights_matched", {}))
    output.write(report)


@cli.command()
@click.argument("code", metavar="CODE")
def explain(code: str) -> None:
    """Explain the code of an error or a warning: what it means, an example, and what to do.

    \b
    reportgen explain D104
    """
    from reportgen.explain import explain as explained

    click.echo(explained(code))


def _check_demo(run: str) -> None:
    """Raise RunError when `run` is a recording that `demo` did not make, as far as its run.json says."""
    from reportgen.store.elsewhere import run_file

    if (content := run_file(run)) is None:
        return
    try:
        config = json.loads(content)["config"]
        made = (config["model"], config["dataset"])
    except (ValueError, KeyError, TypeError, RecursionError):
        made = None
    if made != ("lenet", "mnist5k"):
        what = "is damaged" if made is None else f"is of {made[0]} on {made[1]}"
        raise RunError(f"{run} holds a run that {what}, no earlier demo; give another folder with -o", code="R102")


def _again(
    report: Path, given: set[str], dataset: str, data_dir: str | None, model: str, options: dict[str, Any]
) -> tuple[Any, str, dict[str, Any]]:
    """(dataset, model, options) as a report.json has them, but for what was `given` on the command line."""
    from reportgen.data import load_dataset
    from reportgen.training import read_report

    asked = read_report(report)
    data = load_dataset(dataset if "dataset" in given else asked.config.dataset, data_dir)
    asked.check(data)
    for version in asked.versions():
        click.echo(f"The report was made with {version}: the last digits may differ.", err=True)
    chosen = {name: value for name, value in asked.options.items() if name not in given}
    return data, model if "model" in given else asked.config.model, {**options, **chosen}


def _train(path: str | Path, dataset: Any, model: str, *, progress: bool, **options: Any) -> Any:
    from reportgen.models import build as build_model
    from reportgen.process import start_jax
    from reportgen.training import train

    start_jax()
    # NNX modules hold their values: they are made for the images' shape, from the seed.
    network = build_model(model, len(dataset.classes), dataset.train_images.shape[1:], options.get("seed", 0))
    return train(path, dataset, network, model_name=model, progress=progress, **options)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - started
