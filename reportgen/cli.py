"""The command line: `reportgen demo | train | build | inspect`.

Each command turns its options into one call of a plain function; whatever costs time to import is
imported inside it, so that `--help` answers at once.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from reportgen.errors import OptionError, ReportgenError, RunError


def main() -> None:
    """Entry point: runs a command; what the user can mend is one sentence on stderr and exit code 2."""
    try:
        cli(standalone_mode=False)
    except ReportgenError as error:
        click.echo(f"reportgen: {error}", err=True)
        sys.exit(2)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("reportgen: interrupted; what was recorded until now can be built into a report", err=True)
        sys.exit(130)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="reportgen")
def cli() -> None:
    """Show what a JAX/Flax network learned, in one self-contained HTML report.

    \b
    reportgen demo                              train on 5,000 digits, write demo/report.html
    reportgen train -o runs/a --epochs 5        record a training
    reportgen build runs/a -o a.html            turn it into a report
    reportgen inspect --run runs/a -o in.html   look inside a network, without training
    """


@cli.command()
@click.option("-o", "--output", default="demo", show_default=True, metavar="DIR", help="Where to write.")
def demo(output: str) -> None:
    """Train LeNet on 5,000 handwritten digits and write DIR/report.html.

    An earlier demo in DIR is replaced; another run in DIR/run is not.
    """
    folder = Path(output)
    _check_demo(folder / "run")
    seconds: dict[str, float] = {}
    with _timed(seconds, "load"):
        from reportgen import build, load
        from reportgen.process import share_python

        dataset = load("mnist5k")
    with _timed(seconds, "train"):
        summary = _train(folder / "run", dataset, "lenet", epochs=10, overwrite=True)
    with _timed(seconds, "report"):
        share_python()
        path = build(folder / "run", progress=True).save(folder / "report.html")
    click.echo(f"\nreport          {path} ({path.stat().st_size / 1e6:.1f} MB)")
    click.echo(f"test accuracy   {summary.test_accuracy:.4f}")
    click.echo("seconds         " + ", ".join(f"{stage} {s:.1f}" for stage, s in seconds.items()))


@cli.command()
@click.option("-o", "--output", required=True, metavar="RUN", help="Run directory to write.")
@click.option(
    "--dataset",
    default="mnist5k",
    show_default=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="mnist5k, mnist, digits, an .npz with `images` and `labels`, or a folder with one folder per class.",
)
@click.option("--data-dir", metavar="DIR", help="Where the IDX files of `mnist` lie.")
@click.option(
    "--model",
    default="lenet",
    show_default=True,
    metavar="NAME|MODULE:FACTORY",
    help="lenet, lenet_nnx, mnist_cnn, squeezenet, or your own.",
)
@click.option("--epochs", default=10, show_default=True, help="0 records the untrained network.")
@click.option("--batch-size", default=100, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True, help="Of Adam.")
@click.option("--seed", default=0, show_default=True, help="Of initial values, order of the data, dropout.")
@click.option(
    "--snapshot-every",
    metavar="batch|epoch|N",
    help="How often parameters are kept. Default: every batch up to 1 million parameters, fewer above.",
)
@click.option("--embed-layer", metavar="LAYER", help="Layer to embed. Default: the last hidden vector.")
@click.option("--embed-size", default=2000, show_default=True, help="Images in the embedding.")
@click.option("--resume", is_flag=True, help="Go on with the run in RUN after its last whole epoch.")
@click.option("--overwrite", is_flag=True, help="Replace the run in RUN.")
@click.option("--from-report", metavar="FILE", help="Train again as the report.json of a report says.")
@click.pass_context
def train(
    context: click.Context,
    output: str,
    dataset: str,
    data_dir: str | None,
    model: str,
    from_report: str | None,
    **options: Any,
) -> None:
    """Train a network and record it into RUN.

    \b
    reportgen train -o runs/a
    reportgen train -o runs/b --dataset mnist --data-dir mnist/ --model mnist_cnn --epochs 2
    reportgen train -o runs/c --dataset my.npz --model mynets:small --snapshot-every epoch
    reportgen train -o runs/again --from-report numbers/report.json

    With --from-report the model, the data and all options are the report's, except those that are given; data that came
    from a file of your own is to be given again with --dataset or --data-dir, and must be the same.
    """
    every = options.pop("snapshot_every")
    if every is not None and every.isdigit():
        every = int(every)
    if options["resume"] and options["overwrite"]:
        raise OptionError("--resume goes on with a run and --overwrite replaces it: give one of them")
    from reportgen.data import load

    options["snapshot_every"] = every
    if from_report is None:
        data = load(dataset, data_dir)
    else:
        given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
        data, model, options = _again(Path(from_report), given, dataset, data_dir, model, options)
    summary = _train(Path(output), data, model, **options)
    # None where the output is no score per class.
    accuracy = "" if summary.test_accuracy is None else f"test accuracy {summary.test_accuracy:.4f}, "
    click.echo(f"{output}: {summary.steps} steps in {summary.epochs} epochs, {accuracy}{summary.seconds:.1f} s")


@cli.command()
@click.argument("run")
@click.option("-o", "--output", metavar="FILE|DIR", help="Default: report.html; the folder report for dir and md.")
@click.option(
    "--format",
    "form",
    default="html",
    show_default=True,
    type=click.Choice(["html", "dir", "md"]),
    help="One file; the page with its pictures, styles and scripts beside it; or Markdown for a pull request.",
)
@click.option(
    "--max-size",
    default="10MB",
    show_default=True,
    metavar="SIZE|none",
    help="Of the page as one file; it names what is left out for it.",
)
@click.option("--from", "from_step", default="init", show_default=True, metavar="STEP|init")
@click.option("--to", "to_step", default="final", show_default=True, metavar="STEP|final")
@click.option("--layers", multiple=True, metavar="GLOB", help="Layers to show, by path. Default: all.")
@click.option(
    "--embedding",
    default="umap",
    show_default=True,
    type=click.Choice(["umap", "pca"]),
    help="How the hidden layer is drawn in two dimensions; pca is linear and quick.",
)
@click.option("--title", metavar="TEXT")
@click.option("--numbers", metavar="DIR", help="Also write what the figures show, as CSV and JSON.")
@click.option("--figures", metavar="DIR", help="Also write every figure for a paper, captions, LaTeX, and the GIF.")
@click.option("--figure-format", default="svg", show_default=True, type=click.Choice(["svg", "pdf", "png"]))
def build(
    run: str,
    output: str | None,
    form: str,
    max_size: str,
    numbers: str | None,
    figures: str | None,
    figure_format: Any,
    **options: Any,
) -> None:
    """Turn the run directory RUN into a report.

    \b
    reportgen build runs/a -o a.html
    reportgen build runs/a -o late.html --from 200 --to final --layers 'conv*'
    reportgen build runs/a -o a.html --numbers a-numbers --figures a-figures --figure-format pdf
    reportgen build runs/a -o pull-request --format md
    """
    from reportgen import api
    from reportgen.process import share_python

    share_python()
    built = api.build(run, progress=True, max_size=_bytes(max_size), **options)
    path = built.save(output or ("report.html" if form == "html" else "report"), form)
    click.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    if left_out := built.report.extra.get("left_out"):
        click.echo(left_out)
    if numbers:
        click.echo(f"{len(built.write_numbers(numbers))} files of numbers in {numbers}")
    if figures:
        click.echo(f"{len(built.write_figures(figures, figure_format))} files of figures in {figures}")


def _bytes(text: str) -> int | None:
    """A size such as 10MB, 500KB or 1234567 in bytes (MB is a million); None for "none"."""
    if text.lower() == "none":
        return None
    number, factor = text.upper().removesuffix("B"), 1
    if number[-1:] in ("K", "M", "G"):
        number, factor = number[:-1], {"K": 10**3, "M": 10**6, "G": 10**9}[number[-1]]
    try:
        size = int(float(number) * factor)
    except (ValueError, OverflowError) as error:
        raise OptionError(f"--max-size takes a size such as 10MB or 500KB, or none; not {text!r}") from error
    if size <= 0:
        raise OptionError(f"--max-size must be more than 0; it is {text!r}")
    return size


class _ManyImages(click.Command):
    """A command whose --images takes all values up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        taking = False
        for argument in args:
            if argument.startswith("-") and argument != "-":
                taking = argument == "--images" or argument.startswith("--images=")
                if argument != "--images":
                    spread.append(argument)
            else:
                spread.extend(["--images", argument] if taking else [argument])
        return super().parse_args(ctx, spread)


@cli.command(cls=_ManyImages)
@click.option("-o", "--output", default="inspect.html", show_default=True, metavar="FILE")
@click.option("--images", multiple=True, metavar="FILE...", help="Pictures to look at. Default: a run's probe images.")
@click.option("--model", metavar="NAME|MODULE:FACTORY", help="lenet, mnist_cnn, squeezenet, or your own.")
@click.option("--weights", metavar="FILE|FOLDER", help=".safetensors, .npz, .msgpack, or an Orbax folder.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Names in the weights -> names in the model.")
@click.option("--layout", default="hwio", type=click.Choice(["hwio", "oihw"]), help="Of the weights' kernels.")
@click.option("--run", metavar="RUN", help="A recorded run instead of a model with weights.")
@click.option("--step", type=int, metavar="N", help="Its parameters after N updates, or a step of an Orbax folder.")
@click.option("--layers", multiple=True, metavar="GLOB,...", help="Layers to show, by path. Default: all.")
@click.option("--channels", metavar="N,...", help="Channels to show enlarged, counted from 0.")
@click.option(
    "--preprocess",
    type=click.Choice(["caffe", "imagenet", "unit", "none"]),
    help="What is done to the pixels. Default: what the built-in model was trained on, else unit (0 to 1).",
)
@click.option("--size", metavar="N|HxW", help="Resize the pictures to height x width.")
@click.option(
    "--normalize",
    type=click.Choice(["layer", "channel", "images", "range"]),
    help="Range of a grid: the whole layer's [default], each channel's, the layer's over all images, or --range.",
)
@click.option("--range", "value_range", metavar="A,B", help="A is black, B is white; values outside are clipped.")
@click.option("--dataset", metavar="NAME|FILE.npz|FOLDER", help="Labelled images: what excites each channel most.")
@click.option("--data-dir", metavar="DIR", help="Where the files of a named dataset lie.")
@click.option("--verify", is_flag=True, help="Compute every captured value again, and compare.")
@click.option("--title", metavar="TEXT")
@click.option("--numbers", metavar="DIR", help="Also write the numbers of all channels, as CSV and JSON.")
@click.option("--figures", metavar="DIR", help="Also write every figure for a paper.")
@click.option("--figure-format", default="svg", show_default=True, type=click.Choice(["svg", "pdf", "png"]))
def inspect(
    output: str,
    layers: tuple[str, ...],
    channels: str | None,
    size: str | None,
    value_range: str | None,
    dataset: str | None,
    data_dir: str | None,
    numbers: str | None,
    figures: str | None,
    figure_format: Any,
    **options: Any,
) -> None:
    """Show what each layer and channel of a network answers to chosen images.

    \b
    reportgen inspect --model squeezenet --weights squeezenet1_1_notop.safetensors \\
        --images face.png face-one-eye.png --layers 'conv1,fire6/squeeze1x1*' --channels 13,46 -o face.html
    reportgen inspect --run runs/a --images seven.png --layers 'conv*' --range 0,1
    reportgen inspect --run runs/a --step 40 --dataset mnist5k
    reportgen inspect --model nets:make --weights w.safetensors --layout oihw --rename features/0=conv1 --images a.png
    """
    if data_dir is not None and dataset is None:
        raise OptionError("--data-dir says where a dataset's files lie: give --dataset too")
    parsed = {
        "layers": [pattern for group in layers for pattern in group.split(",") if pattern],
        "channels": [_number(text, "--channels", int) for text in channels.split(",")] if channels else [],
        "value_range": _numbers(value_range, "--range", ",", float),
        "size": _numbers(f"{size}x{size}" if size and "x" not in size else size, "--size", "x", int),
    }
    from reportgen import api
    from reportgen.data import load

    data = None if dataset is None else load(dataset, data_dir)
    built = api.inspect(**options, **parsed, dataset=data, progress=True)
    path = built.save(output)
    click.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    if numbers:
        click.echo(f"{len(built.write_numbers(numbers))} files of numbers in {numbers}")
    if figures:
        click.echo(f"{len(built.write_figures(figures, figure_format))} figures in {figures}")


def _number(text: str, option: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise OptionError(f"{option} takes {what}, not {text!r}") from error


def _numbers(text: str | None, option: str, between: str, kind: type) -> Any:
    """The two numbers of an option's value, None where it was not given."""
    if text is None:
        return None
    numbers = tuple(_number(part, option, kind) for part in text.split(between))
    if len(numbers) != 2 or (kind is int and min(numbers) < 1):
        raise OptionError(f"{option} takes two numbers joined by {between!r}, not {text!r}")
    return numbers


def _check_demo(run: Path) -> None:
    """Raise RunError when `run` is a recording that `demo` did not make, as far as its run.json says."""
    file = run / "run.json"
    if not file.exists():
        return
    try:
        config = json.loads(file.read_text(encoding="utf-8"))["config"]
        made = (config["model"], config["dataset"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        made = None
    if made != ("lenet", "mnist5k"):
        what = "is damaged" if made is None else f"is of {made[0]} on {made[1]}"
        raise RunError(f"{run} holds a run that {what}, no earlier demo; give another folder with -o")


def _again(
    report: Path, given: set[str], dataset: str, data_dir: str | None, model: str, options: dict[str, Any]
) -> tuple[Any, str, dict[str, Any]]:
    """(dataset, model, options) as a report.json has them, but for what was `given` on the command line."""
    from reportgen.process import tune

    tune()  # the next import brings jax in
    from reportgen.data import load
    from reportgen.training import read_report

    asked = read_report(report)
    data = load(dataset if "dataset" in given else asked.config.dataset, data_dir)
    asked.check(data)
    for version in asked.versions():
        click.echo(f"The report was made with {version}: the last digits may differ.", err=True)
    chosen = {name: value for name, value in asked.options.items() if name not in given}
    return data, model if "model" in given else asked.config.model, {**options, **chosen}


def _train(path: Path, dataset: Any, model: str, **options: Any) -> Any:
    from reportgen.process import tune

    tune()
    from reportgen.models import build as build_model
    from reportgen.training import train

    # NNX modules hold their values: they are made for the images' shape, from the seed.
    network = build_model(model, len(dataset.classes), dataset.train_images.shape[1:], options.get("seed", 0))
    return train(path, dataset, network, model_name=model, progress=True, **options)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - started
