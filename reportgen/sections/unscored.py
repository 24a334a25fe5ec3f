"""What is not scored, and why: the page of a network whose outputs are compared with nothing."""

from reportgen.core.outcome import Kind
from reportgen.core.report import Section, Text
from reportgen.sections.context import PageContext
from reportgen.sections.measures import named, per_epoch
from reportgen.sections.words import listed, noun


def build(context: PageContext) -> Section | None:
    """One sentence on what is missing, and how to have it; None where something is scored, or nothing is said of it."""
    run = context.run
    if run.task is None or run.task.kind is not Kind.NONE:
        return None
    labelled = len(run.batch("evaluation").labels) > 0
    why = run.task.reason or (
        "it was recorded with labels, and with the wish that nothing is scored"
        if labelled
        else "it was recorded without targets with which its outputs could be compared"
        if run.batch("evaluation").targets is None
        else "its targets were not to be compared with its outputs"
    )
    reported = [
        named(name) for name in dict.fromkeys(name for row in per_epoch(run) for name in row if name not in _OWN)
    ]
    said = f" What is known of its success is what the training loop reported: {listed(reported, most=6)}."
    one = noun(run)
    text = Text(
        f"So this page has no accuracy and no errors of single {one}s; what it says of activations, channels and the "
        "embedding does not need them. To have the outputs scored, hand targets over (evaluation=(inputs, targets)), "
        "or name the task (task=...).",
    )
    return Section("unscored", "Nothing is scored", f"{why[0].upper()}{why[1:]}.{said if reported else ''}", (text,))


_OWN = ("step", "epoch")
