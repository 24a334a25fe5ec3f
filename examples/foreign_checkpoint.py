"""A checkpoint from another framework, converted to a Flax model's names and layout and recorded without training.

scikit-learn stands in for the other framework: its multi-layer perceptron is saved as PyTorch would save
it, kernels [out, in] under its own names, and predicts the same in Flax.
"""

import jax
import numpy as np
from flax import linen as nn
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import reportgen
from reportgen.weights import load_into, read

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
other = MLPClassifier((32,), tol=1e-3, random_state=0).fit(images[:1500], labels[:1500])
saved = {f"layers.{i}.weight": kernel.T.astype("float32") for i, kernel in enumerate(other.coefs_)}
saved |= {f"layers.{i}.bias": bias.astype("float32") for i, bias in enumerate(other.intercepts_)}
np.savez("other.npz", **saved)

model = nn.Sequential([nn.Dense(32), nn.relu, nn.Dense(10)])
expected = jax.eval_shape(model.init, jax.random.key(0), images[:1])["params"]
rules = ["layers/0=layers_0", "layers/1=layers_2", "weight=kernel"]
params = load_into(read("other.npz"), expected, rename=rules, layout="oihw")

probe, test = (images[1500:1508], labels[1500:1508]), (images[1500:], labels[1500:])
with reportgen.Recorder("runs/foreign", model, params, probe=probe, evaluation=test, overwrite=True) as recorder:
    print(f"accuracy in scikit-learn {other.score(*test):.4f}, in Flax {recorder.accuracy:.4f}")
reportgen.build("runs/foreign", title="A perceptron of scikit-learn").save("foreign.html")
