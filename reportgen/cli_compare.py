"""`reportgen compare`: run against run, or several seeds against several."""

import sys
from typing import Any

import click

from reportgen.cli_options import Output, written_options
from reportgen.errors import OptionError


class Several(click.Command):
    """A command whose repeatable options also take several values at once: `--base a b` is `--base a --base b`.

    The values end at the next option, or at "--".
    """

    _TAKES_SEVERAL = ("--base", "--new")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        current = None
        for argument in args:
            if argument.startswith("-") and argument != "-":
                current = argument if argument in self._TAKES_SEVERAL else None
                if current is None:
                    spread.append(argument)
            else:
                spread += [argument] if current is None else [current, argument]
        return super().parse_args(ctx, spread)


@click.command(cls=Several)
@click.argument("runs", nargs=-1, metavar="[BASE NEW]")
@click.option("--base", multiple=True, metavar="RUN...", help="Runs of the earlier configuration, one per seed.")
@click.option("--new", multiple=True, metavar="RUN...", help="Runs of the later configuration, one per seed.")
@click.option(
    "--fail-if",
    multiple=True,
    metavar="CONDITION",
    help="Exit with 1 where it holds, such as 'val_accuracy < base - 0.01' or 'dead_channels > base'.",
)
@click.option(
    "--embedding",
    type=click.Choice(["umap", "pca"]),
    help="How to draw the hidden layers in two dimensions. Default: umap, or pca (linear) where numba is missing.",
)
@written_options("compare")
def compare(
    runs: tuple[str, ...],
    base: tuple[str, ...],
    new: tuple[str, ...],
    fail_if: tuple[str, ...],
    output: Output,
    **options: Any,
) -> None:
    """Compare run NEW with run BASE, or several seeds of each, as a page or for a pull request.

    \b
    reportgen compare runs/base runs/new -o compare.html
    reportgen compare runs/base runs/new -o pr --format md
    reportgen compare --base runs/a1 runs/a2 runs/a3 --new runs/b1 runs/b2 runs/b3
    reportgen compare runs/base runs/new --fail-if 'val_accuracy < base - 0.01'

    Exits with 0 if nothing crossed a threshold, 1 if one did, 2 for wrong input.
    """
    if runs and (base or new):
        raise OptionError("give BASE and NEW, or --base and --new with a run per seed, not both", code="O103")
    if runs:
        if len(runs) != 2:
            raise OptionError(
                f"two runs are compared, BASE and NEW; got {len(runs)}. Several seeds: --base ... --new ...",
                code="O103",
            )
        base, new = runs[:1], runs[1:]
    from reportgen.analysis.thresholds import parse
    from reportgen.comparing import compare as compared

    for condition in fail_if:
        parse(condition)
    report = compared(base, new, progress=not output.quiet, **options)
    crossed = report.crossed(fail_if)
    output.write(report)
    for condition in crossed:
        click.echo(f"crossed: {condition}", err=True)
    if crossed:
        sys.exit(1)
