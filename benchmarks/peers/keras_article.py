"""The whole job the way it is usually written: Keras, umap-learn's defaults, matplotlib with an axes per channel.

python -m benchmarks.peers.keras_article digits.npz out 3

Draws less than the report does: the maps of one image instead of ten, no page, no SVG. pyplot at its
default size, figures closed after use. Prints the largest resident memory in bytes.
"""

import io
import os
import resource
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import read_digits

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

POINTS = 2000
CONVOLUTIONS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2")


def main(file: str, out: str, epochs: str) -> None:
    """Train with callbacks, then draw."""
    import keras
    from keras import layers

    folder = Path(out)
    images, labels, x_test, y_test = read_digits(file)
    keras.utils.set_random_seed(0)
    parts: list = [keras.Input(images.shape[1:])]
    for block in (1, 2):
        parts += [layers.Conv2D(32, 2, padding="same", name=f"conv{block}_{i}") for i in (1, 2)]
        parts += [layers.ReLU(), layers.MaxPooling2D(name=f"pool{block}"), layers.Dropout(0.2)]
    parts += [layers.Flatten(), layers.Dense(512, activation="relu", name="hidden"), layers.Dense(10)]
    model = keras.Sequential(parts)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    hidden = keras.Model(model.inputs, model.get_layer("hidden").output)
    points = images[:POINTS]

    class Keep(keras.callbacks.Callback):
        """Every batch's parameters to a file, the hidden layer before training and after each epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.step = 0
            self.vectors = [hidden.predict(points, verbose=0)]

        def save(self) -> None:
            np.savez(
                folder / f"{self.step:05d}.npz", **{w.path.replace("/", "."): np.asarray(w) for w in model.weights}
            )

        def on_train_begin(self, logs: object = None) -> None:
            self.save()

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.step += 1
            self.save()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.vectors.append(hidden.predict(points, verbose=0))

    keep = Keep()
    history = model.fit(
        images, labels, batch_size=min(100, len(images)), epochs=int(epochs), validation_data=(x_test, y_test),
        callbacks=[keep], verbose=0,
    )  # fmt: skip
    draw(folder, keras, model, history.history, keep, (points, labels[:POINTS]), (x_test, y_test))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def draw(folder: Path, keras, model, history, keep, points, test) -> None:  # type: ignore[no-untyped-def]
    """Curves, embedding and GIF, confusion, activity, maps, differences and scatter plots."""
    import matplotlib

    matplotlib.use("Agg")
    import imageio.v3 as iio
    from matplotlib import pyplot as plt
    from PIL import Image
    from umap import UMAP

    x_test, y_test = test
    for name in ("loss", "accuracy"):
        plt.plot(history[name])
        plt.plot(history[f"val_{name}"])
        plt.savefig(folder / f"{name}.png")
        plt.close()

    frames = []
    neighbors = min(40, len(points[0]) - 1)
    for vectors in keep.vectors:
        reducer = UMAP(n_neighbors=neighbors)
        layout = reducer.fit_transform(vectors)
        plt.scatter(layout[:, 0], layout[:, 1], c=points[1], cmap="tab10", s=5)
        buffer = io.BytesIO()
        plt.savefig(buffer, format="png")
        plt.close()
        frames.append(np.asarray(Image.open(buffer).convert("RGB")))
    iio.imwrite(folder / "epochs.gif", np.stack(frames), duration=500, loop=0)

    names = [*CONVOLUTIONS, "pool1", "pool2"]
    maps_of = keras.Model(model.inputs, [*model.outputs, *(model.get_layer(name).output for name in names)])
    scores, *maps = maps_of.predict(x_test, verbose=0)
    right = scores.argmax(axis=1) == y_test
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y_test, scores.argmax(axis=1)), 1)
    plt.imshow(confusion)
    plt.savefig(folder / "confusion.png")
    plt.close()

    inputs = np.array([x_test[right & (y_test == label)].sum() for label in range(10)])
    for name, value in zip(CONVOLUTIONS, maps, strict=False):
        sums = np.array([value[right & (y_test == label)].sum(axis=(0, 1, 2)) for label in range(10)])
        shares = sums / np.maximum(inputs, 1)[:, None]
        figure, places = plt.subplots(4, 8, figsize=(16, 8))
        for channel, place in enumerate(places.flat):
            place.bar(range(10), shares[:, channel])
            place.set_title(str(channel))
        figure.savefig(folder / f"activity-{name}.png")
        plt.close(figure)
    for name, value in zip(names, maps, strict=True):
        figure, places = plt.subplots(4, 8, figsize=(16, 8))
        for channel, place in enumerate(places.flat):
            place.imshow(value[0, :, :, channel], cmap="gray")
            place.axis("off")
        figure.savefig(folder / f"maps-{name}.png")
        plt.close(figure)

    steps = sorted(folder.glob("*.npz"))
    with np.load(steps[0]) as first, np.load(steps[-1]) as last:
        for name in first.files:
            before, change = first[name], last[name] - first[name]
            if before.ndim < 2:
                continue
            plt.scatter(before.ravel(), change.ravel(), s=1)
            plt.savefig(folder / f"scatter-{name}.png")
            plt.close()
            most = np.abs(change).max()
            if before.ndim == 2:
                plt.imshow(change, cmap="seismic", vmin=-most, vmax=most)
            else:
                figure, places = plt.subplots(4, 8, figsize=(16, 8))
                for channel, place in enumerate(places.flat):
                    place.imshow(change[:, :, 0, channel], cmap="seismic", vmin=-most, vmax=most)
                    place.axis("off")
            plt.savefig(folder / f"change-{name}.png")
            plt.close()
    wrong = np.flatnonzero(~right)[:50]
    figure, places = plt.subplots(5, 10, figsize=(15, 8))
    for index, place in zip(wrong, places.flat, strict=False):
        place.imshow(x_test[index, :, :, 0], cmap="gray")
        place.set_title(f"{y_test[index]} as {scores[index].argmax()}")
    figure.savefig(folder / "wrong.png")
    plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
