"""One example at a time: what it is taken for, when that was learned and forgotten, and what lies near it.

The page's script tells of any example that it carries; without it a row stands for each of the worst ones.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reportgen.analysis.learning import Learning, learning
from reportgen.core.numbers import short_number
from reportgen.core.outcome import Classification
from reportgen.core.pictures import are_pictures, to_pixels
from reportgen.core.report import Block, Figure, Section, Table, Text
from reportgen.core.run import Batch, LazyArray
from reportgen.core.scripted import LEVELS, ExampleGroup, Examples, pack
from reportgen.figures.export import picture_export
from reportgen.figures.fonts import distinct
from reportgen.figures.mosaic import mosaic
from reportgen.figures.sprites import LONGEST, sprites
from reportgen.sections.context import PageContext
from reportgen.sections.crowd import SHARE, Crowd, Group, most_frequent
from reportgen.sections.tokens import pieces_of, token_inputs, visible
from reportgen.sections.words import NBSP, noun, plural

NAME = "stories"
ROWS = 8
"""Examples that have a row without a script."""

SHOWN = 120
"""Characters of an example that is a text."""

FEATURES = 6
"""Numbers of an example that is neither picture nor text."""

METHOD = (
    "An example is forgotten where it is classified correctly after one epoch and wrongly after the next (Toneva et "
    "al., An Empirical Study of Example Forgetting, ICLR 2019; there from update to update): between two recorded "
    "epochs it may have been learned and forgotten unseen. Probabilities are the softmax of the scores, and are "
    "no better calibrated than these. The sentence at the top leaves out the network before training, which is right "
    "by chance. Nearest are embedded examples by Euclidean distance in the layer itself, not on the plane."
)


def build(context: PageContext) -> Section | None:
    """The examples that the page carries, and the worst ones in a table; None where nothing is known of any."""
    crowd = context.crowd
    if crowd is None or not (crowd.predicted.size or crowd.scores or crowd.near is not None):
        return None
    blocks: list[Block] = []
    if carried := context.limits.thumbnails is not None:
        blocks.append(examples(context, crowd))
    history = learning(crowd.predicted, crowd.truth) if crowd.classes and len(crowd.truth) else None
    pictures, table = _pictures(context, crowd), _table(context, crowd, history)
    blocks += [block for block in (pictures, table) if block is not None]
    if not blocks:
        return None
    if history is not None:
        blocks.append(Text(METHOD, "method"))
    return Section("examples", "One example at a time", _finding(context, crowd, carried), tuple(blocks))


def _finding(context: PageContext, crowd: Crowd, carried: bool) -> str:
    listed = " and ".join(plural(len(group.numbers), group.name) for group in crowd.groups)
    run, labels = context.run, context.run.batch("evaluation").labels
    outcomes = [seen.outcome for step, seen in run.observations.items() if step]  # at step 0 it is right by chance
    answers = [o.predictions for o in outcomes if isinstance(o, Classification) and len(o.predictions) == len(labels)]
    if len(answers) < max(2, len(outcomes)):
        return f"{listed}, one by one." if carried else f"The worst of {listed}."
    # Of the whole evaluation: those carried are not a fair sample of it.
    history, wrong = learning(np.stack(answers), labels), answers[-1] != labels
    once, forgotten = int((history.first[wrong] >= 0).sum()), int((history.times > 0).sum())
    text = f"{forgotten:,} of {plural(len(labels), f'evaluation {noun(run)}')} were forgotten at least once"
    if wrong.any():
        text += f"; of the {int(wrong.sum()):,} that are wrong at the end, {once:,} had been right before"
    return f"{text}."


# What the script gets.


def examples(context: PageContext, crowd: Crowd) -> Examples:
    """The crowd as the page carries it, with thumbnails as far as the limits allow."""
    run = context.run
    columns: dict[str, np.ndarray] = {}
    if crowd.positions is not None:
        for axis, (name, (low, high)) in enumerate(crowd.ends.items()):
            share = (crowd.positions[..., axis] - low) / (high - low)
            columns[name] = np.rint(np.nan_to_num(share * LEVELS, nan=-1.0)).astype(np.int16)
    kind = np.int16 if crowd.truth.dtype == np.int64 else np.float32
    if crowd.truth.size:
        columns["truth"] = crowd.truth[None].astype(kind)
    marks = [most_frequent(run, group.batch, group.numbers) for group in crowd.groups]
    if all(map(len, marks)):
        columns["marks"] = np.concatenate(marks)[None].astype(np.int16)
    if crowd.predicted.size:
        columns["predicted"] = crowd.predicted.astype(kind)
    if crowd.sure.size:
        columns["sure"] = np.rint(np.nan_to_num(crowd.sure * 100, nan=-1.0)).astype(np.int16)
    if crowd.top is not None:
        columns["ranked"] = crowd.top[0].astype(np.int16)
        columns["shares"] = np.rint(np.nan_to_num(crowd.top[1] * 1000)).astype(np.int16)
    if crowd.near is not None:
        columns["near"] = crowd.near.astype(np.int16)
    for values in crowd.scores.values():
        columns["score"] = values
    return Examples(
        NAME,
        tuple(_group(context, group) for group in crowd.groups),
        distinct(tuple(run.classes), 40) if run.classes else (),
        frame_names(context),
        tuple(seen.epoch if run.stage == "epoch" else step for step, seen in run.observations.items()),
        tuple((name, len(array), array.dtype.itemsize) for name, array in columns.items()),
        pack([np.ascontiguousarray(column) for column in columns.values()]),
        values=kind is np.float32,
        measure=next(iter(crowd.scores), ""),
        layer=run.embed_layer or "",
        maps=_maps(context, crowd),
    )


def frame_names(context: PageContext) -> tuple[str, ...]:
    """What each recorded state is called: "before training", "epoch 1"."""
    by_epoch = context.run.stage == "epoch"
    return tuple(
        (f"epoch {seen.epoch}" if by_epoch else f"step {step:,}") if seen.epoch else "before training"
        for step, seen in context.run.observations.items()
    )


def _group(context: PageContext, group: Group) -> ExampleGroup:
    anchor, numbers = f"example-{group.letter}", tuple(group.numbers.tolist())
    batch = context.run.batch(group.batch)
    images, shades = _shown(context, batch)
    if are_pictures(images.shape):
        there = group.numbers[group.numbers < len(images)]
        sheet = sprites(np.asarray(images[there]), shades, context.limits.thumbnails or 0) if len(there) else None
        if sheet is None:
            return ExampleGroup(group.name, anchor, numbers)
        cell, tile = (sheet.grid.tile_width, sheet.grid.tile_height), (sheet.width, sheet.height)
        return ExampleGroup(group.name, anchor, numbers, sheet.picture, sheet.grid.columns, cell, tile)
    return ExampleGroup(group.name, anchor, numbers, texts=tuple(_texts(context, batch, group.numbers)))


def _texts(context: PageContext, batch: Batch, numbers: np.ndarray) -> list[str]:
    """Each example in a few words: the beginning of its text, or its first numbers."""
    # What is embedded may be the evaluation's, which alone has inputs.
    tokens = token_inputs(batch)
    if tokens is not None:
        run = context.run
        rows = tokens[numbers[numbers < len(tokens)], :SHOWN]
        return [visible("".join(pieces_of(run, row)))[:SHOWN] for row in rows]
    images = batch.images
    if len(images.shape) != 2:
        return []
    rows = np.asarray(images[numbers[numbers < len(images)]])
    return [_numbers(row) for row in rows]


def _numbers(row: np.ndarray) -> str:
    """Numbers in a few words: the first ones, or which one of many is not 0."""
    places = np.flatnonzero(row)
    if len(row) > FEATURES and len(places) == 1:
        return f"{short_number(float(row[places[0]]))} at {places[0]}, else 0"
    return ", ".join(short_number(float(value)) for value in row[:FEATURES]) + ("…" if len(row) > FEATURES else "")


def _maps(context: PageContext, crowd: Crowd) -> dict[int, tuple[tuple[str, str], ...]]:
    """By the place of an example that is one of the probe, the layers whose maps the page shows of it."""
    if context.observation is None or not context.map_layers:
        return {}
    probe = np.asarray(context.probe.images)
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    start = 0
    for group in crowd.groups:
        inputs = context.run.batch(group.batch).images
        there = group.numbers[group.numbers < len(inputs)]
        if len(there) and inputs.shape[1:] == probe.shape[1:]:
            rows = np.asarray(inputs[there])
            for index, one in enumerate(probe[: context.limits.images]):
                for at in np.flatnonzero((rows == one).reshape(len(rows), -1).all(axis=1))[:1]:
                    layers = context.map_layers
                    found[start + int(at)] = tuple((x.path, f"maps-{context.slug(x.path)}-{index}") for x in layers)
        start += len(group.numbers)
    return found


# What stands there without it.


def worst(context: PageContext, crowd: Crowd) -> list[int]:
    """Places of the examples with the worst answers, the worst first: those that the page's other sections name."""
    start = crowd.size - len(crowd.groups[-1].numbers)
    places = {int(number): start + place for place, number in enumerate(crowd.groups[-1].numbers.tolist())}
    if crowd.classes:
        wrong = () if context.confusion is None else context.confusion.misclassified
        return [places[int(number)] for number in wrong if int(number) in places][:ROWS]
    if crowd.predicted.size and len(crowd.truth):
        badness = np.abs(crowd.predicted[-1] - crowd.truth)
    elif crowd.scores:
        ((name, values),) = crowd.scores.items()
        badness = -values[-1] if name == SHARE else values[-1]
    else:
        return []
    known = [place for place in places.values() if np.isfinite(badness[place])]
    return sorted(known, key=lambda place: -float(badness[place]))[:ROWS]


def _pictures(context: PageContext, crowd: Crowd) -> Figure | None:
    """A row for each of the worst ones: its picture, and those of its neighbours."""
    places = worst(context, crowd)
    if crowd.near is None or not places or not context.limits.thumbnails:
        return None
    chosen = [at for place in places for at in (place, *crowd.near[:, place].tolist())]
    tiles: list[np.ndarray] = []
    names, labelled = crowd.names, bool(len(crowd.truth))
    for at in chosen:
        pixels = None if at < 0 else _pixels(context, crowd, at)
        if pixels is None or (tiles and pixels.shape != tiles[0].shape):
            return None
        tiles.append(pixels)
    labels = [_truth_of(context, crowd, at) if labelled else names[at].rsplit(" ", 1)[1] for at in chosen]
    called = "number" if not labelled else "label" if crowd.classes else "true value"
    step = -(-max(tiles[0].shape[:2]) // LONGEST)
    picture = mosaic(
        np.stack(tiles)[:, ::step, ::step],
        *(0, 255),
        labels=labels,
        values=[names[at] for at in chosen],
        columns=1 + len(crowd.near),
        stand="half",
    )
    links = crowd.links
    picture = replace(picture, links=tuple(links[at] for at in chosen))
    one, layer = noun(context.run), context.run.embed_layer
    return Figure(
        "examples-pictures",
        picture,
        f"{plural(len(places), f'evaluation {one}')} with the worst answers, each beside its nearest in {layer}.",
        f"First in each row: an {crowd.groups[-1].name} with one of the worst answers; then its "
        f"{len(crowd.near)} nearest {crowd.groups[0].name}s in {layer}, the nearest first, each under its {called}.",
        export=picture_export(picture),
        wide=True,
    )


def _pixels(context: PageContext, crowd: Crowd, place: int) -> np.ndarray | None:
    """An example as a picture [height, width, 1 or 3] from 0 to 255; None where it is none that the run keeps."""
    for group in crowd.groups:
        if place < len(group.numbers):
            break
        place -= len(group.numbers)
    batch, number = context.run.batch(group.batch), int(group.numbers[place])
    images, shades = _shown(context, batch)
    if not are_pictures(images.shape) or number >= len(images):
        return None
    found: np.ndarray = to_pixels(np.asarray(images[number : number + 1]), shades)[0]
    return found


def _shown(context: PageContext, batch: Batch) -> tuple[np.ndarray | LazyArray, tuple[float, float]]:
    """A batch's pictures, or else inputs, with the values of black and of white."""
    if batch.pictures is not None:
        return batch.pictures, (0.0, 255.0)
    return batch.images, context.evaluation_pictures[1]


def _truth_of(context: PageContext, crowd: Crowd, place: int) -> str:
    truth = crowd.truth[place]
    if crowd.truth.dtype != np.int64:
        return short_number(float(truth))
    return _classes(context, 10)[int(truth)] if truth >= 0 else ""  # a tile has room for that many characters


def _classes(context: PageContext, length: int = 24) -> tuple[str, ...]:
    """The names of the classes, shortened so that they stay apart."""
    return distinct(tuple(context.run.classes), length)


def _table(context: PageContext, crowd: Crowd, history: Learning | None) -> Table | None:
    places = worst(context, crowd)
    if not places:
        return None
    names = [name[0].upper() + name[1:] for name in crowd.names]
    columns = {"Example": [names[place] for place in places]}
    if crowd.classes:
        columns |= _class_columns(context, crowd, history, places)
    elif crowd.predicted.size and len(crowd.truth):
        columns["True"] = [short_number(float(crowd.truth[place])) for place in places]
        columns["Predicted"] = [short_number(float(crowd.predicted[-1, place])) for place in places]
    for name, values in crowd.scores.items():
        columns[f"{name[0].upper()}{name[1:]}"] = [short_number(float(values[-1, place])) for place in places]
    if crowd.near is not None:
        near = [[at for at in crowd.near[:, place].tolist() if at >= 0] for place in places]
        columns[f"Nearest in {context.run.embed_layer}"] = [_neighbours(context, crowd, found) for found in near]
    one, links = noun(context.run), crowd.links
    by_margin = " (largest output of the predicted class minus that of the true one)" if crowd.classes else ""
    caption = f"The evaluation {one}s with the worst answers, the worst first{by_margin}."
    rows = tuple(zip(*columns.values(), strict=True))
    anchors = tuple(links[place] for place in places)
    return Table("examples-worst", caption, tuple(columns), rows, "l" * len(columns), anchors)


def _class_columns(
    context: PageContext, crowd: Crowd, history: Learning | None, places: Sequence[int]
) -> dict[str, list[str]]:
    classes, frames = _classes(context), frame_names(context)
    columns = {"True": [classes[int(crowd.truth[place])] for place in places]} if len(crowd.truth) else {}
    if crowd.top is not None:
        columns["Most probable"] = [
            "; ".join(
                f"{classes[int(label)]}: {_share(float(share))}"
                for label, share in zip(crowd.top[0][:, place], crowd.top[1][:, place], strict=True)
                if label >= 0
            )
            for place in places
        ]
    else:
        guesses = [int(crowd.predicted[-1, place]) for place in places]
        columns["Predicted"] = [classes[guess] if guess >= 0 else "no prediction" for guess in guesses]
    if history is not None and len(frames) > 1:
        for name, found in (("First right", history.first), ("Forgotten", history.forgotten)):
            columns[name] = [frames[int(found[place])] if found[place] >= 0 else "never" for place in places]
    return columns


def _share(value: float) -> str:
    """A probability in whole percent, without claiming certainty."""
    if not np.isfinite(value):
        return "unknown"
    percent = round(100 * value)
    text = f"<{NBSP}1" if percent < 1 else f">{NBSP}99" if percent > 99 else str(percent)
    return f"{text}{NBSP}%"


def _neighbours(context: PageContext, crowd: Crowd, near: Sequence[int]) -> str:
    """Neighbours by their labels, where they have any, else by their names."""
    if crowd.classes and len(crowd.truth):
        classes = _classes(context)
        return ", ".join(classes[int(crowd.truth[at])] for at in near if crowd.truth[at] >= 0) or "not recorded"
    names = [name.rsplit(" ", 1) for name in (crowd.names[place] for place in near)]
    # Neighbours are embedded examples, all of one group.
    return f"{names[0][0]}s {', '.join(number for _, number in names)}" if names else "not recorded"
