"""A layer's channels by classes, before training and after, and the examples that they respond to most."""

from dataclasses import dataclass

import numpy as np

from reportgen.analysis.activity import LabelActivity, activity_of_all, around_mean
from reportgen.core.network import Layer
from reportgen.core.outcome import Classification
from reportgen.core.report import Block, Figure
from reportgen.core.run import Observation
from reportgen.figures.chart import chart
from reportgen.figures.fonts import distinct
from reportgen.figures.selectivity import NAMED, Panel, selectivity
from reportgen.sections.context import PageContext
from reportgen.sections.examples import CHANNELS, SMALL, patches, seen, tiles
from reportgen.sections.words import noun, plural

ROWS = 512
"""Channels of a layer that are drawn: those whose response depends most on the label."""

COLUMNS = 300
"""Classes that are drawn: those for which a channel differs most from its mean."""

NUMBERED = 32
"""Rows up to which each has its channel's number; of more, those of one class have its name."""


@dataclass(frozen=True, eq=False)
class Response:
    """Activity by label around each channel's mean, [label, channel], at a moment; over all examples or the counted."""

    title: str
    around: np.ndarray
    of_all: bool
    observation: Observation


def responses(context: PageContext, layer: Layer, result: LabelActivity) -> list[Response]:
    """The layer's response to each label before and now, as far as it was recorded for the same examples."""
    now = context.observation
    assert now is not None
    before = None if context.before is None else context.run.observations.get(context.before.step)
    found = []
    for observation in (before, now):
        activity = None if observation is None else _of_all(context, observation, layer)
        if observation is not None and activity is not None and (observation is now or observation.step < now.step):
            found.append(Response(_title(observation, alone=before is None), around_mean(activity), True, observation))
    if not found or found[-1].observation is not now:
        return [Response(_title(now, alone=True), around_mean(result.activity), False, now)]
    return found


def _of_all(context: PageContext, observation: Observation, layer: Layer) -> np.ndarray | None:
    outcome, labels = observation.outcome, context.run.batch("evaluation").labels
    if not isinstance(outcome, Classification) or not len(labels):
        return None
    return activity_of_all(outcome, labels, layer.path)


def _title(observation: Observation, *, alone: bool) -> str:
    if alone:
        return "Activity by class"
    return "Before training" if observation.step == 0 else f"After step {observation.step:,}"


def drawn(context: PageContext, layer: Layer, result: LabelActivity, order: list[int], alt: str) -> list[Block]:
    """The matrix of the layer's channels, those of `order` first, with what they respond to most beside it.

    The pictures stand beside the matrix where they are small and the channels few; else with a matrix of the first
    channels, or below it.
    """
    told = responses(context, layer, result)
    most = min(ROWS, context.limits.channels or ROWS)
    few = order[: min(CHANNELS, most)]
    slug = context.slug(layer.path)
    pictured = _pictured(context, layer)
    if pictured and max(tiles(context, layer, told[-1].observation.top[layer.path], few[:1]).shape[2:4]) > SMALL:
        return [_figure(context, layer, told, order[:most], f"activity-{slug}", alt, ()), patches(context, layer, few)]
    if not pictured or layer.channels <= CHANNELS:
        chosen = few if pictured else order[:most]
        pictures = chosen if pictured else ()
        return [_figure(context, layer, told, chosen, f"activity-{slug}", alt, pictures)]
    return [
        _figure(context, layer, told, order[:most], f"activity-{slug}", alt, ()),
        _figure(context, layer, told, few, f"excite-{slug}", alt, few),
    ]


def _pictured(context: PageContext, layer: Layer) -> bool:
    """Whether pictures of what the layer responds to are shown here: those of an activation function are the same."""
    observation, after = context.observation, context.network.activation_of(layer)
    assert observation is not None
    if layer.path not in observation.top or not len(context.evaluation_pictures[0]):
        return False
    return after is None or after.path not in observation.top or after not in context.layers


def _figure(
    context: PageContext,
    layer: Layer,
    told: list[Response],
    channels: list[int],
    name: str,
    alt: str,
    pictured: list[int] | tuple[()],
) -> Figure:
    outcome = context.classification
    assert outcome is not None
    now = told[-1].around
    # Channels that respond to no class more than to another come last.
    strongest = np.where(
        np.nanmax(np.abs(now), axis=0, initial=0.0) > 0, np.nan_to_num(now, nan=-np.inf).argmax(axis=0), -1
    )
    rows = sorted(channels, key=lambda channel: int(strongest[channel]) % (len(now) + 1))
    columns = np.arange(len(now))
    if len(columns) > COLUMNS:
        differs = np.nan_to_num(np.abs(now[:, rows])).max(axis=1)
        columns = np.sort(np.argsort(-differs, kind="stable")[:COLUMNS])
    every = [context.run.classes[label] for label in outcome.summed.tolist()]
    names = (*distinct(tuple(every), 18), "none")
    labels = [str(channel) if len(rows) <= NUMBERED else names[strongest[channel]] for channel in rows]
    if len(rows) <= NUMBERED and len(columns) > NAMED:
        labels = [f"{channel}: {names[strongest[channel]]}" for channel in rows]
    panels = []
    for one in told:
        top = one.observation.top.get(layer.path) if pictured else None
        shown = None if top is None else tiles(context, layer, top, rows)
        examples = None if top is None else top.examples[:, rows].T
        panels.append(Panel(one.title, one.around[columns][:, rows].T, shown, examples))
    scene = selectivity(panels, labels, [every[column] for column in columns])
    return chart(
        name,
        scene,
        alt=alt,
        caption=_caption(context, layer, told[-1], len(rows), len(columns), panels[-1]),
        wide=True,
        of=("channels", layer.path),
    )


def _caption(context: PageContext, layer: Layer, now: Response, rows: int, columns: int, panel: Panel) -> str:
    one = noun(context.run)
    over = f"all evaluation {one}s" if now.of_all else f"the correctly classified evaluation {one}s"
    text = (
        f"{layer.path}: a row per channel, a column per class. Activity over {over} of the class, around the channel's "
        "mean over classes: blue for more, red for less, as a share of the mean. Channels stand in the order of the "
        "class that they respond to most"
    )
    text += "." if rows <= NUMBERED else ", whose name they have (“none”: to no class more than to another)."
    if rows < layer.channels:
        text += f" The {rows} of {layer.channels:,} channels whose response depends most on the class."
    if columns < len(now.around):
        text += f" {columns} of {len(now.around):,} classes: those with the largest differences."
    if panel.pictures is not None:
        ranks = plural(panel.pictures.shape[1], f"evaluation {one}")
        text += f" Beside each row the {ranks} with its largest values, the largest first; "
        text += f"{seen(context, panel.pictures.shape[2:4])}."
    return text
