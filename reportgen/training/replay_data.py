"""The batches that a replay evaluates: from a dataset, with its preprocessing, or as the user hands them over.

data = replay_data("lenet", load_dataset("mnist5k"), None, None, None, None, preprocess=None)
data.batches["evaluation"]      # (inputs, labels), as the recorder takes them
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from reportgen.data import Dataset
from reportgen.errors import OptionError, expect
from reportgen.inspection.network import PREPROCESS_OF
from reportgen.inspection.preprocess import preprocessing
from reportgen.record.batches import batch_of, examples
from reportgen.training.loop import EMBED_SIZE, first_of_each_class


@dataclass(frozen=True)
class ReplayData:
    """`batches` for the recorder by name, and the `classes` of their labels; `example` is two inputs.

    `config` and `facts` are what run.json says of the data. `shape` is that of one image, for models that are built for
    it.
    """

    batches: Mapping[str, Any]
    classes: Sequence[str] | None
    example: Any
    config: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an input that is an image; that of a digit for others."""
        shape = np.shape(self.example)[1:] if isinstance(self.example, np.ndarray) else ()
        return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (28, 28, 1)


def replay_data(
    model: Any,
    dataset: Dataset | None,
    probe: Any,
    evaluation: Any,
    embedding: Any,
    classes: Sequence[str] | None,
    preprocess: str | Callable[[Any], Any] | None,
) -> ReplayData:
    """The data of a replay. Raises OptionError where none or too much is given, DataError for what can't be data."""
    expect("dataset", dataset, Dataset | None, "a Dataset, as reportgen.load_dataset returns it")
    if dataset is None:
        if probe is None:
            raise OptionError(
                "there is no data to evaluate the checkpoints on: give a dataset, or probe and evaluation", code="O103"
            )
        if preprocess is not None:
            raise OptionError(
                "a preprocessing is for a dataset; probe and evaluation are as the model takes them", code="O103"
            )
        return _given(probe, evaluation, embedding, classes)
    if probe is not None or evaluation is not None or embedding is not None or classes is not None:
        raise OptionError("the data is a dataset, or probe and evaluation: give one of them", code="O103")
    channels = dataset.image_shape[2]
    usual = PREPROCESS_OF.get(model if isinstance(model, str) else "", "unit")
    how = preprocessing(usual if preprocess is None else preprocess, channels)

    def seen(images: np.ndarray) -> np.ndarray:
        # What a dataset holds is from 0 to 1 already: the same bits as in a training.
        return images if how.stated.name == "unit" else how.apply(images * np.float32(255))

    probes, labels = first_of_each_class(dataset)
    evaluated = seen(dataset.test_images)
    embedded = dataset.train_images[:EMBED_SIZE]
    return ReplayData(
        {
            "probe": (seen(probes), labels),
            "evaluation": (evaluated, dataset.test_labels),
            "embedding": (seen(embedded), dataset.train_labels[:EMBED_SIZE]),
        },
        dataset.classes,
        evaluated[:2],
        {"dataset": dataset.name, "embed_size": EMBED_SIZE, "preprocess": how.stated.words},
        {
            "dataset_fingerprint": dataset.fingerprint,
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
        },
    )


def _given(probe: Any, evaluation: Any, embedding: Any, classes: Sequence[str] | None) -> ReplayData:
    batches = {"probe": probe, "evaluation": evaluation, "embedding": embedding}
    checked = {name: batch_of(name, data) for name, data in batches.items() if data is not None}
    first = checked["probe"]
    digest = hashlib.sha256()
    for batch in checked.values():
        for leaf in jax.tree.leaves((batch.inputs, batch.targets)):
            digest.update(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data)
    facts = {"data_fingerprint": digest.hexdigest()}
    return ReplayData(batches, classes, examples(first.inputs, 2), {"preprocess": "as handed over"}, facts)
