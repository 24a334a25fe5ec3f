"""All architectures of the tests by name: those whose capture the ledger proves.

ARCHITECTURES["resnet"]()   # Example(model, inputs, ...)
"""

from collections.abc import Callable, Mapping

from tests.architectures import (
    audio,
    control,
    convnets,
    dense_prediction,
    fields,
    generative,
    graphs,
    language,
    linen_models,
    nnx_models,
    recurrent,
    tables,
    vision_transformers,
)
from tests.architectures.samples import Example

PICTURES = (linen_models, nnx_models, convnets, dense_prediction, vision_transformers, generative)
SEQUENCES = (language, recurrent, audio)
OTHERS = (graphs, fields, control, tables)

ARCHITECTURES: Mapping[str, Callable[[], Example]] = {
    name: build for family in (*PICTURES, *SEQUENCES, *OTHERS) for name, build in family.MODELS.items()
}
