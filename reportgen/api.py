"""What the command line does, as plain functions.

report = build("runs/mine", embedding="pca")
report.save("report.html")
report.write_numbers("numbers")
report.write_figures("figures", "pdf")
"""

import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from reportgen.core.arguments import count, positive, truth
from reportgen.core.progress import Bar, Progress
from reportgen.core.report import Document
from reportgen.core.run import CLOCK, Run
from reportgen.errors import OptionError, RunError, expect, naming_the_extra, warn
from reportgen.page.html import html
from reportgen.reported import Report
from reportgen.sections import PAGES, Moment, Options, PageContext
from reportgen.sections.assemble import Pages
from reportgen.sections.complex_values import with_real_parts
from reportgen.sections.installed import installed
from reportgen.sections.options import chosen
from reportgen.sections.several import several
from reportgen.store import networks, open_run, save_run, with_what_is_whole
from reportgen.weights.checkpoint import Checkpoint

MAX_SIZE = 10_000_000
"""Bytes that a page as one file has at most, unless asked for otherwise."""


def build(
    run: str | Path | Run,
    *,
    from_step: int | str = "init",
    to_step: int | str = "final",
    layers: str | Sequence[str] = (),
    channels: Sequence[int] = (),
    normalize: str | tuple[float, float] | None = None,
    embedding: Literal["umap", "pca"] | None = None,
    title: str | None = None,
    max_size: int | None = MAX_SIZE,
    progress: bool | Progress = False,
) -> Report:
    """Analyse a recorded run and lay it out as a report. Needs no jax and no model code.

    `run` may also be a folder of runs side by side, as of a generator and a discriminator: the report has a part for
    each then, to which the options apply, and an equal share of the size.
    `from_step` and `to_step` are recorded steps, or "init" and "final"; `layers` glob patterns on layer paths,
    `channels` the numbers to show enlarged (from 0). `normalize` says how feature maps become grey: "layer", "channel"
    or "images" (what shares a range), or (A, B), where A is black and B is white. `embedding` None is "umap", or "pca"
    with a note on the page where numba is not installed. `max_size` is the most bytes that the page as one file may
    have: what has to be left out for it (fewer probe images, then fewer channels, then fewer colours) is named on the
    page. None is no limit. `progress` True shows a bar on standard error; a function is told the same: what, how many
    sections are done, of how many.
    Raises RunError for what is no run, OptionError for a step, layer or channel that it does not have, MissingError
    for "umap" without numba.
    """
    options = chosen(layers, channels, normalize, embedding)

    def make_of(whole: Run, share: int = 1) -> Report:
        recorded = list(whole.snapshots)
        now = Moment(whole, _step(to_step, recorded))
        before = None if whole.kind == "inspection" else Moment(whole, _step(from_step, recorded))
        if before is not None and before.step == now.step:
            before = None  # nothing changes from a step to itself
        return _built(now, before, options, title, max_size, progress, share)

    within = [] if isinstance(run, Run) else networks(run)
    if not within:
        return with_what_is_whole(run if isinstance(run, Run) else open_run(run), make_of)
    reports, failed = dict[str, Report](), list[RunError]()
    for path in within:
        try:
            reports[path.name] = with_what_is_whole(open_run(path), partial(make_of, share=len(within)))
        except OptionError as error:
            raise OptionError(f"{path.name}: {error}", code=error.code) from error
        except RunError as error:
            failed.append(error)
    if not reports:
        raise failed[0]
    folder = within[0].parent
    left = [str(error).replace(f"{folder}/", "").rstrip(".") for error in failed]
    warned = tuple(f"A network is left out: {text}." for text in left)

    def together(form: Callable[[Report], Document]) -> Document:
        return several({name: form(report) for name, report in reports.items()}, folder.name, title, warned)

    return Report(
        together(lambda report: report.document),
        lambda: together(lambda report: report.whole),
        fit=lambda size: together(lambda report: report.fit(size) if report.fit else report.document),
    )


def _built(
    now: Moment,
    before: Moment | None,
    options: Options,
    title: str | None,
    max_size: int | None,
    progress: bool | Progress,
    share: int = 1,
) -> Report:
    """The report of a run whose files are taken for whole, DamagedError when one is not; of `share` on a page."""
    expect("title", title, str | None, "a text")
    if max_size is not None:
        positive("max_size", max_size)
    run = with_real_parts(now.run)
    if os.environ.get("SOURCE_DATE_EPOCH"):
        # Durations and the day are the only wall-clock values on the page; this variable asks for none.
        facts = {name: value for name, value in run.provenance.items() if name not in CLOCK}
        run = replace(run, provenance=facts)
    now, before = Moment(run, now.step), before and Moment(run, before.step)
    specs = (*PAGES[now.run.kind], *installed())
    with Bar("report", len(specs), "section", shown=progress) as bar:
        context = PageContext(now, before, replace(options, progress=bar.note if progress else None))
        pages = Pages(context, specs, title, bar)

        def fit(size: int) -> Document:
            return pages.within(size, lambda document: share * len(html(document).encode()))

        document = pages.whole if max_size is None else fit(max_size)
    return Report(document, (lambda: pages.whole) if document.omitted else None, now.run, fit)


def inspect(
    model: Any = None,
    images: str | Path | Sequence[Any] = (),
    *,
    weights: str | Path | Checkpoint | None = None,
    variables: Any = None,
    run: str | Path | None = None,
    step: int | None = None,
    layers: str | Sequence[str] = (),
    channels: Sequence[int] = (),
    preprocess: str | Callable[[Any], Any] | None = None,
    normalize: str | tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    dataset: Any = None,
    apply: Callable[[Any, Any, Any], Any] | None = None,
    verify: bool = False,
    title: str | None = None,
    max_size: int | None = MAX_SIZE,
    save_to: str | Path | None = None,
    progress: bool = False,
    **earlier: Any,
) -> Report:
    """Show what each layer and channel of a network answers to chosen images. No training.

    `model` is a name, MODULE:FACTORY, or a Linen or NNX module; its parameters come from `weights` (a checkpoint
    file or folder, or a `Checkpoint` that says how to read it), from `variables`, or from the recorded `run` after
    `step` updates. `images` are paths, or arrays [height, width] or [height, width, 1 or 3], uint8 or from 0 to 1;
    without any, a run's probe images are taken. `layers` are glob patterns, `channels` the numbers to show enlarged
    (from 0).

    `preprocess` is "caffe", "imagenet", "unit", "none", or a function of pixels [image, h, w, channel],
    0 to 255; by default what the built-in model was trained on, else "unit". `size` (height, width) resizes
    the images. `dataset` (a Dataset, or a name or path for `load_dataset`) adds the examples that activate each
    channel most. `verify` computes every captured value again and compares. `normalize`, `title` and `max_size`
    are as for `build`. `save_to` also writes the run of this one state into that folder: `build` lays it out again
    without jax.

    Raises ReportgenError's kinds, each saying what to change.
    """
    with naming_the_extra():
        from reportgen.inspection import from_model, from_run, inspect_network
        from reportgen.record.provenance import provenance
    from reportgen.data import Dataset, load_dataset
    from reportgen.data.pictures import as_pictures

    if earlier:
        weights, normalize = _earlier(earlier, weights, step, normalize)
    options = chosen(layers, channels, normalize, "pca")
    verify = truth("verify", verify)
    step = None if step is None else count("step", step)
    given = _listed(images)
    pictures = as_pictures(given) if given else None
    data = dataset if dataset is None or isinstance(dataset, Dataset) else load_dataset(dataset)
    if run is not None:
        if weights is not None or variables is not None:
            raise OptionError("a run has its own parameters: give either a run, or weights for a model", code="O103")
        network = from_run(run, step=step, model=model)
    elif model is None:
        raise OptionError("nothing to look into: give a model (with its weights) or a run", code="O103")
    else:
        classes = None if data is None else len(data.classes)
        read = weights if isinstance(weights, Checkpoint | None) else Checkpoint(weights, step)
        how: dict[str, Any] = {"step": step, "variables": variables, "num_classes": classes}
        if read is not None:
            at = step if read.step is None else read.step
            how |= {**vars(read), "weights": read.path, "step": at}
            del how["path"]
        network = from_model(model, **how)
    with Bar("inspect", None, "batch", shown=progress) as bar:

        def note(what: str, done: int, of: int) -> None:
            bar.advance()
            bar.note(what, done, of)
            if done == of:
                bar.part(f"{what}, {of} image{'s' * (of != 1)}")

        found = inspect_network(
            network,
            pictures,
            layers=options.layers,
            preprocess=preprocess,
            size=size,
            dataset=data,
            apply=apply,
            verify=verify,
            # An inspection is made anew at will: the same network and images give the same bytes on any day.
            facts={name: fact for name, fact in provenance().items() if name not in ("command", "date")},
            progress=note if progress else None,
        )
    if save_to is not None:
        save_run(found, save_to)
    return _built(Moment(found, next(iter(found.snapshots))), None, options, title, max_size, progress)


def _earlier(
    earlier: Mapping[str, Any], weights: Any, step: int | None, normalize: str | tuple[float, float] | None
) -> tuple[Any, str | tuple[float, float] | None]:
    """(weights, normalize) with what was given by the names of the release before, which are warned about."""
    for name in earlier:
        if name not in ("value_range", "rename", "layout"):
            raise TypeError(f"inspect() got an unexpected keyword argument {name!r}")
        now = "normalize=(A, B)" if name == "value_range" else f"weights=Checkpoint(path, {name}=...)"
        warn(f"inspect({name}=...) is {now} now", DeprecationWarning, code="N101")
    if earlier.get("value_range") is not None:
        if normalize not in (None, "range"):
            raise OptionError(
                f"a fixed range and the normalisation {normalize} exclude each other; give one of them", code="O103"
            )
        normalize = earlier["value_range"]
    reading = {name: earlier[name] for name in ("rename", "layout") if earlier.get(name)}
    if reading and weights is None:
        raise OptionError("rename and layout say how weights are read: give weights too", code="O103")
    return (Checkpoint(weights, step, **reading) if reading else weights), normalize


def _listed(images: Any) -> list[Any]:
    """The images, of which one may be a path alone. Raises OptionError for what is neither."""
    if isinstance(images, str | os.PathLike):
        return [images]
    expect("images", images, Iterable, "a path, or a list of paths and arrays")
    return list(images)


def _step(asked: int | str, recorded: list[int]) -> int:
    named = {"init": recorded[0], "final": recorded[-1]}
    if isinstance(asked, str) and asked in named:
        return named[asked]
    try:
        return int(asked) if isinstance(asked, str) else operator.index(asked)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{asked!r:.80} is not a step: give a number, init or final", code="O104") from error
