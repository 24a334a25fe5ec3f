"""Channel statistics against loops over every value."""

import math
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.analysis.channels import channel_stats, ranking, strongest
from reportgen.errors import OptionError

VALUES = st.one_of(st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf]), st.floats(-100, 100, width=32))


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4), elements=VALUES))
def test_against_a_loop(maps):
    stats = channel_stats(maps)
    images, *spatial, channels = maps.shape
    assert stats.position.shape == (images, channels, len(spatial))
    for image in range(images):
        for channel in range(channels):
            found = [(index, float(maps[(image, *index, channel)])) for index in np.ndindex(*spatial)]
            finite = [(index, value) for index, value in found if math.isfinite(value)]
            assert stats.non_finite[image, channel] == len(found) - len(finite)
            if not finite:
                assert np.isnan([stats.maximum[image, channel], stats.mean[image, channel]]).all()
                assert np.isnan(stats.minimum[image, channel])
                assert (stats.position[image, channel] == -1).all()
                continue
            top = max(value for _, value in finite)
            assert stats.maximum[image, channel] == top
            assert stats.minimum[image, channel] == min(value for _, value in finite)
            mean = math.fsum(value for _, value in finite) / len(finite)
            assert stats.mean[image, channel] == pytest.approx(mean, rel=1e-9, abs=1e-9)
            first = next(index for index, value in finite if value == top)
            assert tuple(stats.position[image, channel]) == first


def test_position_of_the_first_maximum_in_a_large_map():
    maps = np.maximum(np.random.default_rng(0).normal(size=(2, 61, 47, 9)).astype(np.float32) - 2, 0)
    maps[:, :, :, 3] = 0
    maps[1, 60, 46, 3] = 5
    stats = channel_stats(maps)
    for image in range(2):
        for channel in range(9):
            y, x = np.unravel_index(maps[image, :, :, channel].argmax(), (61, 47))
            assert stats.position[image, channel].tolist() == [y, x]


@pytest.mark.parametrize("value", [1.7e308, -1.7e308])
def test_values_near_the_largest_number(value):
    stats = channel_stats(np.full((1, 3, 3, 1), value))
    assert stats.mean[0, 0] == pytest.approx(value) and stats.non_finite[0, 0] == 0


def test_float16_means_do_not_overflow():
    stats = channel_stats(np.full((1, 30, 30, 2), 60_000, np.float16))
    assert stats.mean[0, 0] == float(np.float16(60_000))


def test_integer_maps():
    stats = channel_stats(np.array([[[[3, 200]], [[250, 1]]]], dtype=np.uint8))
    assert stats.maximum.tolist() == [[250, 200]] and stats.mean.tolist() == [[126.5, 100.5]]


def test_memory_stays_at_a_few_images():
    maps = np.ones((64, 56, 56, 16), np.float32)
    tracemalloc.start()
    channel_stats(maps)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < maps.nbytes / 4


def test_ranking_and_strongest():
    maps = np.zeros((2, 2, 1, 4))
    maps[0, :, 0] = [[1, 5, 2, np.nan], [4, 0, 5, np.nan]]
    maps[1] = np.nan
    stats = channel_stats(maps)
    assert [peak.channel for peak in ranking(stats, 0, "max")] == [1, 2, 0]
    assert [peak.channel for peak in ranking(stats, 0, "mean")] == [2, 0, 1]
    assert [peak.channel for peak in ranking(stats, 0, "mean", top=1)] == [2]
    best, none = strongest(stats)
    assert (best.image, best.channel, best.maximum, best.mean, best.position) == (0, 1, 5.0, 2.5, (0, 0))
    assert none is None
    with pytest.raises(OptionError, match="Existing: max, mean"):
        ranking(stats, 0, "median")


def test_dense_layers_have_no_position():
    stats = channel_stats(np.array([[1.0, 3.0, 2.0]]))
    assert stats.position.shape == (1, 3, 0)
    assert strongest(stats)[0].channel == 1 and strongest(stats)[0].position == ()


def test_one_number_for_each_image_is_one_channel():
    stats = channel_stats(np.array([2.0, np.nan, -1.0]))
    assert stats.maximum.tolist()[::2] == [[2.0], [-1.0]] and stats.non_finite.tolist() == [[0], [1], [0]]
    assert [peak and peak.channel for peak in strongest(stats)] == [0, None, 0]


def test_strongest_channel_on_a_real_picture():
    """A pretrained network's conv1, computed by hand: its strongest channel is known to be 0."""
    root = Path(os.environ.get("REPORTGEN_DATA", "")) / "squeezenet"
    if "REPORTGEN_DATA" not in os.environ or not root.is_dir():
        pytest.skip("REPORTGEN_DATA is not set to a folder with squeezenet/")
    from PIL import Image
    from safetensors.numpy import load_file

    weights = load_file(root / "squeezenet1_1_notop.safetensors")
    kernel, bias = weights["conv1/kernel"], weights["conv1/bias"]
    picture = np.asarray(Image.open(root / "face.png").convert("RGB"), dtype=np.float32)[..., ::-1]
    picture = picture - np.array([103.939, 116.779, 123.68], dtype=np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(picture, (3, 3), axis=(0, 1))[::2, ::2]
    maps = np.maximum(np.einsum("yxcij,ijco->yxo", patches, kernel) + bias, 0)[None]
    assert maps.shape == (1, 113, 113, 64)
    assert strongest(channel_stats(maps))[0].channel == 0
