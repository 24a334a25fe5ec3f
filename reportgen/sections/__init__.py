"""The sections of the pages, each one analysis, drawn and explained; and the orders in which pages have them.

    from reportgen.sections import PAGES, assemble
    document = assemble(context, PAGES["training"], ...)

A new section is a file with `build(context) -> Section | None`, and one line in an order; outside the package, an
entry point in the group `reportgen.sections`.
"""

from collections.abc import Mapping

from reportgen.sections import (
    activity,
    attention,
    changes,
    chosen,
    curves,
    dense,
    embedding,
    explorer,
    graph,
    health,
    images,
    landscape,
    lens,
    maps,
    mistakes,
    multilabel,
    network,
    overview,
    parameters,
    reading,
    reconstruction,
    regression,
    samples,
    story,
    strongest,
    tokens,
    trust,
    unscored,
    vocabulary,
)
from reportgen.sections.context import PageContext
from reportgen.sections.options import Moment, Need, Options
from reportgen.sections.spec import SectionBuilder, SectionSpec

_EMBEDDING = SectionSpec(embedding.build, frozenset({Need.VECTORS}), late=True, shrinks=("moving", "thumbnails"))
_OVERLAY = SectionSpec(embedding.build_overlay, frozenset({Need.VECTORS, Need.OUTCOME}), late=True)
_CURVES = SectionSpec(curves.build, frozenset({Need.METRICS}))
_MISTAKES = SectionSpec(mistakes.build, frozenset({Need.OUTCOME}), shrinks=("pictures",))
_TRUST = SectionSpec(trust.build, frozenset({Need.OUTCOME}))
_STORY = SectionSpec(story.build, late=True, shrinks=("thumbnails", "images"))
_UNSCORED = SectionSpec(unscored.build)
_TASKS = (
    _MISTAKES,
    SectionSpec(regression.build, shrinks=("pictures",)),
    SectionSpec(dense.build, shrinks=("images", "pictures")),
    SectionSpec(tokens.build),
    SectionSpec(reconstruction.build, shrinks=("images", "pictures")),
    SectionSpec(multilabel.build, shrinks=("pictures",)),
)
"""One for each kind of task: at most one of them is on a page."""

_GRAPH = SectionSpec(graph.build)
_PARAMETERS = SectionSpec(parameters.build, shrinks=("layers", "channels", "levels", "heatmap"))
_EXPLORER = SectionSpec(explorer.build, frozenset({Need.BEFORE}), shrinks=("packed",))
_SCATTER = SectionSpec(parameters.build_scatter, frozenset({Need.BEFORE}), shrinks=("layers",))
_LANDSCAPE = SectionSpec(landscape.build)
_IMAGES = SectionSpec(images.build, frozenset({Need.PICTURES}))
_CHANGES = SectionSpec(changes.build, frozenset({Need.MAPS, Need.COMPARABLE}))
_CHOSEN = SectionSpec(chosen.build, frozenset({Need.MAPS, Need.PICTURES, Need.CHANNELS}), shrinks=("images",))
_STRONGEST = SectionSpec(
    strongest.build, frozenset({Need.MAPS, Need.PICTURES}), shrinks=("images", "layers", "channels", "levels")
)
_MAPS = SectionSpec(maps.build, frozenset({Need.MAPS}), shrinks=("images", "layers", "channels", "levels", "heatmap"))
_ATTENTION = SectionSpec(attention.build, frozenset({Need.MAPS}), shrinks=("images",))
_READING = SectionSpec(reading.build, frozenset({Need.MAPS}), shrinks=("images",))
_LENS = SectionSpec(lens.build, frozenset({Need.MAPS}))
_VOCABULARY = SectionSpec(vocabulary.build)
_ACTIVITY = SectionSpec(activity.build, shrinks=("layers", "channels"))
_HEALTH = SectionSpec(health.build)
_NETWORK = SectionSpec(network.build)
_OVERVIEW = SectionSpec(overview.build)
_SAMPLES = SectionSpec(samples.build, shrinks=("pictures",))

PAGES: Mapping[str, tuple[SectionSpec, ...]] = {
    "training": (
        *(
            _EMBEDDING,
            _CURVES,
            _OVERLAY,
            *_TASKS,
            _TRUST,
            _STORY,
            _UNSCORED,
            _GRAPH,
            _PARAMETERS,
            _EXPLORER,
            _SCATTER,
            _LANDSCAPE,
            _ATTENTION,
            _READING,
            _LENS,
            _VOCABULARY,
            _ACTIVITY,
        ),
        *(_IMAGES, _CHOSEN, _STRONGEST, _MAPS, _HEALTH, _NETWORK, _OVERVIEW, _SAMPLES),
    ),
    "inspection": (
        *(_IMAGES, _GRAPH, _CHANGES, _CHOSEN, _STRONGEST, _MAPS, _ATTENTION, _READING, _LENS, _VOCABULARY),
        *(_ACTIVITY, *_TASKS, _TRUST, _STORY, _PARAMETERS, _HEALTH, _NETWORK, _OVERVIEW, _SAMPLES),
    ),
}
"""Kind of a run -> the sections of its page, in reading order."""

__all__ = ["PAGES", "Moment", "Need", "Options", "PageContext", "SectionBuilder", "SectionSpec"]
