"""What the command line does, as plain functions.

built = build("runs/mine", embedding="pca")
built.save("report.html")
built.write_numbers("numbers")
built.write_figures("figures", "pdf")
"""

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from markupsafe import escape
from tqdm import tqdm

from reportgen.analysis.embedding import Embedding
from reportgen.core.files import write
from reportgen.core.report import FigureFormat, Report, Section
from reportgen.core.run import Run
from reportgen.errors import OptionError, ReportgenError, naming_the_extra
from reportgen.page.html import html
from reportgen.page.loader import clean
from reportgen.page.paper import paper
from reportgen.page.save import save
from reportgen.sections import EMBEDDED, LADDER, LIMITED, SECTIONS, Context, Options, health, installed, left_out
from reportgen.sections.custom import custom
from reportgen.sections.overview import headline, key_figures
from reportgen.sections.words import NBSP, megabytes
from reportgen.store import DamagedError, open_run, with_what_is_whole

PROBLEMS = 12
"""Unreadable parts of a run that are named one by one on top of the page."""


@dataclass(frozen=True)
class BuiltReport:
    """A report, ready to be saved in any of its forms. In a notebook it shows itself.

    `report` is what the page as one file shows; `whole` the same with nothing left out for the page's size, of which
    the other forms are made. None where nothing was left out.
    """

    report: Report
    whole: Report | None = None

    def save(self, path: str | Path, format: str = "html") -> Path:
        """Write the report and return the file to open: one HTML file, or a folder for "dir" and "md".

        Folders are made; an existing file is replaced only by a complete one.
        """
        return save(self.report if format == "html" else self._whole, path, format)

    def add_section(self, title: str, *content: Any, finding: str = "") -> "BuiltReport":
        """The same report with one more section at its end.

        Each part of the content is a text (a paragraph), a matplotlib figure, a DataFrame, a list of rows (the first
        one names the columns), or a block of `reportgen`: Text, Table, Figure and the like. Raises OptionError for
        anything else.
        """
        taken = {section.anchor for section in self.report.sections}
        section = custom(title, content, finding, taken)
        return BuiltReport(*(replace(form, sections=(*form.sections, section)) for form in (self.report, self._whole)))

    def write_numbers(self, folder: str | Path) -> list[Path]:
        """What the figures show as CSV files (UTF-8, full precision, no data empty), and report.json."""
        folder = Path(folder)
        written = []
        for section in self._whole.sections:
            for numbers in section.numbers:
                lines = _Lines()
                rows = csv.writer(lines, lineterminator="\n")
                rows.writerow(numbers.columns)
                rows.writerows(numbers.rows())
                written.append(write(folder / numbers.filename, "".join(lines)))
        provenance = json.dumps(self.report.provenance, indent=1, sort_keys=True, ensure_ascii=False)
        return [*written, write(folder / "report.json", provenance + "\n")]

    def write_figures(self, folder: str | Path, format: FigureFormat = "svg") -> list[Path]:
        """Every figure as a file for a paper, named as on the page, at its printed width (3.5 or 7 inches at most).

        Beside each stands its caption as .txt, beside them the animation's GIF, and `figures.tex` includes them all.
        """
        return paper(self._whole, Path(folder), format)

    @property
    def _whole(self) -> Report:
        return self.whole or self.report

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its styles and scripts touch nothing of the notebook's, nor these it."""
        page = html(self.report).replace("&", "&amp;").replace('"', "&quot;")
        title = escape(clean(self.report.title))
        # Without allow-same-origin the frame has no access to the notebook's storage, cookies or server.
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" width="100%" height="720" '
            f'title="{title}" loading="lazy"></iframe>'
        )


def build(
    run: str | Path | Run,
    *,
    from_step: int | str = "init",
    to_step: int | str = "final",
    layers: str | Sequence[str] = (),
    embedding: Literal["umap", "pca"] | None = None,
    title: str | None = None,
    max_size: int | None = 10_000_000,
    progress: bool = False,
) -> BuiltReport:
    """Analyse a recorded run and lay it out as a report. Needs no jax and no model code.

    `from_step` and `to_step` are kept steps, or "init" and "final"; `layers` glob patterns on layer
    paths. `embedding` None is "umap", or "pca" with a note on the page where numba is not installed.
    `max_size` is the most bytes that the page as one file may have: what has to be left out for it (fewer
    probe images, then fewer channels, then fewer colours) is named on the page. None is no limit.
    Raises RunError for what is no run, OptionError for a step or layer that it does not have, MissingError for
    "umap" without numba.
    """
    chosen = tuple([layers] if isinstance(layers, str) else layers) or ("*",)

    def make_of(whole: Run) -> BuiltReport:
        return _built(whole, from_step, to_step, chosen, embedding, title, max_size, progress)

    return with_what_is_whole(run if isinstance(run, Run) else open_run(run), make_of)


def _built(
    run: Run,
    from_step: int | str,
    to_step: int | str,
    chosen: tuple[str, ...],
    embedding: Literal["umap", "pca"] | None,
    title: str | None,
    max_size: int | None,
    progress: bool,
) -> BuiltReport:
    """The report of a run whose files are taken for whole; DamagedError when one is not."""
    if os.environ.get("SOURCE_DATE_EPOCH"):
        # The duration is the one thing that a clock made; who sets this wants nothing of a clock.
        run = replace(run, provenance={name: v for name, v in run.provenance.items() if name != "seconds"})
    kept = list(run.snapshots)
    makers = (*SECTIONS, *installed())
    with tqdm(total=len(makers), desc="report", unit="section", disable=not progress) as bar:

        def note(what: str, done: int, of: int) -> None:
            bar.set_postfix_str(f"{what} {done}/{of}")

        options = Options(
            from_step=_step(from_step, kept),
            to_step=_step(to_step, kept),
            layers=chosen,
            embedding=embedding or ("umap" if find_spec("numba") else "pca"),
            title=title,
            progress=note if progress else None,
        )
        context = Context(run, options)
        drawn: dict[Callable[[Context], Section | None], Section | None] = {}
        failed: list[str] = []
        with context.embedding_begun():
            for make in sorted(makers, key=lambda make: make in EMBEDDED):
                drawn[make] = _section(make, context, failed)
                bar.update()
        bar.set_postfix_str("")
        drawn = {make: drawn[make] for make in makers}  # in reading order
        report = Report(
            title=title or _title(run),
            headline=headline(context),
            key_figures=key_figures(context),
            sections=tuple(section for section in drawn.values() if section is not None),
            provenance={"config": dict(run.config), **run.provenance, "status": run.status},
            warnings=(*_warnings(context), *(() if embedding else _without_umap(context)), *failed),
        )
        return BuiltReport(report if max_size is None else _fitted(report, context, drawn, max_size), report)


def _section(make: Callable[[Context], Section | None], context: Context, failed: list[str]) -> Section | None:
    """The section; None, with a sentence in `failed`, where what the run holds does not allow it."""
    try:
        return make(context)
    except DamagedError:
        raise  # everything is made anew, without the damaged file
    except ReportgenError as error:
        name = f"{make.__module__.rpartition('.')[2]}.{make.__name__}"
        failed.append(f"A section ({name}) is left out: {str(error).rstrip('.')}.")
        return None


def _fitted(
    report: Report, context: Context, drawn: dict[Callable[[Context], Section | None], Section | None], max_size: int
) -> Report:
    """The report itself where its page has at most `max_size` bytes, else as the first rung that fits has it."""
    whole = size = len(html(report).encode())
    for before, limits in pairwise(LADDER):
        if size <= max_size:
            break
        context = context.limited(limits)
        for make, heeded in LIMITED.items():
            if any(getattr(limits, name) != getattr(before, name) for name in heeded):
                drawn[make] = _section(make, context, [])
        said = "; ".join(left_out(limits, len(context.run.batch("probe").images), _widest(context)))
        note = (
            f"To stay below {megabytes(max_size)}, this page leaves out: {said}. "
            f"All of it: reportgen build RUN --max-size {megabytes(whole * 1.05).replace(NBSP, '')}."
        )
        sections = tuple(section for section in drawn.values() if section is not None)
        report = replace(report, sections=sections, extra={"left_out": note} if said else {})
        size = len(html(report).encode())
    if size > max_size:
        note = f" It still has {megabytes(size)}: nothing more can be left out."
        report = replace(report, extra={"left_out": report.extra.get("left_out", "") + note})
    return report


def _widest(context: Context) -> int:
    return max((layer.channels for layer in context.layers if layer.has_maps), default=0)


def inspect(
    model: Any = None,
    images: str | Path | Sequence[Any] = (),
    *,
    weights: str | Path | None = None,
    variables: Any = None,
    run: str | Path | None = None,
    step: int | None = None,
    layers: str | Sequence[str] = (),
    channels: Sequence[int] = (),
    preprocess: str | Callable[[Any], Any] | None = None,
    normalize: str | None = None,
    value_range: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    dataset: Any = None,
    rename: Sequence[str] = (),
    layout: str = "hwio",
    apply: Callable[[Any, Any, Any], Any] | None = None,
    verify: bool = False,
    title: str | None = None,
    progress: bool = False,
) -> BuiltReport:
    """Show what each layer and channel of a network answers to chosen images. No training.

    `model` is a name, MODULE:FACTORY, or a Linen or NNX module; its parameters come from `weights` (a
    checkpoint file or folder, with `rename` rules OLD=NEW and `layout` "oihw" for kernels of other
    frameworks), from `variables`, or from the recorded `run` after `step` updates. `images` are paths, or
    arrays [height, width] or [height, width, 1 or 3], uint8 or from 0 to 1; without any, a run's probe
    images are taken. `layers` are glob patterns, `channels` the numbers to show enlarged (from 0).

    `preprocess` is "caffe", "imagenet", "unit", "none", or a function of pixels [image, h, w, channel],
    0 to 255; by default what the built-in model was trained on, else "unit". `normalize` is "layer",
    "channel" or "images"; `value_range` (A, B) makes A black and B white. `size` (height, width) resizes
    the images. `dataset` (a Dataset, or a name or path for `load`) adds what excites each channel most.
    `verify` computes every captured value again and compares.

    Raises ReportgenError's kinds, each saying what to change.
    """
    from reportgen.data import Dataset, load
    from reportgen.data.pictures import as_pictures
    from reportgen.sections.inspection import INSPECTION_SECTIONS, View, normalization
    from reportgen.sections.inspection import head as page_head

    with naming_the_extra():
        from reportgen.inspection import from_model, from_run, inspect_network
        from reportgen.record.provenance import provenance

    how = normalization(normalize, value_range)
    given: Sequence[Any] = [images] if isinstance(images, str | Path) else images
    pictures = as_pictures(given) if len(given) else None
    data = dataset if dataset is None or isinstance(dataset, Dataset) else load(dataset)
    classes = None if data is None else len(data.classes)
    if run is not None:
        if weights is not None or variables is not None:
            raise OptionError("a run has its own parameters: give either a run, or weights for a model")
        network = from_run(run, step=step, model=model)
    elif model is None:
        raise OptionError("nothing to look into: give a model (with its weights) or a run")
    else:
        network = from_model(
            model,
            weights=weights,
            variables=variables,
            rename=rename,
            layout=layout,
            step=step,
            num_classes=classes,
        )
    with tqdm(total=len(INSPECTION_SECTIONS) + 1, desc="inspect", unit="part", disable=not progress) as bar:
        found = inspect_network(
            network,
            pictures,
            layers=[layers] if isinstance(layers, str) else layers,
            channels=channels,
            preprocess=preprocess,
            size=size,
            dataset=data,
            apply=apply,
            verify=verify,
            progress=(lambda what, done, of: bar.set_postfix_str(f"{what} {done}/{of}")) if progress else None,
        )
        bar.update()
        view = View(found, how)
        sections = []
        for make in INSPECTION_SECTIONS:
            section = make(view)
            if section is not None:
                sections.append(section)
            bar.update()
    return BuiltReport(
        Report(
            title=title or page_head.title(view),
            headline=page_head.headline(view),
            key_figures=page_head.key_figures(view),
            sections=tuple(sections),
            provenance={"config": page_head.configuration(view), **provenance()},
            warnings=found.warnings,
        )
    )


class _Lines(list[str]):
    """Collects what a csv writer writes."""

    write = list.append


def _step(asked: int | str, kept: list[int]) -> int:
    named = {"init": kept[0], "final": kept[-1]}
    if asked in named:
        return named[str(asked)]
    try:
        return int(asked)
    except ValueError as error:
        raise OptionError(f"{asked!r} is no step: give a number, init or final") from error


def _without_umap(context: Context) -> tuple[str, ...]:
    """A note where nobody chose PCA, and UMAP can't be had."""
    if context.options.embedding == "umap" or not isinstance(context.embedding, Embedding):
        return ()
    note = "The hidden layer is drawn by PCA: UMAP needs numba, which is not installed"
    return (f"{note} (pip install 'reportgen-jax[umap]').",)


def _title(run: Run) -> str:
    model, dataset = run.config.get("model"), run.config.get("dataset")
    return f"{model} on {dataset}" if model and dataset else str(model or "Training report")


def _warnings(context: Context) -> tuple[str, ...]:
    """What the reader must know before believing anything else on the page."""
    run = context.run
    found = [f"Part of the run could not be read: {problem}." for problem in run.problems[:PROBLEMS]]
    if len(run.problems) > PROBLEMS:
        found.append(f"{len(run.problems) - PROBLEMS:,} further parts of the run could not be read.")
    final = context.final
    if final is not None and run.epochs and final.step < run.epochs[-1]["step"]:
        found.append(
            f"The last activations that can be read are of epoch {final.epoch} (step {final.step}), not of epoch "
            f"{run.epochs[-1]['epoch']}: what this page says of predictions and activations is of that epoch."
        )
    found += health.warnings(context)
    if run.status != "finished":
        found.append(
            f"The recording did not finish (status: {run.status}); this report shows what was kept until then."
        )
    return tuple(found)
