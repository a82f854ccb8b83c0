"""Image sets that need no download: scikit-learn's digits, and one drawn on the spot."""

from __future__ import annotations

import numpy as np

from fallline.data.cache import Contents, PixelWriter
from fallline.data.decode import Plan, Wish, resize
from fallline.data.imageset import Index, Pixels, Progress, Split
from fallline.data.split import hold_out
from fallline.data.table import DataRow

SEED = 0  # which digits are for testing, and what the synthetic images look like
NOISE = 40.0  # standard deviation, of 255


def fill_digits(row: DataRow, wish: Wish, pixels: PixelWriter, progress: Progress) -> Contents:
    """The 1,797 digits, values 0..16 stretched to 0..255; a fifth of each class is for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    whole = Split(images, labels, np.arange(len(images)))
    _, test = hold_out(whole, row.test, SEED)
    splits = np.zeros(len(images), np.uint8)
    splits[test.rows] = 2
    pixels.append(resize(images, plan_for(row, wish)))
    return Contents(tuple("0123456789"), labels, splits, row.mirror)


def fill_synthetic(row: DataRow, wish: Wish, pixels: PixelWriter, progress: Progress) -> Contents:
    """Waves across the image: the class is their direction, colour and phase are chance."""
    generator = np.random.default_rng(SEED)
    count = row.train + row.test
    labels = np.arange(count, dtype=np.int64) % row.classes
    splits = np.where(np.arange(count) < row.train, 0, 2).astype(np.uint8)
    images = _waves(labels, row, generator)
    pixels.append(resize(images, plan_for(row, wish)))
    directions = tuple(f"{180 * index // row.classes} degrees" for index in range(row.classes))
    return Contents(directions, labels, splits, row.mirror)


def _waves(labels: Index, row: DataRow, generator: np.random.Generator) -> Pixels:
    """uint8 (N, H, W, C)"""
    shape = (len(labels), 1, 1, 1)
    y, x = np.mgrid[: row.image_size, : row.image_size][..., None]  # each (H, W, 1)
    angle = (np.pi / row.classes) * labels.reshape(shape)
    phase = generator.uniform(0, 2 * np.pi, shape)
    colour = generator.uniform(40, 100, (len(labels), 1, 1, row.channels))
    wave = np.sin((np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi / 6) + phase)
    noise = generator.normal(0, NOISE, (*wave.shape[:3], row.channels))
    values: Pixels = np.clip(np.rint(128 + colour * wave + noise), 0, 255).astype(np.uint8)
    return values


def plan_for(row: DataRow, wish: Wish) -> Plan:
    """What the images of a named set become."""
    side = wish.image_size or row.image_size
    return Plan((side, side), wish.channels or row.channels)
