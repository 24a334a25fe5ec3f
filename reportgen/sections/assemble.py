"""From a context to its pages: every section that the run allows, in order; all of it, or what fits into a size.

pages = Pages(context, (*PAGES["training"], *installed()))
pages.whole                                    # nothing is left out
pages.within(10_000_000, size_of)              # what fits into so many bytes
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

from reportgen.core.network import is_kernel
from reportgen.core.progress import Bar
from reportgen.core.report import Document, Drawing, Figure, Mosaic, Raster, Section
from reportgen.errors import DamagedError, ReportgenError
from reportgen.page.outline import figures, figures_of
from reportgen.sections.context import PageContext
from reportgen.sections.limits import LADDER, Limits, left_out
from reportgen.sections.maps import columns, shown_images
from reportgen.sections.options import Need
from reportgen.sections.spec import SectionSpec
from reportgen.sections.summary import headline, key_figures, origin, page_title, subject, warnings
from reportgen.sections.words import NBSP, megabytes, noun

FAR = 3
"""Pictures of so many times the size that a page may have are not encoded for it to see that they are too large."""

LARGE = 0.5
"""Values of layers for each byte that a page may have, from which on not all of them are drawn to see what they take: a
rung that leaves layers out is drawn first, and tells what a value takes."""

ROOM = 2
"""Times the size that a rung is expected to take that is not drawn: what other layers show may compress better."""


class Pages:
    """The pages of a context. A section is built once for the limits that it heeds."""

    def __init__(
        self, context: PageContext, specs: Sequence[SectionSpec], title: str | None = None, bar: Bar | None = None
    ):
        self._context, self._specs, self._title, self._bar = context, tuple(specs), title, bar
        self._built: dict[tuple[Any, ...], Section | None] = {}
        self._failed: dict[SectionSpec, str] = {}

    @property
    def whole(self) -> Document:
        """The document with nothing left out."""
        return self._at(LADDER[0])

    def within(self, max_size: int, size_of: Callable[[Document], int]) -> Document:
        """The document of which `size_of` is at most `max_size` bytes, as the first rung that fits has it.

        Each rung is smaller than the one before, so that the first that fits is found by halving. A rung that is
        expected to be too large, by what the values of layers took on another one, is not drawn; of a large network
        the next one that is expected to fit.
        """
        values = [max(_values(self._context.limited(limits)), 1) for limits in LADDER]
        large = values[0] > LARGE * max_size
        fewer = next(rung for rung, limits in enumerate(LADDER) if limits.channels is not None)
        low, high, rung = 0, len(LADDER) - 1, fewer if large else 0
        best, all_of_it = None, "none"
        while low <= high:
            made = self._noted(LADDER[rung], max_size, all_of_it)
            far = _in_pictures(made)
            size = far if far > FAR * max_size else size_of(made)
            if size <= max_size:
                best, high = made, rung - 1
            else:
                low = rung + 1
            if rung == 0 and far <= FAR * max_size:
                all_of_it = megabytes(size * 1.05).replace(NBSP, "")
            each = self._of_layers(LADDER[rung]) / values[rung]
            # Without a page that fits, the smallest one is drawn in any case; fewer colours take an unknown share.
            while each and low < high + (best is not None) and LADDER[low].levels == LADDER[rung].levels:
                alike = large and LADDER[low].layers == LADDER[rung].layers
                if size + each * (values[low] - values[rung]) <= (1 if alike else ROOM) * max_size:
                    break
                low += 1
            rung = low if large else (low + high) // 2
        if best is not None:
            return best
        rest = f" It still has {megabytes(size)}: nothing more can be left out."
        return replace(made, omitted=made.omitted + rest)

    def _noted(self, limits: Limits, max_size: int, all_of_it: str) -> Document:
        """The document within the limits, with a note on what it leaves out."""
        context = self._context
        widest = max((layer.channels for layer in context.map_layers), default=0)
        document = self._at(limits)
        shown, pictures = context.crowd is not None, len(context.evaluation_pictures[0]) > 0
        parts = len(context.names), widest, shown, len(context.layers)
        said = "; ".join(left_out(limits, *parts, noun(context.run), pictures))
        if not said:
            return document
        note = f"To stay below {megabytes(max_size)}, this page leaves out: {said}. All of it: --max-size {all_of_it}."
        return replace(document, omitted=note)

    def _of_layers(self, limits: Limits) -> int:
        """Bytes of the figures in sections that leave layers out, which show the values of single layers."""
        drawn = [self._built[spec, *_heeded(spec, limits)] for spec in self._specs if "layers" in spec.shrinks]
        return sum(_bytes(figure) for section in drawn if section is not None for figure in figures_of(section))

    def _at(self, limits: Limits) -> Document:
        drawn = dict[SectionSpec, Section | None]()
        with nullcontext() if self._built else self._context.embedding_begun():
            within = self._context.limited(limits)  # which knows of the embedding that was begun
            for spec in sorted(self._specs, key=lambda spec: spec.late):
                key = spec, *_heeded(spec, limits)
                if key not in self._built:
                    self._built[key] = self._section(spec, within)
                drawn[spec] = self._built[key]
        sections = (drawn[spec] for spec in self._specs)  # in reading order
        present = tuple(section for section in sections if section is not None)
        return replace(self._frame, sections=present, numbers=limits.numbers)

    @cached_property
    def _frame(self) -> Document:
        """The document without its sections."""
        context, run = self._context, self._context.run
        return Document(
            title=self._title or page_title(context),
            headline=headline(context),
            key_figures=key_figures(context),
            sections=(),
            provenance=_in_order({"config": dict(run.config)} | dict(run.provenance) | {"status": run.status}),
            warnings=(*warnings(context), *self._failed.values()),
            origin=origin(context),
            subject=subject(context),
        )

    def _section(self, spec: SectionSpec, context: PageContext) -> Section | None:
        """The section; None where what the run holds does not allow it, which is noted where it should have."""
        section, first = None, len(self._built) < len(self._specs)
        if spec.needs <= context.offers:
            try:
                section = spec.build(context)
            except DamagedError:
                raise  # everything is made anew, without the damaged file
            except ReportgenError as error:
                name = spec.build.__module__.rpartition(".")[2]
                self._failed[spec] = f"A section ({name}) is left out: {str(error).rstrip('.')}."
        if first and self._bar is not None:
            self._bar.advance()
            if section is not None:
                self._bar.part(f"{len(self._built) + 1}/{len(self._specs)} {section.title}")
        return section


def _heeded(spec: SectionSpec, limits: Limits) -> tuple[Any, ...]:
    """What a section heeds of the limits."""
    return tuple(getattr(limits, name) for name in spec.shrinks)


def _values(context: PageContext) -> int:
    """How many values the figures of single layers show, those of kernels with their change."""
    images, most, count = shown_images(context), context.limits.channels, 0.0
    for layer in context.layers if Need.MAPS in context.offers else ():
        if context.draws(layer.path):
            across = min(layer.channels, most or layer.channels) if layer.has_maps else columns(context, layer)
            count += math.prod(layer.shape) * images * across / max(layer.channels, 1)
    forms = context.now.forms
    for name in context.kernels:
        form = forms[name]
        if is_kernel(name, form.shape) and context.draws(context.holders.get(name, name)):
            shown = min(form.shape[-1], most) / form.shape[-1] if most and form.ndim > 2 else 1
            count += min(form.size * shown, math.prod(context.limits.heatmap)) * (1 if context.before is None else 2)
    return int(count)


def _in_pictures(document: Document) -> int:
    """Bytes of a page's pictures as they are before they are encoded for it, which makes none larger."""
    return sum(_bytes(figure) for figure in figures(document) if not isinstance(figure.picture, Drawing))


def _bytes(figure: Figure) -> int:
    picture = figure.picture.raster if isinstance(figure.picture, Mosaic) else figure.picture
    if isinstance(picture, Drawing):
        return len(picture.svg)
    return len(picture.data) * 4 // 3 if isinstance(picture, Raster) else 0


def _in_order(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts by their names, so that a run has them alike in memory and on disk; what was asked for comes first."""
    names = sorted(facts, key=lambda name: (name != "config", name))
    return {name: _in_order(facts[name]) if isinstance(facts[name], Mapping) else facts[name] for name in names}
