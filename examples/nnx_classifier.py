"""A classifier in NNX, with BatchNorm and Dropout: the recorder never changes the model."""

import optax
from flax import nnx
from sklearn.datasets import load_digits

import reportgen

images, labels, rngs = (load_digits().images[..., None] / 16).astype("float32"), load_digits().target, nnx.Rngs(0)
maps = (nnx.Conv(1, 8, (3, 3), rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.relu, nnx.Dropout(0.2, rngs=rngs))
model = nnx.Sequential(*maps, lambda x: x.reshape(len(x), -1), nnx.Linear(512, 10, rngs=rngs))
optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels


@nnx.jit
def update(model, optimizer, x, y):
    loss, gradient = nnx.value_and_grad(lambda m: cross_entropy(m(x), y).mean())(model)
    optimizer.update(model, gradient)
    return loss


data = {"probe": (images[1500:1508], labels[1500:1508]), "evaluation": (images[1500:], labels[1500:])}
with reportgen.Recorder("runs/nnx", model, **data, overwrite=True) as recorder:
    for _ in range(3):
        for at in range(0, 1500, 50):
            loss = update(model, optimizer, images[at : at + 50], labels[at : at + 50])
            recorder.step(model, loss=loss)
        recorder.epoch(model)
reportgen.build("runs/nnx", title="Digits, classified in NNX").save("nnx.html")
