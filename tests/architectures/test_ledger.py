"""The ledger is whole, and says that nothing is wrong."""

from tests.architectures import ledger
from tests.architectures.registry import ARCHITECTURES, OTHERS, PICTURES, SEQUENCES

WRITTEN = ledger.PAGE.read_text()


def test_there_are_as_many_as_promised_and_no_name_twice():
    assert len(ARCHITECTURES) >= 120
    assert len(ARCHITECTURES) == sum(len(family.MODELS) for family in (*PICTURES, *SEQUENCES, *OTHERS))


def test_each_architecture_stands_in_the_ledger():
    listed = {line.split(" | ")[0].removeprefix("| ") for line in WRITTEN.splitlines() if line.startswith("| ")}
    assert set(ARCHITECTURES) <= listed


def test_nothing_is_wrong_and_few_are_refused():
    totals = [line.split(" | ") for line in WRITTEN.splitlines() if line.startswith("| jax ")]
    assert int(totals[0][1]) == len(ARCHITECTURES)
    for _, _, wrong, refused, _ in totals:
        assert int(wrong) == 0
        assert int(refused) <= 0.05 * len(ARCHITECTURES)


def test_a_fault_is_told_from_a_refusal():
    fine = {"library": "Linen", "captured": 3, "operations": 2, "failed": {}, "missed": {"a": "why"}, "silent": []}
    assert ledger.wrong(fine) == [] and ledger.wrong({"library": "NNX", "refused": "a sentence"}) == []
    assert ledger.wrong({"crash": "KeyError: 'x'"}) == ["KeyError: 'x'"]
    assert ledger.wrong({**fine, "failed": {"conv": "differs"}, "silent": ["nn.relu of [3, 4]"]}) == [
        "conv differs",
        "silent: nn.relu of [3, 4]",
    ]
    text = ledger.page(
        {"jax 1, flax 1": {"resnet": fine | {"ratio": 1.5}}, "jax 2, flax 2": {"resnet": {"crash": "no | x"}}}
    )
    assert "| jax 1, flax 1 | 1 | 0 | 0 | 1.5 |" in text and "| jax 2, flax 2 | 1 | 1 | 0 | not measured |" in text
    assert "| resnet | Linen | 3 | 2 of 2 | a: why | built | 1.5 |" in text
    assert "| resnet, jax 2, flax 2 |  |  |  |  | wrong: no \\| x | |" in text


def test_the_audit_finds_what_a_capture_keeps_silent_about():
    from reportgen.capture import prepare
    from tests.architectures.audit import silent
    from tests.architectures.variables import variables_for

    example = ARCHITECTURES["dueling"]()
    variables = variables_for(example.model, *example.arguments)
    capture = prepare(example.model, variables, example.inputs)
    values = dict(capture(variables, example.inputs)[1])
    assert silent(example, variables, capture.network, values) == []
    del values["trunk/relu"]
    assert silent(example, variables, capture.network, values) == ["flax.linen.relu of [3, 8]"]
