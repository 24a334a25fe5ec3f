"""What sections share."""

from dataclasses import replace

from reportgen.core.run import Layer
from reportgen.sections.context import Context, Options
from reportgen.store import open_run

LAYERS = (
    Layer("conv", "Conv", (8, 8, 4)),
    Layer("bn", "BatchNorm", (8, 8, 4), reads="conv"),
    Layer("drop", "Dropout", (8, 8, 4), same_as="bn"),
    Layer("bn/max_pool", "max_pool", (4, 4, 4), reads="bn", is_module=False),
    Layer("bn/relu", "relu", (4, 4, 4), reads="bn/max_pool", is_module=False),
    Layer("bn/mean", "mean", (4,), reads="bn/relu", is_module=False),
    Layer("next", "Conv", (4, 4, 4), reads="bn/relu"),
    Layer("next/relu", "relu", (4, 4, 4), reads="next", is_module=False),
)


def test_the_activation_after_a_convolution_is_found_through_normalisation_dropout_and_pooling(recorded):
    context = Context(replace(open_run(recorded), layers=LAYERS, activations={}), Options(0, 12))
    assert [layer.path for layer in context.after(LAYERS[0])] == ["bn/relu"]
    assert [layer.path for layer in context.after(LAYERS[6])] == ["next/relu"]
