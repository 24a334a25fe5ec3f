"""The options that commands share: what the page shows, what is written, and how a checkpoint is read."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from reportgen.cli_streams import is_standard_output
from reportgen.core.paths import url_of
from reportgen.errors import OptionError

if TYPE_CHECKING:
    from reportgen.reported import Report

Command = Callable[..., None]


@dataclass(frozen=True)
class Output:
    """Where a report goes, in which form, and what goes beside it. The path "-" is standard output."""

    path: str
    form: Any
    numbers: str | None
    figures: str | None
    figure_format: Any
    quiet: bool
    at_most: int | None = None
    """Bytes that the page as one file must not exceed; None where nobody asked for a size."""

    def __post_init__(self) -> None:
        if self.path == "-" and self.form in ("dir", "md"):
            raise OptionError(
                f"-o - writes one HTML file; --format {self.form} has several: give a folder with -o", code="O103"
            )

    @property
    def is_site(self) -> bool:
        """Whether the path says that it is a folder, and no form that is one was asked for."""
        return self.path.endswith(("/", os.sep)) and self.form in (None, "html")

    def check_site(self) -> None:
        """Raise OptionError where what was asked for is of one page, and a site has many."""
        if click.get_current_context().get_parameter_source("output") is not ParameterSource.COMMANDLINE:
            raise OptionError("several runs make a site: give its folder, such as -o site/", code="O103")
        if is_standard_output(self.path) or self.form in ("dir", "md") or self.numbers or self.figures:
            raise OptionError(
                "several runs make a site, which is a folder of HTML files: give one with -o, and leave out --format, "
                "--numbers and --figures, which are of one run",
                code="O103",
            )

    def write(self, report: "Report") -> None:
        """Write all that was asked for, then say what was written and what the page leaves out."""
        self._check_size(report)
        to_output = is_standard_output(self.path) and self.form in (None, "html")
        said = [self._print_page(report) if to_output else self._save(report)]
        if report.omitted:
            said.append(report.omitted)
        if self.numbers:
            said.append(f"{len(report.write_numbers(self.numbers))} files of numbers in {self.numbers}")
        if self.figures:
            written = report.write_figures(self.figures, self.figure_format)
            said.append(f"{len(written)} files of figures in {self.figures}")
        for line in () if self.quiet else said:
            click.echo(line, err=to_output)

    def _check_size(self, report: "Report") -> None:
        if self.at_most is None or not report.omitted or self.form in ("dir", "md"):
            return
        from reportgen.page.html import html
        from reportgen.sections.words import NBSP, megabytes

        size = len(html(report.document).encode())
        if size > self.at_most:
            least = megabytes(size * 1.02).replace(NBSP, "")
            raise OptionError(
                f"the page can't be made as small as --max-size asks for: with everything left out that can be it has "
                f"{size:,} bytes; give --max-size {least} or more, fewer --layers, or --format dir",
                code="P106",
            )

    def _save(self, report: "Report") -> str:
        path = report.save(self.path, self.form)
        from reportgen.sections.words import megabytes

        name = url_of(self.path) or path
        return f"{name} ({megabytes(path.stat().st_size)})" if path.is_file() else f"{name}"

    def _print_page(self, report: "Report") -> str:
        from reportgen.page.html import html
        from reportgen.sections.words import megabytes

        page = html(report.document).encode()
        sys.stdout.flush()
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
        return f"standard output ({megabytes(len(page))})"


def quiet_option(command: Command) -> Command:
    """Add --quiet."""
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing but warnings and errors.")(command)


def written_options(name: str) -> Callable[[Command], Command]:
    """Add the options on what is written to a command, which gets `output: Output` and `title`.

    `name` is the page's default name, without its suffix.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def parsed(
            *,
            output: str | None,
            form: str | None,
            numbers: str | None,
            figures: str | None,
            figure_format: str,
            quiet: bool,
            **others: Any,
        ) -> None:
            default = f"{name}.html" if form in (None, "html") else name
            command(output=Output(output or default, form, numbers, figures, figure_format, quiet), **others)

        return _with(parsed, _written(name))

    return decorate


def page_options(name: str) -> Callable[[Command], Command]:
    """Add the shared options to a command, which gets `output: Output` and `view`, arguments for `api`.

    `name` is the page's default name, without its suffix.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def parsed(
            *,
            output: Output,
            max_size: str,
            layers: tuple[str, ...],
            channels: str | None,
            normalize: str | None,
            value_range: str | None,
            title: str | None,
            **others: Any,
        ) -> None:
            view = {
                "layers": layers,
                "channels": [number(text, "--channels", int) for text in channels.split(",")] if channels else [],
                "normalize": _normalize(normalize, value_range),
                "title": title,
                "max_size": _bytes(max_size),
            }
            asked = click.get_current_context().get_parameter_source("max_size") is ParameterSource.COMMANDLINE
            command(output=replace(output, at_most=_bytes(max_size) if asked else None), view=view, **others)

        return written_options(name)(_with(parsed, _VIEW))

    return decorate


Option = Callable[[Command], Command]


def _with(command: Command, options: Sequence[Option]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


_VIEW: Sequence[Option] = (
    click.option(
        "--max-size",
        default="10MB",
        show_default=True,
        metavar="SIZE|none",
        help="Largest size of the page as one file; the page names what is left out for it.",
    ),
    click.option("--layers", multiple=True, metavar="GLOB,...", help="Layers to show, by path. Default: all."),
    click.option("--channels", metavar="N,...", help="Channels to enlarge, counted from 0."),
    click.option(
        "--normalize",
        type=click.Choice(["layer", "channel", "images", "range"]),
        help="What shares one scale: a layer for an image [default], a channel, a layer, or all (--range).",
    ),
    click.option(
        "--range", "value_range", metavar="A,B", help="Show A as black and B as white, clipping values outside."
    ),
)


def _written(name: str) -> Sequence[Option]:
    return (
        click.option(
            "-o", "--output", metavar="FILE|DIR|-", help=f"Default: {name}.html, or the directory {name}. -: print it."
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["html", "dir", "md"]),
            help="One file [default]; the page with its pictures, styles and scripts beside it; or Markdown.",
        ),
        click.option("--title", metavar="TEXT", help="Title of the page."),
        click.option(
            "--numbers",
            metavar="DIR",
            help="Also write what the figures show, as CSV and JSON; replaces an earlier build's files in DIR.",
        ),
        click.option(
            "--figures", metavar="DIR", help="Also write every figure for a paper, with captions and LaTeX; likewise."
        ),
        click.option(
            "--figure-format",
            default="svg",
            show_default=True,
            type=click.Choice(["svg", "pdf", "png"]),
            help="File format of the figures for a paper.",
        ),
        quiet_option,
    )


def weights_options(command: Command) -> Command:
    """Add the options on how a checkpoint is read; the command gets `reading`, those that were given."""

    @wraps(command)
    def parsed(
        *, rename: tuple[str, ...], layout: str | None, key: str | None, framework: str | None, **others: Any
    ) -> None:
        given = {"rename": rename, "layout": layout, "key": key, "framework": framework}
        command(reading={name: value for name, value in given.items() if value}, **others)

    decorated: Command = parsed
    for option in (
        click.option(
            "--from",
            "framework",
            type=click.Choice(["torch"]),
            help="Match PyTorch's names and layouts to the model's.",
        ),
        click.option("--key", metavar="NAME", help="Branch of the checkpoint to read where several fit: ema_params."),
        click.option("--layout", type=click.Choice(["hwio", "oihw"]), help="Kernel layout of the checkpoint."),
        click.option("--rename", multiple=True, metavar="OLD=NEW", help="Rename entries of the checkpoint."),
    ):
        decorated = option(decorated)
    return decorated


def print_matched(names: Mapping[str, str]) -> None:
    """Print how another framework's names became the model's."""
    width = max(map(len, names), default=0)
    for theirs, ours in names.items():
        click.echo(f"{theirs:<{width}}  {ours}")


def _normalize(kind: str | None, value_range: str | None) -> str | tuple[float, float] | None:
    fixed = numbers(value_range, "--range", ",", float)
    if fixed is not None and kind not in (None, "range"):
        raise OptionError(
            f"a fixed range and the normalisation {kind} exclude each other; give one of them", code="O103"
        )
    return fixed or kind


def _bytes(text: str) -> int | None:
    """A size such as 10MB, 500KB or 1234567 in bytes (MB is a million); None for "none"."""
    if text.lower() == "none":
        return None
    size, factor = text.upper().removesuffix("B"), 1
    if size[-1:] in ("K", "M", "G"):
        size, factor = size[:-1], {"K": 10**3, "M": 10**6, "G": 10**9}[size[-1]]
    try:
        count = int(float(size) * factor)
    except (ValueError, OverflowError) as error:
        raise OptionError(
            f"--max-size takes a size such as 10MB or 500KB, or none; not {text!r}", code="O106"
        ) from error
    if count <= 0:
        raise OptionError(f"--max-size must be more than 0; it is {text!r}", code="O106")
    return count


def number(text: str, option: str, kind: type) -> Any:
    """A number of an option's value. Raises OptionError, naming the option, for anything else."""
    try:
        return kind(text)
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise OptionError(f"{option} takes {what}, not {text!r}", code="O106") from error


def numbers(text: str | None, option: str, between: str, kind: type) -> Any:
    """The two numbers of an option's value, None where it was not given."""
    if text is None:
        return None
    pair = tuple(number(part, option, kind) for part in text.split(between))
    if len(pair) != 2 or (kind is int and min(pair) < 1):
        raise OptionError(f"{option} takes two numbers joined by {between!r}, not {text!r}", code="O106")
    return pair
