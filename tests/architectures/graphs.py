"""Graphs, point clouds and sets after their papers.

A batch of graphs is a dict: nodes [graph, node, feature], edges [graph, edge] from a sender to a receiver.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers

NODES = 5


def graphs(edge_features=0, places=False):
    random = np.random.default_rng(0)
    batch = {
        "nodes": numbers(3, NODES, 4),
        "senders": random.integers(0, NODES, (3, 8)).astype(np.int32),
        "receivers": random.integers(0, NODES, (3, 8)).astype(np.int32),
    }
    if edge_features:
        batch["edges"] = numbers(3, 8, edge_features, seed=1)
    if places:
        batch["places"] = numbers(3, NODES, 3, seed=2)
    return batch


gather = jax.vmap(lambda values, index: values[index])
sums = jax.vmap(lambda values, index: jax.ops.segment_sum(values, index, NODES))
largest = jax.vmap(lambda values, index: jax.ops.segment_max(values, index, NODES))


class GCN(nn.Module):
    """Kipf and Welling (2017): neighbours' features, by the roots of both degrees."""

    @nn.compact
    def __call__(self, graph):
        x, s, r = graph["nodes"], graph["senders"], graph["receivers"]
        degree = 1 + sums(jnp.ones(r.shape), r)
        for width in (6, 6):
            y = nn.Dense(width)(x) / jnp.sqrt(degree)[..., None]
            y = (y + sums(gather(y, s), r)) / jnp.sqrt(degree)[..., None]
            x = nn.relu(y)
        return nn.Dense(3, name="classes")(x)


class GAT(nn.Module):
    """Velickovic et al. (2018): a softmax over a node's neighbours."""

    @nn.compact
    def __call__(self, graph):
        x, s, r = graph["nodes"], graph["senders"], graph["receivers"]
        y = nn.Dense(6, use_bias=False, name="project")(x)
        scores = nn.Dense(1, name="receiver")(gather(y, r)) + nn.Dense(1, name="sender")(gather(y, s))
        scores = nn.leaky_relu(scores[..., 0], 0.2)
        top = largest(scores, r)
        weights = jnp.exp(scores - gather(jnp.where(jnp.isfinite(top), top, 0.0), r))
        weights = weights / (gather(sums(weights, r), r) + 1e-9)
        x = nn.elu(sums(weights[..., None] * gather(y, s), r))
        return nn.Dense(3, name="classes")(x)


class MPNN(nn.Module):
    """Gilmer et al. (2017): messages from edges, a GRU that updates nodes, a sum that reads the graph."""

    @nn.compact
    def __call__(self, graph):
        h = nn.Dense(6, name="embed")(graph["nodes"])
        message, update = nn.Dense(6, name="message"), nn.GRUCell(6, name="update")
        for _ in range(2):
            m = message(jnp.concatenate([gather(h, graph["senders"]), graph["edges"]], -1))
            h, _ = update(h, sums(nn.relu(m), graph["receivers"]))
        gate = nn.sigmoid(nn.Dense(6, name="gate")(h))
        return nn.Dense(4, name="head")((gate * nn.tanh(nn.Dense(6, name="read")(h))).sum(1))


class GraphSAGE(nn.Module):
    """Hamilton et al. (2017): own features beside the largest of the neighbours'."""

    @nn.compact
    def __call__(self, graph):
        x, s, r = graph["nodes"], graph["senders"], graph["receivers"]
        for number in range(2):
            pooled = largest(gather(nn.relu(nn.Dense(6, name=f"pool{number}")(x)), s), r)
            pooled = jnp.where(jnp.isfinite(pooled), pooled, 0.0)
            x = nn.relu(nn.Dense(6, name=f"merge{number}")(jnp.concatenate([x, pooled], -1)))
            x = x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)
        return nn.Dense(4, name="head")(x.mean(1))


class SchNet(nn.Module):
    """Schuett et al. (2017): filters that a network writes from distances; shifted softplus; an energy."""

    @nn.compact
    def __call__(self, graph):
        x, s, r = graph["nodes"], graph["senders"], graph["receivers"]
        distance = jnp.linalg.norm(gather(graph["places"], s) - gather(graph["places"], r) + 1e-6, axis=-1)
        basis = jnp.exp(-10.0 * (distance[..., None] - jnp.linspace(0, 3, 6)) ** 2)
        ssp = lambda x: nn.softplus(x) - jnp.log(2.0)  # noqa: E731
        x = nn.Dense(6, name="embed")(x)
        filters = (
            ssp(nn.Dense(6, name="filter")(basis))
            * jnp.where(distance < 3, 0.5 * (jnp.cos(distance) + 1), 0.0)[..., None]
        )
        y = sums(gather(nn.Dense(6, use_bias=False, name="in")(x), s) * filters, r)
        x = x + nn.Dense(6, name="out")(ssp(y))
        return nn.Dense(1, name="energy")(ssp(x)).sum((1, 2))


class EGNN(nnx.Module):
    """Satorras et al. (2021): features and places move together, equivariant to rotations."""

    def __init__(self, rngs):
        self.embed, self.edge1 = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(13, 8, rngs=rngs)
        self.edge2, self.place = nnx.Linear(8, 6, rngs=rngs), nnx.Linear(6, 1, rngs=rngs)
        self.node = nnx.Linear(12, 6, rngs=rngs)

    def __call__(self, graph):
        s, r, x = graph["senders"], graph["receivers"], graph["places"]
        h = self.embed(graph["nodes"])
        apart = gather(x, r) - gather(x, s)
        square = (apart**2).sum(-1, keepdims=True)
        m = jnp.concatenate([gather(h, r), gather(h, s), square], -1)
        m = nnx.silu(self.edge2(nnx.silu(self.edge1(m))))
        x = x + sums(apart * jnp.tanh(self.place(m)), r) / NODES
        return h + self.node(jnp.concatenate([h, sums(m, r)], -1)), x


class GIN(nnx.Module):
    """Xu et al. (2019): sums, and a perceptron that can tell multisets apart."""

    def __init__(self, rngs):
        self.eps = nnx.Param(jnp.zeros(()))
        self.layers = nnx.List(
            [nnx.Sequential(nnx.Linear(i, 6, rngs=rngs), nnx.relu, nnx.Linear(6, 6, rngs=rngs)) for i in (4, 6)]
        )
        self.head = nnx.Linear(12, 4, rngs=rngs)

    def __call__(self, graph):
        x, read = graph["nodes"], []
        for layer in self.layers:
            x = layer((1 + self.eps[...]) * x + sums(gather(x, graph["senders"]), graph["receivers"]))
            read.append(x.sum(1))
        return self.head(jnp.concatenate(read, -1))


class Aligner(nn.Module):
    """A matrix for each cloud, near the identity."""

    size: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.Dense(8)(x)).max(1)
        y = nn.Dense(self.size**2, kernel_init=nn.initializers.zeros)(y)
        return y.reshape(-1, self.size, self.size) + jnp.eye(self.size)


class PointNet(nn.Module):
    """Qi et al. (2017): the same perceptron for every point, then the largest of each channel."""

    @nn.compact
    def __call__(self, x, train=False):
        x = x @ Aligner(3, name="align")(x)
        for width in (6, 8):
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(width)(x)))
        return nn.Dense(4, name="head")(jnp.max(x, axis=1))


class EdgeConv(nn.Module):
    """Wang et al. (2019): a point's nearest neighbours, found anew in each layer's features."""

    @nn.compact
    def __call__(self, x):
        for width in (6, 8):
            apart = ((x[:, :, None] - x[:, None]) ** 2).sum(-1)
            _, nearest = jax.lax.top_k(-apart, 3)
            around = jax.vmap(lambda points, index: points[index])(x, nearest)
            own = jnp.broadcast_to(x[:, :, None], around.shape)
            y = nn.leaky_relu(nn.Dense(width)(jnp.concatenate([own, around - own], -1)), 0.2)
            x = y.max(2)
        return nn.Dense(4, name="head")(jnp.concatenate([x.max(1), x.mean(1)], -1))


class DeepSets(nnx.Module):
    """Zaheer et al. (2017): a sum over elements between two perceptrons."""

    def __init__(self, rngs):
        self.phi = nnx.Sequential(nnx.Linear(2, 6, rngs=rngs), nnx.tanh, nnx.Linear(6, 6, rngs=rngs))
        self.rho = nnx.Sequential(nnx.Linear(6, 6, rngs=rngs), nnx.elu, nnx.Linear(6, 1, rngs=rngs))

    def __call__(self, x):
        return self.rho(self.phi(x).sum(axis=1))[:, 0]


class SetTransformer(nnx.Module):
    """Lee et al. (2019): induced points look at the set, the set at them; seeds read the answer."""

    def __init__(self, rngs):
        self.embed = nnx.Linear(2, 8, rngs=rngs)
        self.induced = nnx.Param(jax.random.normal(rngs.params(), (1, 3, 8)))
        self.seed = nnx.Param(jax.random.normal(rngs.params(), (1, 1, 8)))
        self.into, self.back, self.pool = (nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs) for _ in range(3))
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        x = self.embed(x)
        inner = self.into(jnp.repeat(self.induced[...], x.shape[0], 0), x)
        x = x + self.back(x, inner)
        return self.head(self.pool(jnp.repeat(self.seed[...], x.shape[0], 0), x)[:, 0])


MODELS = {
    "gcn": lambda: Example(GCN(), graphs()),
    "gat": lambda: Example(GAT(), graphs()),
    "mpnn": lambda: Example(MPNN(), graphs(edge_features=2), 4),
    "graphsage": lambda: Example(GraphSAGE(), graphs(), 4),
    "schnet": lambda: Example(SchNet(), graphs(places=True)),
    "egnn": lambda: Example(EGNN(nnx.Rngs(0)), graphs(places=True)),
    "gin": lambda: Example(GIN(nnx.Rngs(0)), graphs(), 4),
    "pointnet": lambda: Example(PointNet(), numbers(3, 7, 3), 4),
    "edgeconv": lambda: Example(EdgeConv(), numbers(3, 7, 3), 4),
    "deep_sets": lambda: Example(DeepSets(nnx.Rngs(0)), numbers(3, 6, 2)),
    "set_transformer": lambda: Example(SetTransformer(nnx.Rngs(0)), numbers(3, 6, 2), 4),
}
