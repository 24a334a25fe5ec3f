"""The run of one state that inspect_network makes, against the model's own forward pass."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx

import reportgen
from reportgen.data import make_dataset
from reportgen.data.pictures import as_pictures
from reportgen.errors import DataError, ModelError, OptionError, ReportgenError, RunError, WeightsError
from reportgen.inspection import from_model, from_run, inspect_network
from tests.conftest import tiny_dataset, tiny_model
from tests.inspection import nets
from tests.snapshots import rewrite


def inspect(pixels=None, takes=3, **options):
    model = nets.small()
    network = from_model(model, variables=options.pop("variables", None) or nets.variables(model, takes))
    return inspect_network(network, as_pictures(nets.pixels() if pixels is None else pixels), **options)


def maps(run):
    """The activations of a run of one state."""
    (observation,) = run.observations.values()
    return observation.maps


def inputs(run):
    return run.batch("probe").inputs


def by_hand(params, images):
    """conv1 and its relu in plain NumPy."""
    kernel, bias = (np.asarray(params["conv1"][name], np.float64) for name in ("kernel", "bias"))
    padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    made = np.zeros((*images.shape[:3], kernel.shape[3]))
    for y in range(images.shape[1]):
        for x in range(images.shape[2]):
            window = padded[:, y : y + 3, x : x + 3]
            made[:, y, x] = np.einsum("nhwc,hwco->no", window, kernel) + bias
    return made, np.maximum(made, 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_maps_are_what_the_model_computes(count):
    pixels = nets.pixels(count)
    found = inspect(pixels)
    before, after = by_hand(nets.variables(nets.small())["params"], pixels / np.float32(255))
    assert inputs(found).dtype == np.float32
    assert np.array_equal(inputs(found), pixels / np.float32(255))
    assert maps(found)["conv1"].shape == (count, 10, 12, 6)
    assert np.allclose(maps(found)["conv1"], before, atol=1e-5)
    assert np.allclose(maps(found)["conv1/relu"], after, atol=1e-5)
    output = nets.small().apply(nets.variables(nets.small()), inputs(found))
    assert np.allclose(maps(found)["output"], output, atol=1e-6)
    assert found.notes == ()


def test_layers_are_chosen_by_glob_and_the_other_side_of_relu_comes_along():
    found = inspect(layers=["conv1"])
    assert found.config["layers"] == ["conv1"]
    assert set(maps(found)) == {"conv1", "conv1/relu"}
    assert [layer.path for layer in found.network.layers.values()][:3] == ["conv1", "conv1/relu", "conv1/max_pool"]
    with pytest.raises(ReportgenError, match=r"no layer matches 'conf1'; did you mean conv1"):
        inspect(layers=["conf1"])


def test_a_channel_that_no_named_layer_has():
    run = inspect()
    with pytest.raises(OptionError, match=r"conv1(/relu)? has no channel 6") as problem:
        reportgen.build(run, layers=["conv1*"], channels=[6])
    assert "0 to 5, counted from 0" in str(problem.value)
    with pytest.raises(OptionError, match="conv2 has no channel 5: its channels are 0 to 3"):
        reportgen.build(run, layers=["conv1", "conv2"], channels=[5])
    with pytest.raises(OptionError, match="no channel -1"):
        reportgen.build(run, channels=[-1])
    chosen = next(s for s in reportgen.build(run, channels=[5]).document.sections if s.anchor == "chosen")
    assert "channel 5" in chosen.blocks[-1].title


def test_larger_images_work_where_the_model_allows():
    found = inspect(np.random.default_rng(0).integers(0, 256, (1, 31, 20, 3), dtype=np.uint8))
    assert found.network.layers.get("conv2").shape == (13, 8, 4)


def test_images_get_the_channels_that_the_parameters_need():
    grey = inspect(nets.pixels(channels=1))
    assert inputs(grey).shape[-1] == 3
    assert "repeated" in grey.batch("probe").notes[0]
    colour = inspect(nets.pixels(), takes=1)
    assert inputs(colour).shape[-1] == 1
    assert "made grey" in colour.batch("probe").notes[0]


def test_sizes_that_differ_are_refused_and_size_mends_it():
    images = [nets.pixels(1)[0], np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(DataError, match="two sizes"):
        inspect(images)
    assert inputs(inspect(images, size=(9, 9))).shape == (2, 9, 9, 3)


def test_nan_in_the_weights_is_counted_and_named():
    variables = jax.tree.map(np.array, nets.variables(nets.small()))
    variables["params"]["conv1"]["bias"][2] = np.nan
    found = inspect(variables=variables, layers=["conv1"])
    assert found.notes == (
        "NaN or infinite activations in conv1 (240 of 1,440 values); they are violet in the figures.",
    )


def test_verification_replays_every_operation():
    found = inspect(verify=True)
    count = sum(layer.alias_of is None for layer in found.network.layers.values())
    assert found.provenance["verification"] == f"{count} of {count} operations verified"


def test_an_nnx_module_brings_its_own_parameters():
    model = nets.Nnx(nnx.Rngs(0))
    found = inspect_network(from_model(model), as_pictures(nets.pixels()))
    assert np.allclose(maps(found)["head"], model(inputs(found)), atol=1e-6)
    assert found.provenance["parameters"] == "the parameters handed over"


def test_without_weights_the_page_is_warned():
    found = inspect_network(from_model("lenet"), as_pictures(np.zeros((1, 28, 28), np.uint8)), layers=["conv1"])
    assert "random initial values" in found.notes[0]
    assert found.provenance["parameters"] == "random initial values (seed 0)"


def test_a_built_in_model_brings_the_preprocessing_that_it_was_trained_with():
    assert from_model("squeezenet").preprocess == "caffe"
    assert from_model("lenet").preprocess == "unit"
    found = inspect(preprocess="caffe")
    expected = nets.pixels()[..., ::-1] - np.array([103.939, 116.779, 123.68])
    assert np.allclose(inputs(found), expected, atol=1e-4)
    assert found.batch("probe").preprocessing.planes == ("B", "G", "R")


def test_a_model_that_cannot_take_the_images():
    with pytest.raises(ModelError, match="at least 31x31"):
        inspect_network(from_model("squeezenet"), as_pictures(np.zeros((1, 12, 12, 3), np.uint8)))

    class Wrong(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Conv(2, (3, 3))(x).reshape(len(x), 7)

    with pytest.raises(ModelError, match="Wrong can't take images of 10x12x3"):
        inspect_network(from_model(Wrong()), as_pictures(nets.pixels()))


def test_weights_that_do_not_fit_are_listed_side_by_side(tmp_path):
    params = nets.variables(nets.small())["params"]
    flat = {f"{layer}/{name}": np.asarray(v) for layer, tree in params.items() for name, v in tree.items()}
    flat["conv_one/kernel"] = flat.pop("conv1/kernel")
    np.savez(tmp_path / "w.npz", **flat)
    network = from_model(nets.small(), weights=tmp_path / "w.npz")
    with pytest.raises(WeightsError, match=r"1 missing, 1 unexpected(.|\n)*conv1/kernel(.|\n)*conv_one/kernel"):
        inspect_network(network, as_pictures(nets.pixels()))
    network = from_model(nets.small(), weights=tmp_path / "w.npz", rename=["conv_one=conv1"])
    found = inspect_network(network, as_pictures(nets.pixels()))
    assert np.allclose(maps(found)["conv1"], maps(inspect())["conv1"])
    assert found.provenance["parameters"] == "w.npz"


def test_options_that_exclude_each_other():
    with pytest.raises(OptionError, match="give one of them"):
        from_model("lenet", weights="w.npz", variables={})
    with pytest.raises(OptionError, match="give --weights too"):
        from_model("lenet", rename=["a=b"])
    with pytest.raises(OptionError, match="a step chooses"):
        from_model("lenet", step=3)
    with pytest.raises(OptionError, match="no image was given"):
        inspect_network(from_model("lenet"), None)


def test_weights_and_labelled_images_may_both_tell_the_number_of_classes(tmp_path):
    params = nets.variables(nets.small())["params"]
    flat = {f"{layer}/{name}": np.asarray(v) for layer, tree in params.items() for name, v in tree.items()}
    np.savez(tmp_path / "w.npz", **flat)
    # The factory can't be called without a number of classes; a network without a classifier ignores it.
    for classes in (3, None):
        network = from_model("tests.inspection.nets:three_classes", weights=tmp_path / "w.npz", num_classes=classes)
        assert "output" in maps(inspect_network(network, as_pictures(nets.pixels())))
    with pytest.raises(ModelError, match="without the number of classes"):
        inspect_network(from_model("tests.inspection.nets:three_classes"), as_pictures(nets.pixels()))


@pytest.mark.parametrize("classes", [7, 10])
def test_the_number_of_classes_is_read_from_the_weights(tmp_path, classes):
    made = nets.classifier(classes)
    flat = {f"{a}/{b}": np.asarray(v) for a, tree in nets.variables(made)["params"].items() for b, v in tree.items()}
    np.savez(tmp_path / "w.npz", **flat)
    network = from_model("tests.inspection.nets:classifier", weights=tmp_path / "w.npz")
    found = inspect_network(network, as_pictures(nets.pixels()))
    assert found.snapshots[0].params["output/bias"].shape == (classes,)
    flat["hidden/bias"] = np.zeros(3, np.float32)
    np.savez(tmp_path / "bad.npz", **flat)
    with pytest.raises(WeightsError, match="hidden/bias"):
        inspect_network(
            from_model("tests.inspection.nets:classifier", weights=tmp_path / "bad.npz"), as_pictures(nets.pixels())
        )


def test_a_runs_network_gives_what_the_run_recorded(recorded):
    found = inspect_network(from_run(recorded, model=tiny_model()), None)
    from reportgen.store import open_run

    run = open_run(recorded)
    step = max(run.observations)
    for path in ("conv1", "conv1/relu", "hidden/relu", "output"):
        assert np.allclose(maps(found)[path], run.observations[step].maps[path], atol=1e-6)
    assert found.batch("probe").preprocessing.words == "as the run recorded them"
    assert found.provenance["parameters"] == f"the parameters of run 'run' at step {step}"
    assert len(found.batch("probe").names) == 10


def test_an_earlier_step_of_a_run(recorded):
    found = inspect_network(from_run(recorded, model=tiny_model(), step=0), None)
    from reportgen.store import open_run

    assert np.allclose(maps(found)["conv1"], open_run(recorded).observations[0].maps["conv1"], atol=1e-6)
    with pytest.raises(OptionError, match=r"no snapshot of step 99.*recorded: 0, 1, 2"):
        from_run(recorded, model=tiny_model(), step=99)


def test_a_run_that_does_not_tell_its_model(recorded):
    with pytest.raises(RunError, match="only its name 'tiny'"):
        from_run(recorded)


def test_pictures_of_another_size_than_the_runs_get_a_hint(recorded):
    pictures = as_pictures(np.zeros((1, 20, 20), np.uint8))
    with pytest.raises(ReportgenError, match="--size 8x8 resizes them"):
        inspect_network(from_run(recorded, model=tiny_model()), pictures)
    resized = inspect_network(from_run(recorded, model=tiny_model()), pictures, size=(8, 8))
    assert inputs(resized).shape == (1, 8, 8, 1)


def test_batch_statistics_of_a_run_are_found_where_they_were_kept(tmp_path):
    from reportgen.training import train

    data = tiny_dataset()
    train(tmp_path / "run", data, nets.normed(), model_name="tests.inspection.nets:normed", epochs=1, batch_size=100)
    found = inspect_network(from_run(tmp_path / "run"), None, layers=["norm"])
    from reportgen.store import open_run

    recorded = open_run(tmp_path / "run")
    assert np.allclose(maps(found)["norm"], recorded.observations[3].maps["norm"], atol=1e-6)
    assert maps(inspect_network(from_run(tmp_path / "run", step=2), None, layers=["norm"]))["norm"].size
    rewrite(  # as a loop that hands its parameters alone to step() leaves them
        tmp_path / "run",
        lambda step, tensors: {k: v for k, v in tensors.items() if step not in (1, 2) or k.startswith("params/")},
    )
    with pytest.raises(OptionError, match="batch_stats of the model were not recorded at step 2; choose one of 0, 3"):
        inspect_network(from_run(tmp_path / "run", step=2), None)


def naive(model, variables, images, labels):
    """Per image: maximum and position of every channel, sum of every channel, right or not."""
    output, state = model.apply(variables, images, capture_intermediates=True)
    maps = np.asarray(state["intermediates"]["conv2"]["__call__"][0], np.float64)
    return maps, np.asarray(output).argmax(axis=1) == labels


def test_what_excites_each_channel_agrees_with_a_loop():
    images = nets.pixels(230, seed=5)
    labels = np.random.default_rng(6).integers(0, 3, 230)
    data = make_dataset("made", images[:3], np.array([0, 1, 2]), images, labels, ["a", "b", "c"])
    found = inspect(layers=["conv2"], dataset=data)
    (observation,) = found.observations.values()
    top, outcome, evaluation = observation.top["conv2"], observation.outcome, found.batch("evaluation")
    maps, right = naive(nets.small(), nets.variables(nets.small()), data.test_images, labels)
    assert found.classes == ("a", "b", "c") and evaluation.size == 230
    assert np.array_equal(evaluation.targets, labels)
    assert np.allclose(evaluation.pictures, images, atol=1e-4)
    assert list(outcome.label_counts) == [int((right & (labels == label)).sum()) for label in range(3)]
    sums = [data.test_images[right & (labels == label)].sum(dtype=np.float64) for label in range(3)]
    assert outcome.input_sums == pytest.approx(sums, rel=1e-5)
    for channel in range(4):
        largest = maps[..., channel].reshape(230, -1).max(axis=1)
        order = np.argsort(-largest, kind="stable")[: len(top.values)]
        assert top.values[:, channel] == pytest.approx(largest[order], abs=1e-5)
        for rank, image in enumerate(top.examples[:, channel]):
            y, x = top.positions[rank, channel]
            assert maps[image, y, x, channel] == pytest.approx(top.values[rank, channel], abs=1e-5)
        for label in range(3):
            total = maps[right & (labels == label)][..., channel].sum()
            assert outcome.label_sums["conv2"][label, channel] == pytest.approx(total, abs=1e-3)


def test_a_dataset_that_the_network_gives_no_scores_for_counts_all_images():
    images = nets.pixels(12, channels=1)
    labels = np.arange(12) % 2
    data = make_dataset("two", images[:2], labels[:2], images, labels, ["a", "b"])
    found = inspect(layers=["conv1"], dataset=data)
    (observation,) = found.observations.values()
    assert list(observation.outcome.label_counts) == [6, 6]
    assert found.batch("evaluation").pictures.shape[-1] == 3
    activity = next(s for s in reportgen.build(found).document.sections if s.anchor == "activity")
    assert activity.finding == "No channel clearly prefers a label, over 12 evaluation images."


def test_the_run_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        inspect().kind = "other"
