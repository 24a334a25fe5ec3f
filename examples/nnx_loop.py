"""The same for an NNX model, with BatchNorm and Dropout: the recorder never changes the model."""

import optax
from flax import nnx
from sklearn.datasets import load_digits

import reportgen

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
rngs = nnx.Rngs(0)
maps = (nnx.Conv(1, 8, (3, 3), rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.relu, nnx.Dropout(0.2, rngs=rngs))
model = nnx.Sequential(*maps, lambda x: x.reshape(len(x), -1), nnx.Linear(512, 10, rngs=rngs))
optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, x, y):
    def loss_of(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    loss, gradient = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, gradient)
    return loss


probe, test = (images[1500:1508], labels[1500:1508]), (images[1500:], labels[1500:])
with reportgen.Recorder("runs/nnx", model, probe=probe, evaluation=test, overwrite=True) as recorder:
    for _ in range(3):
        for start in range(0, 1500, 50):
            loss = train_step(model, optimizer, images[start : start + 50], labels[start : start + 50])
            recorder.step(model, loss=loss)
        recorder.epoch(model)
reportgen.build("runs/nnx").save("nnx.html")
