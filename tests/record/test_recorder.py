"""The recorder in a user's own loop: what lands in the run, and what may not be disturbed."""

import math
import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

from reportgen.core.run import CLOCK
from reportgen.errors import DataError, ModelError, OptionError, RunError
from reportgen.record import Keep, Recorder, Start, prepared
from reportgen.record import recorder as module
from reportgen.store import RunWriter, open_run


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(3, (3, 3), name="conv")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = nn.Dropout(0.5, deterministic=not train, name="drop")(x)
        return nn.Dense(4, name="output")(nn.tanh(nn.Dense(6, name="hidden")(x.reshape(len(x), -1))))


RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (230, 5, 5, 1)).astype(np.float32) / 255
LABELS = RANDOM.integers(0, 4, 230)
DATA = {"probe": (IMAGES[:3], LABELS[:3]), "evaluation": (IMAGES, LABELS)}


@pytest.fixture(scope="module")
def variables():
    return Net().init(jax.random.key(0), IMAGES[:1])


@pytest.fixture(scope="module")
def update():
    """A jitted step that donates its parameters, as a fast loop does."""

    def loss_of(params, stats, key, images, labels):
        scores, changed = Net().apply(
            {"params": params, "batch_stats": stats}, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean(), changed["batch_stats"]

    def step(params, stats, key):
        (loss, stats), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            params, stats, key, IMAGES[:20], LABELS[:20]
        )
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), stats, loss

    return jax.jit(step, donate_argnums=(0, 1))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, variables, update):
    """A run of 2 epochs of 3 steps, and the parameters and statistics after every step."""
    path = tmp_path_factory.mktemp("recorder") / "run"
    params, stats = (jax.tree.map(jnp.copy, variables[name]) for name in ("params", "batch_stats"))
    kept = [jax.tree.map(np.array, (params, stats))]
    losses = []
    with Recorder(path, Net(), variables, **DATA, classes=list("abcd"), config={"seed": 7}) as recorder:
        for epoch in range(2):
            for number in range(3):
                params, stats, loss = update(params, stats, jax.random.key(3 * epoch + number))
                recorder.step(params, loss=loss, rate=jnp.float32(0.5))
                losses.append(float(loss))
                kept.append(jax.tree.map(np.array, (params, stats)))
            recorder.epoch({"params": params, "batch_stats": stats}, note=epoch)
    return open_run(path), kept, losses


def test_every_step_is_kept_although_the_loop_donates_its_parameters(recorded):
    run, kept, losses = recorded
    assert list(run.snapshots) == list(range(7))
    for step, (params, _) in enumerate(kept):
        found = run.snapshots[step].params
        assert set(found) == {f"{a}/{b}" for a, below in params.items() for b in below}
        for name, value in found.items():
            layer, leaf = name.split("/")
            np.testing.assert_array_equal(value, params[layer][leaf])
    assert [np.float32(row["train_loss"]) for row in run.steps] == losses
    assert [row["rate"] for row in run.steps] == [0.5] * 6
    assert [(row["step"], row["epoch"]) for row in run.steps] == [(s, 1 + (s > 3)) for s in range(1, 7)]
    assert [run.snapshots[s].epoch for s in range(7)] == [0, 1, 1, 1, 2, 2, 2]


def test_the_run_says_what_was_recorded(recorded):
    run, _, _ = recorded
    assert run.status == "finished" and run.classes == tuple("abcd")
    assert run.config == {"model": "Net", "seed": 7, "snapshot_every": 1, "layers": ["*"]}
    assert run.embed_layer == "hidden/tanh"
    assert list(run.observations) == [0, 3, 6]
    assert [row["epoch"] for row in run.epochs] == [0, 1, 2]
    assert [row.get("note") for row in run.epochs] == [None, 0, 1]
    assert run.network.uncaptured == {} and run.problems == ()
    np.testing.assert_array_equal(run.batch("probe").images, IMAGES[:3])
    np.testing.assert_array_equal(run.batch("evaluation").images, IMAGES)
    np.testing.assert_array_equal(run.batch("evaluation").labels, LABELS)


@pytest.mark.parametrize("step", [0, 6])
def test_activations_equal_plain_numpy(recorded, step):
    run, kept, _ = recorded
    params, stats = kept[step]
    values = forward(params, stats["norm"], IMAGES)
    found = run.observations[step]

    def near(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

    for path, value in values.items():
        near(found.maps[path], value[:3])
    scores = values["output"]
    predictions = np.argmax(scores, axis=1)
    clear = np.sort(scores, axis=1)[:, -1] - np.sort(scores, axis=1)[:, -2] > 1e-4
    np.testing.assert_array_equal(found.outcome.predictions[clear], predictions[clear])
    assert clear.mean() > 0.9
    np.testing.assert_allclose(
        found.outcome.logit_gap, scores.max(1) - scores[np.arange(len(LABELS)), LABELS], rtol=1e-3, atol=1e-4
    )
    near(found.vectors["evaluation"], values["hidden/tanh"])
    near(found.vectors["embedding"], values["hidden/tanh"])

    correct = found.outcome.predictions == LABELS
    assert found.outcome.label_counts.tolist() == [int(np.sum(correct & (label == LABELS))) for label in range(4)]
    assert 0 < correct.sum() < len(LABELS)
    for path, value in values.items():
        expected = np.zeros((4, value.shape[-1]))
        for number, label in enumerate(LABELS):
            if correct[number]:
                for channel in range(value.shape[-1]):
                    expected[label, channel] += value[number, ..., channel].sum()
        assert found.outcome.label_sums[path].dtype == np.float64
        near(found.outcome.label_sums[path], expected)
        every = value.reshape(len(LABELS), -1, value.shape[-1]).sum(axis=1)
        near(found.outcome.missed_sums[path], [every[~correct & (label == LABELS)].sum(axis=0) for label in range(4)])
    sums = [IMAGES[correct & (label == LABELS)].sum(dtype=np.float64) for label in range(4)]
    np.testing.assert_allclose(found.outcome.input_sums, sums, rtol=1e-5)


def forward(params, stats, x):
    """The network in NumPy."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.stack([padded[:, r : r + 5, c : c + 5] for r in range(3) for c in range(3)], -2)
    kernel = params["conv"]["kernel"]
    conv = np.einsum("byxki,kio->byxo", patches, kernel.reshape(9, *kernel.shape[2:])) + params["conv"]["bias"]
    norm = (conv - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    norm = norm * params["norm"]["scale"] + params["norm"]["bias"]
    relu = np.maximum(norm, 0)
    hidden = relu.reshape(len(x), -1) @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    output = np.tanh(hidden) @ params["output"]["kernel"] + params["output"]["bias"]
    return {
        **{"conv": conv, "norm": norm, "norm/relu": relu},
        **{"hidden": hidden, "hidden/tanh": np.tanh(hidden), "output": output},
    }


def test_step_does_not_wait_for_the_device(tmp_path, variables, monkeypatch):
    """Values are fetched in the writer's thread alone, and `step` has returned before they are."""
    fetched, go_on = [], threading.Event()
    numbers = module.numbers

    def slow(values):
        if "train_loss" in values:
            go_on.wait(60)
            fetched.append((threading.current_thread().name, type(values["train_loss"])))
        return numbers(values)

    monkeypatch.setattr(module, "numbers", slow)
    with Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder:
        for loss in (1, 2, 3):
            recorder.step(variables["params"], loss=jnp.float32(loss))
        assert fetched == []
        go_on.set()
    assert fetched == [("reportgen-writer", type(jnp.zeros(())))] * 3
    assert [row["train_loss"] for row in open_run(tmp_path / "run").steps] == [1, 2, 3]


def test_recording_leaves_the_users_variables_alone(recorded, variables):
    again = Net().init(jax.random.key(0), IMAGES[:1])
    jax.tree.map(np.testing.assert_array_equal, variables, again)


def test_a_train_state_and_batch_statistics(tmp_path, variables):
    class WithStats(TrainState):
        batch_stats: dict

    state = WithStats.create(
        apply_fn=Net().apply, params=variables["params"], tx=optax.sgd(0.1), batch_stats=variables["batch_stats"]
    )
    with Recorder(tmp_path / "run", Net(), state, **DATA) as recorder:
        state = state.apply_gradients(grads=jax.tree.map(jnp.ones_like, state.params))
        recorder.step(state, loss=1.0)
        recorder.epoch(state)
        with pytest.raises(OptionError, match="epoch\\(\\) was given params without batch_stats"):
            recorder.epoch(state.params)
        with pytest.raises(OptionError, match="type int is neither a params tree"):
            recorder.step(3)
    run = open_run(tmp_path / "run")
    change = run.snapshots[1].params["output/bias"] - run.snapshots[0].params["output/bias"]
    np.testing.assert_allclose(change, -0.1, rtol=1e-6)


def test_an_nnx_model_is_recorded_and_left_alone(tmp_path):
    class Small(nnx.Module):
        def __init__(self, rngs):
            self.conv = nnx.Conv(1, 3, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.layers = nnx.List([nnx.Linear(75, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)])

        def __call__(self, x):
            x = self.drop(nnx.relu(self.norm(self.conv(x))))
            return self.layers[1](nnx.tanh(self.layers[0](x.reshape(len(x), -1))))

    model, twin = Small(nnx.Rngs(0)), Small(nnx.Rngs(0))

    @nnx.jit
    def train(model):
        def loss_of(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(IMAGES[:20]), LABELS[:20]).mean()

        loss, gradient = nnx.value_and_grad(loss_of)(model)
        params = nnx.state(model, nnx.Param)
        nnx.update(model, jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient))
        return loss

    with Recorder(tmp_path / "run", model, **DATA) as recorder:
        for step in range(3):
            loss = train(model)
            recorder.step([model, nnx.state(model, nnx.Param), nnx.state(model)][step], loss=loss)
        recorder.epoch(model)
    for _ in range(3):
        train(twin)
    # Statistics, random streams and parameters are what they would be without a recorder.
    jax.tree.map(
        lambda a, b: (
            np.testing.assert_array_equal(jax.random.key_data(a), jax.random.key_data(b))
            if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key)
            else np.testing.assert_array_equal(a, b)
        ),
        nnx.to_pure_dict(nnx.state(model)),
        nnx.to_pure_dict(nnx.state(twin)),
    )
    run = open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.snapshots[3].params["layers/1/kernel"], model.layers[1].kernel.get_value())
    assert run.embed_layer == "layers/0/tanh"
    stats = {"mean": np.asarray(model.norm.mean), "var": np.asarray(model.norm.var)}
    params = run.snapshots[3].params
    named = {
        name: {leaf.rsplit("/", 1)[1]: params[leaf] for leaf in params if leaf.startswith(f"{place}/")}
        for name, place in {"conv": "conv", "norm": "norm", "hidden": "layers/0", "output": "layers/1"}.items()
    }
    expected = forward(named, stats, IMAGES[:3])
    np.testing.assert_allclose(run.observations[3].maps["layers/1"], expected["output"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_in_the_loop_leaves_a_run_that_can_be_read(tmp_path, variables, error):
    with pytest.raises(error), Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder:
        recorder.step(variables["params"], loss=1.0)
        raise error
    run = open_run(tmp_path / "run")
    assert run.status == ("interrupted" if error is KeyboardInterrupt else "failed")
    assert list(run.snapshots) == [0, 1] and list(run.observations) == [0]


def test_a_failure_of_the_writer_is_raised_in_the_loop(tmp_path, variables, monkeypatch):
    write = RunWriter.record

    def full(self, step, *rest, **options):
        if step == 2:
            raise RunError("no space left")
        write(self, step, *rest, **options)

    monkeypatch.setattr(RunWriter, "record", full)
    steps = 0
    with (
        pytest.raises(RunError, match="no space left"),
        Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder,
    ):
        for steps in range(1, 500):  # noqa: B007
            recorder.step(variables["params"], loss=1.0)
            threading.Event().wait(0.01)
    assert 2 <= steps < 499
    assert list(open_run(tmp_path / "run").snapshots) == [0, 1]
    assert open_run(tmp_path / "run").status == "failed"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("batch", [0, 1, 2, 3, 4, 5]), ("epoch", [0, 5]), (2, [0, 2, 4, 5]), (None, [0, 1, 2, 3, 4, 5])],
)
def test_how_often_snapshots_are_kept(tmp_path, variables, asked, expected):
    with Recorder(
        tmp_path / "run", Net(), variables, probe=DATA["probe"], evaluation=DATA["probe"], keep=Keep(every=asked)
    ) as recorder:
        for _ in range(5):
            recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
    assert list(open_run(tmp_path / "run").snapshots) == expected


@pytest.mark.parametrize(
    ("share", "images", "words"),
    [(0.5, 3, "3 of 3, as float16: at"), (0.4, 2, "2 of 3, as float16: at"), (0.1, 1, "1 of 3, as float16, without ")],
)
def test_maps_are_kept_to_a_size(recorded, tmp_path, variables, monkeypatch, share, images, words):
    whole, _, _ = recorded
    assert "probe_kept" not in whole.provenance
    floats = sum(math.prod(layer.shape) for layer in whole.network.distinct)
    most = int(share * 3 * 4 * floats)
    monkeypatch.setattr(prepared, "MAPS_BYTES", most)
    with Recorder(tmp_path / "run", Net(), variables, **DATA):
        pass
    run, maps = open_run(tmp_path / "run"), open_run(tmp_path / "run").observations[0].maps
    assert run.problems == () and len(run.batch("probe").images) == images
    assert run.provenance["probe_kept"].startswith(words)
    left_out = words.endswith("without ")
    assert left_out == (len(maps) < len(whole.observations[0].maps))
    assert sum(array.nbytes for array in maps.values()) <= most
    for path, array in maps.items():
        assert array.dtype == np.float16 and len(array) == images
        np.testing.assert_allclose(array, whole.observations[0].maps[path][:images], rtol=1e-3, atol=1e-3)


def test_verification_is_noted_in_the_run(tmp_path, variables):
    with Recorder(tmp_path / "run", Net(), variables, **DATA, keep=Keep(layers=["conv"]), verify=True):
        pass
    provenance = open_run(tmp_path / "run").provenance
    assert provenance["verification"] == "7 of 7 operations verified"
    assert provenance["verification_flax"] == "5 of 5 module results equal Flax's own capture"
    assert provenance["verification_failed"] == {} and "flax_capture_not_used" not in provenance


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"probe": (IMAGES[:2], LABELS[:3])}, DataError, r"probe must be inputs, or .inputs, targets."),
        ({"probe": (IMAGES[:0], LABELS[:0])}, DataError, "probe must be"),
        (
            {"evaluation": (IMAGES, LABELS / 2)},
            DataError,
            r"targets are \[\d+\] of float64, and the output is \[\d+, 4\]",
        ),
        ({"classes": ["a", "b"]}, DataError, "labels run from 0 to 3, but there are 2 classes"),
        ({"probe": (IMAGES[:1], np.array([-1]))}, DataError, "labels run from -1"),
        ({"keep": Keep(every=0)}, OptionError, "can't be kept every 0"),
        ({"keep": Keep(every="hour")}, OptionError, "can't be kept every 'hour'"),
        ({"keep": Keep(embed="hiden")}, ModelError, "no layer 'hiden' to embed; did you mean hidden"),
        ({"keep": Keep(layers=["covn"])}, ModelError, "no layer matches 'covn'; did you mean conv"),
    ],
)
def test_bad_arguments_are_told_and_no_run_is_made(tmp_path, variables, changes, error, message):
    with pytest.raises(error, match=message):
        Recorder(tmp_path / "run", Net(), variables, **{**DATA, **changes})
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_is_not_recorded_over(tmp_path, variables):
    data = {"probe": DATA["probe"], "evaluation": DATA["probe"]}
    Recorder(tmp_path / "run", Net(), variables, **data).close()
    with pytest.raises(RunError, match="already holds a run"):
        Recorder(tmp_path / "run", Net(), variables, **data)
    Recorder(tmp_path / "run", Net(), variables, **data, overwrite=True).close()
    with (
        Recorder(tmp_path / "other", Net(), variables, **data),
        pytest.raises(RunError, match="still being recorded into by a Recorder of this process"),
    ):
        Recorder(tmp_path / "other", Net(), variables, **data, overwrite=True)


def test_a_snapshot_has_the_collections_that_were_handed_over_with_it(tmp_path, variables):
    moved = jax.tree.map(lambda leaf: leaf + 1, variables)
    with Recorder(tmp_path / "run", Net(), variables, **DATA) as recorder:
        recorder.step(moved["params"], loss=1.0)
        recorder.step(moved, loss=1.0)
        recorder.step(moved["params"], loss=1.0)
        recorder.epoch(moved)
    snapshots = open_run(tmp_path / "run").snapshots
    assert [sorted(snapshots[step].variables) for step in range(4)] == [
        *(["batch_stats", "params"], ["params"], ["batch_stats", "params"], ["batch_stats", "params"])
    ]
    np.testing.assert_array_equal(snapshots[0].variables["batch_stats"]["norm/var"], 1)
    np.testing.assert_array_equal(snapshots[3].variables["batch_stats"]["norm/var"], 2)
    assert set(snapshots[1].params) == set(snapshots[0].params)


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ({"layers": ["conv"]}, {"keep": Keep(layers=["conv"])}),
        ({"embed_layer": "hidden"}, {"keep": Keep(embed="hidden")}),
        ({"snapshot_every": "epoch"}, {"keep": Keep(every="epoch")}),
        ({"facts": {"train_images": 3}}, {"start": Start(facts={"train_images": 3})}),
        ({"initial": {"val_loss": 2.5}}, {"start": Start(initial={"val_loss": 2.5})}),
    ],
    ids=str,
)
def test_the_options_of_the_release_before_are_taken_and_warned_about(tmp_path, variables, earlier, now):
    (name,), data = earlier, {"probe": DATA["probe"], "evaluation": DATA["probe"]}
    with pytest.warns(DeprecationWarning, match=rf"Recorder\({name}=...\) is (keep=Keep|start=Start)\("):
        Recorder(tmp_path / "before", Net(), variables, **data, **earlier).close()
    Recorder(tmp_path / "now", Net(), variables, **data, **now).close()
    before, after = (open_run(tmp_path / folder) for folder in ("before", "now"))
    assert (before.config, before.embed_layer, before.epochs) == (after.config, after.embed_layer, after.epochs)
    assert set(before.observations[0].maps) == set(after.observations[0].maps)
    timeless = dict.fromkeys(CLOCK)
    assert {**before.provenance, **timeless} == {**after.provenance, **timeless}
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        Recorder(tmp_path / "other", Net(), variables, **data, layer="conv")


@pytest.mark.parametrize("step", [2, np.int64(2), jnp.int32(2)], ids=["int", "NumPy", "JAX"])
def test_a_recording_goes_on_from_a_step(tmp_path, variables, step):
    data = {"probe": DATA["probe"], "evaluation": DATA["probe"]}
    with Recorder(tmp_path / "run", Net(), variables, **data) as recorder:
        for _ in range(3):
            recorder.step(variables, loss=1.0)
            recorder.epoch(variables)
    with Recorder(tmp_path / "run", Net(), variables, **data, start=Start(resume_at=step)) as recorder:
        recorder.step(variables, loss=2.0)
        recorder.epoch(variables)
    run = open_run(tmp_path / "run")
    assert list(run.snapshots) == list(run.observations) == [0, 1, 2, 3]
    assert [row["train_loss"] for row in run.steps] == [1, 1, 2] and run.observations[3].epoch == 3
    with pytest.raises(OptionError, match="resume_at must be"):
        Start(resume_at="2")


def test_another_network_does_not_go_on_with_a_run(tmp_path, variables):
    Recorder(tmp_path / "run", Net(), variables, **DATA).close()
    other = nn.Conv(4, (5, 5), padding="VALID")
    with pytest.raises(RunError, match=r"of another network: conv/bias is missing, not \(3,\), as it is in the run"):
        Recorder(
            tmp_path / "run", other, other.init(jax.random.key(0), IMAGES), probe=IMAGES[:3], start=Start(resume_at=0)
        )
    with pytest.raises(RunError, match="is a run of other data: its probe examples differ"):
        changed = {**DATA, "probe": (IMAGES[3:6], LABELS[:3])}
        Recorder(tmp_path / "run", Net(), variables, **changed, start=Start(resume_at=0))
    with pytest.raises(RunError, match="no snapshot of step 7 to go on from; the nearest are of steps 0"):
        Recorder(tmp_path / "run", Net(), variables, **DATA, start=Start(resume_at=7))
    with pytest.raises(OptionError, match=r"either replaced .* or gone on with"):
        Recorder(tmp_path / "run", Net(), variables, **DATA, overwrite=True, start=Start(resume_at=0))
    assert list(open_run(tmp_path / "run").snapshots) == [0]
