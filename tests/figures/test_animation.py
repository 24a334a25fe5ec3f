import io

import numpy as np
import pytest
from PIL import Image

from reportgen.errors import DataError
from reportgen.figures.animation import FOOT, HEAD, SIDE, animation
from reportgen.figures.palettes import CLASS_COLORS, rgb
from reportgen.figures.scatter import limits

RANDOM = np.random.default_rng(0)


def frames_of(made):
    picture = Image.open(io.BytesIO(made.gif))
    shown = []
    for index in range(picture.n_frames):
        picture.seek(index)
        shown.append((np.asarray(picture.convert("RGB")), picture.info["duration"]))
    return picture, shown


def test_one_picture_per_epoch_endless_at_500_ms():
    frames = RANDOM.normal(size=(6, 80, 2))
    made = animation(frames, np.arange(80) % 4, list("abcd"), [f"epoch {index}" for index in range(6)])
    picture, shown = frames_of(made)
    assert len(shown) == 6 and {duration for _, duration in shown} == {500} and picture.info["loop"] == 0
    assert (made.width, made.height) == picture.size == (SIDE, SIDE + HEAD + FOOT)
    assert made.frame_names == tuple(f"epoch {index}" for index in range(6)) and made.frame_ms == 500
    # The still is the last frame without the bar.
    assert (made.still.width, made.still.height) == (SIDE, SIDE + HEAD)
    assert "epoch 5" in made.still.svg and "epoch 4" not in made.still.svg
    assert made.still.svg.count("h0") >= 70 and "c3-stroke" in made.still.svg


@pytest.mark.parametrize("count", [3, 90])
def test_equal_frames_are_not_merged(count, monkeypatch):
    # 60 pixels of progress bar for 90 frames: the bar alone can't tell them apart.
    monkeypatch.setattr("reportgen.figures.animation.SIDE", 60)
    points = np.zeros((1, 2))
    made = animation([points] * count, np.zeros(1, int), [], ["the same"] * count, frame_ms=40)
    _, shown = frames_of(made)
    assert len(shown) == count == len(made.frame_names) and {duration for _, duration in shown} == {40}


def test_points_stand_at_their_places_in_their_colours():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    later = np.array([[5.0, 5.0], [10.0, 0.0], [0.0, 10.0], [np.nan, 1.0]])
    labels = np.array([0, 1, 2, 13])
    made = animation([points, later], labels, [], ["a", "b"])
    _, ((first, _), (second, _)) = frames_of(made)
    left, right, bottom, top = limits(points, later)
    for picture, cloud in ((first, points), (second, later)):
        for (x, y), label in zip(cloud, labels, strict=True):
            if np.isfinite(x):
                column = round((x - left) / (right - left) * SIDE)
                row = round(HEAD + (top - y) / (top - bottom) * SIDE)
                seen = picture[row - 1 : row + 1, column - 1 : column + 1].reshape(-1, 3).astype(int)
                assert np.abs(seen - rgb(CLASS_COLORS[label % 10])).sum(axis=1).min() <= 2
    column, row = round((10 - left) / (right - left) * SIDE), round(HEAD + (top - 10) / (top - bottom) * SIDE)
    assert (second[row - 8 : row + 8, column - 8 : column + 8] == 255).all()


def test_the_bar_at_the_foot_shows_how_far_the_film_has_run():
    made = animation(np.zeros((4, 3, 2)), np.zeros(3, int), [], list("abcd"))
    _, shown = frames_of(made)
    for index, (picture, _) in enumerate(shown):
        blue = (picture[-3].astype(int) == rgb("#2b6cb0")).all(axis=1)
        assert blue.sum() == SIDE * (index + 1) // 4 and blue[0]


def test_names_are_written_and_follow_their_points():
    far, near = np.full((20, 2), 8.0), np.full((20, 2), -8.0)
    corners = np.array([[-10.0, -10.0], [10.0, 10.0]])
    frames = [np.concatenate([far, corners]), np.concatenate([near, corners])]
    labels = np.array([0] * 20 + [1, 2])
    named = [picture for picture, _ in frames_of(animation(frames, labels, ["猫 name", "", ""], ["x", "x"]))[1]]
    bare = [picture for picture, _ in frames_of(animation(frames, labels, [], ["x", "x"]))[1]]
    changed = [np.argwhere((one != other).any(axis=2)).mean(axis=0) for one, other in zip(named, bare, strict=True)]
    assert changed[0][1] > SIDE * 0.7 and changed[0][0] < HEAD + SIDE * 0.3
    assert changed[1][1] < SIDE * 0.3 and changed[1][0] > HEAD + SIDE * 0.7


def test_titles_differ_where_names_differ():
    clouds = np.zeros((2, 1, 2))
    _, ((first, _), (second, _)) = frames_of(animation(clouds, np.zeros(1, int), [], ["epoch 1", "epoch 2"]))
    changed = np.argwhere((first != second).any(axis=2))
    assert (changed[:, 0] < HEAD).any()


def test_no_colour_but_those_of_one_palette():
    frames = RANDOM.normal(size=(5, 400, 2))
    made = animation(frames, np.arange(400) % 10, [str(index) for index in range(10)], list("abcde"))
    _, shown = frames_of(made)
    colors = {color for picture, _ in shown for color in np.unique(picture @ [1, 256, 65536])}
    assert 10 < len(colors) <= 256
    # One global colour table, none of a frame's own: bit 7 of each image descriptor's flags is clear.
    assert made.gif[10] & 0x80
    flags = list(_descriptor_flags(made.gif))
    assert len(flags) == 5 and not any(flag & 0x80 for flag in flags)


def _descriptor_flags(gif):
    """The flag byte of every image in a GIF (GIF89a specification, section 20)."""
    at = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    while gif[at] != 0x3B:
        if gif[at] == 0x21:
            at += 2
        else:
            assert gif[at] == 0x2C
            yield gif[at + 9]
            at += 10 + (3 * 2 ** ((gif[at + 9] & 7) + 1) if gif[at + 9] & 0x80 else 0) + 1
        while gif[at]:
            at += gif[at] + 1
        at += 1


def test_the_same_bytes_every_time():
    frames = RANDOM.normal(size=(3, 50, 2))
    arguments = (frames, np.arange(50) % 12, [f"class {index}" for index in range(12)], ["a", "b", "c"])
    assert animation(*arguments) == animation(*arguments)


def test_frames_without_points_or_labels():
    made = animation([np.zeros((0, 2)), np.zeros((0, 2))], np.array([]), ["a"], ["x", "y"])
    assert len(frames_of(made)[1]) == 2
    assert len(frames_of(animation([np.full((3, 2), np.nan)], np.array([]), [], ["x"]))[1]) == 1


def test_a_name_per_frame_is_needed():
    with pytest.raises(DataError, match="a name per frame"):
        animation([], np.zeros(0), [], [])
    with pytest.raises(DataError, match="a name per frame"):
        animation(np.zeros((2, 1, 2)), np.zeros(1, int), [], ["only one"])


def test_names_that_no_font_has_are_squares_without_a_complaint():
    """Warnings are errors here; and the square is drawn where the character would be."""
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    shown, square, other = (
        animation([points], np.array([0, 1]), [f"a{name}", "b"], [f"epoch {name}"]).gif
        for name in ("\U000f0000", "□", "c")
    )
    assert shown == square != other
