from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from fallline.track.pictures import confusion_picture, mistakes_picture

HOSTILE = [
    "$x^{$",
    "</script>",
    "ünï 犬🐶",
    "a" * 300,
    "line\nbreak\x1b[31m",
    r"\frac",
    "%s{0}",
    "",
]
BLUE, ORANGE = np.array([0, 0, 1]), np.array([1, 0, 0])


def is_picture(array: np.ndarray) -> bool:
    height, width, channels = array.shape
    return array.dtype == np.uint8 and channels == 3 and max(height, width) <= 2200


def dominant(array: np.ndarray, channel: int, other: int) -> int:
    """How many pixels are clearly more of one channel than of another."""
    return int((array[..., channel].astype(int) - array[..., other] > 60).sum())


@pytest.mark.parametrize("count", [2, 10, 20, 100, 300])
def test_a_confusion_matrix_of_any_number_of_classes_is_a_picture(count: int) -> None:
    names = [f"class {i}" for i in range(count)]
    picture = confusion_picture(np.eye(count, dtype=int), names, "all right")
    assert is_picture(picture)
    assert min(picture.shape[:2]) > 300


def test_right_answers_are_blue_and_mistakes_orange() -> None:
    right = confusion_picture(np.diag([5, 5]), ["cat", "dog"], "t")
    wrong = confusion_picture(np.array([[0, 5], [5, 0]]), ["cat", "dog"], "t")
    assert dominant(right, 2, 0) > 10_000
    assert dominant(right, 0, 2) == 0
    assert dominant(wrong, 0, 2) > 10_000
    assert dominant(wrong, 2, 0) == 0


def test_a_class_without_images_is_drawn_empty() -> None:
    matrix = np.array([[3, 1], [0, 0]])
    assert is_picture(confusion_picture(matrix, ["cat", "dog"], "t"))


def test_hostile_names_are_drawn_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    count = len(HOSTILE)
    matrix = np.arange(count * count).reshape(count, count)
    images = np.zeros((count, 8, 8, 3), np.uint8)
    labels = np.arange(count)
    losses = np.array([np.inf, np.nan, 1e9, 3, 2, 1, 0.5, 0])
    with caplog.at_level(logging.DEBUG):
        assert is_picture(confusion_picture(matrix, HOSTILE, "$" + "x" * 500))
        assert is_picture(mistakes_picture(images, labels, labels[::-1], losses, HOSTILE))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("count", "channels"), [(0, 3), (1, 1), (7, 3), (24, 1)])
def test_mistakes_of_any_number_and_colour_are_a_sheet(count: int, channels: int) -> None:
    images = np.full((count, 12, 16, channels), 128, np.uint8)
    labels = np.zeros(count, int)
    sheet = mistakes_picture(images, labels, labels + 1, np.ones(count), ["cat", "dog"])
    assert is_picture(sheet)
    grey = (sheet == 128).all(axis=2).sum()
    assert grey >= count * 100 * 140  # each tile is 140 pixels wide


def test_the_images_are_shown_as_they_are() -> None:
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    zero = np.zeros(1, int)
    sheet = mistakes_picture(red, zero, zero, np.ones(1), ["cat"])
    assert (sheet == [255, 0, 0]).all(axis=2).sum() >= 139 * 139


def test_drawing_leaves_the_users_matplotlib_alone() -> None:
    import matplotlib

    matplotlib.rcParams["font.size"] = 31.0
    try:
        confusion_picture(np.eye(2, dtype=int), ["a", "b"], "t")
        assert matplotlib.rcParams["font.size"] == 31.0
    finally:
        matplotlib.rcdefaults()
    assert "matplotlib.pyplot" not in sys.modules
