"""SqueezeNet's pretrained weights on two faces, against the values that came with them."""

import csv
import html
import re

import numpy as np
import pytest

import reportgen
from reportgen import inspect

EYES = {13: (1651.4, 1637.6, 484.9, 1643.1), 46: (855.1, 840.8, 465.8, 842.1)}
"""Channel -> maxima over rows 4 to 6: left and right eye on the face, left and right with one eye covered."""


def look(data_folder, **options):
    folder = data_folder / "squeezenet"
    images = [folder / "face.png", folder / "face-one-eye.png"]
    return inspect("squeezenet", images, weights=folder / "squeezenet1_1_notop.safetensors", **options)


@pytest.fixture(scope="module")
def page(data_folder, tmp_path_factory):
    """The command of the documentation: the page's text, and the folder of its numbers."""
    folder = tmp_path_factory.mktemp("face")
    built = look(data_folder, layers=["conv1", "fire6/squeeze1x1*"], channels=[13, 46])
    built.write_numbers(folder)
    text = built.save(folder / "face.html").read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<[^>]*>", "", text)).replace("\N{NO-BREAK SPACE}", " "), folder


def test_both_eyes_have_the_known_values(data_folder):
    from reportgen.data.pictures import as_pictures
    from reportgen.inspection import from_model, inspect_network

    folder = data_folder / "squeezenet"
    network = from_model("squeezenet", weights=folder / "squeezenet1_1_notop.safetensors")
    pictures = as_pictures([folder / "face.png", folder / "face-one-eye.png"])
    run = inspect_network(network, pictures, layers=["fire6/squeeze1x1/relu"])
    maps = run.observations[0].maps["fire6/squeeze1x1/relu"]
    for channel, known in EYES.items():
        eyes = [maps[i, 4:7, columns, channel].max() for i in range(2) for columns in (slice(4, 7), slice(7, 9))]
        assert eyes == pytest.approx(known, rel=1e-3)
    # At a position of the covered eye's peak: rows 56 to 134 of 227, the middle at row and column 95.
    assert run.network.layers["fire6/squeeze1x1/relu"].field.centre(5, 5) == (95, 95)


def test_the_page_says_it_in_its_own_words(page):
    text, _ = page
    assert (
        "Channels 13 and 46 of fire6/squeeze1x1/relu fall by 70.6 % and 45.5 % where face-one-eye.png differs from "
        "face.png, and stay within 1 % at their other peaks." in text
    )
    for channel, (left, right, covered, other) in EYES.items():
        told = re.search(
            rf"Channel {channel} of fire6/squeeze1x1/relu, from face.png to face-one-eye.png: of its \d peaks, the one "
            r"on the left, at \(5, 5\), falls by ([\d.]+) % \(([\d.,]+) to ([\d.,]+)\); on the right, at \(5, 8\), "
            r"stays within 1 % \(([\d.,]+) to ([\d.,]+)\)",
            text,
        )
        assert told is not None
        fall, *values = (float(number.replace(",", "")) for number in told.groups())
        assert fall == pytest.approx(100 * (1 - covered / left), abs=0.1) and fall > 40
        assert values == pytest.approx([left, covered, right, other], rel=1e-3)


def test_channels_csv_has_every_channel(page):
    _, folder = page
    with (folder / "channels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (64 + 48 + 48)
    of = {(row["image"], row["layer"], int(row["channel"])): row for row in rows}
    eye = of["face.png", "fire6/squeeze1x1/relu", 13]
    assert (eye["y"], eye["x"]) == ("5", "5") and float(eye["max"]) == pytest.approx(1651.4, rel=1e-3)
    eye = of["face-one-eye.png", "fire6/squeeze1x1/relu", 13]
    assert (eye["y"], eye["x"]) == ("5", "8") and float(eye["max"]) == pytest.approx(1643.1, rel=1e-3)
    first = [float(of["face.png", "conv1", channel]["max"]) for channel in range(64)]
    assert int(np.argmax(first)) == 0


def test_all_layers_of_both_images_fit_the_page(data_folder, tmp_path):
    small = look(data_folder)
    assert small.save(tmp_path / "small.html").stat().st_size <= 10_000_000
    assert "; feature maps of 1 of 2 probe images" in small.omitted
    path = reportgen.build(small.run, max_size=None).save(tmp_path / "all.html")
    assert path.stat().st_size < 15_000_000
    text = path.read_text(encoding="utf-8")
    assert "17,792 feature maps: 8,896 channels in 61 layers" in text
    assert "With 122 grids on this page" in text
