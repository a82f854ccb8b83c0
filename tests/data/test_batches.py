"""The batches of a split: what is in them, in which order, and from where an epoch can go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fallline.data import batches as module
from fallline.data.augment import Augment
from fallline.data.batches import Batch, Batches
from fallline.data.imageset import Split
from fallline.errors import ConfigError

CPU = torch.device("cpu")
EVERYTHING = Augment(flip="alternating", shift=2, cutout=3, mixup=0.5, cutmix=1.0)


def a_split(size: int = 12, channels: int = 3, count: int = 50) -> Split:
    """A third of the images belongs to no split; label and pixels each tell an image's row."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count * 3 // 2, size, size, channels), dtype=np.uint8)
    rows = np.sort(rng.permutation(len(images))[:count])
    return Split(images, np.arange(len(images)), rows)


def batches_of(split: Split, augment: Augment | None = None, **changes: Any) -> Batches:
    channels = split.images.shape[3]
    settings: dict[str, Any] = {
        "classes": len(split.labels),
        "mean": (0.4, 0.5, 0.6)[:channels],
        "std": (0.2, 0.25, 0.3)[:channels],
        "batch_size": 16,
        "device": CPU,
        "dtype": torch.float32,
        "augment": augment,
    }
    return Batches(split, **settings | changes)


def slow_normalized(split: Split, row: int) -> torch.Tensor:
    channels = split.images.shape[3]
    mean, std = np.array([0.4, 0.5, 0.6])[:channels], np.array([0.2, 0.25, 0.3])[:channels]
    scaled = (split.images[row] / 255 - mean) / std
    return torch.from_numpy(scaled).permute(2, 0, 1).float()


def assert_equal(first: Batch, second: Batch) -> None:
    for ours, theirs in zip(first, second, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (8, 3), (28, 1), (32, 3), (224, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_are_normalized_by_channel_and_keep_their_label(
    size: int, channels: int, dtype: torch.dtype
) -> None:
    split = a_split(size, channels, count=20)
    for augment in (None, Augment()):
        for batch in batches_of(split, augment, dtype=dtype).epoch(0):
            assert batch.inputs.dtype == dtype
            assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
            expected = torch.stack([slow_normalized(split, row) for row in batch.targets.tolist()])
            tolerance = 1e-5 if dtype == torch.float32 else 2**-8
            torch.testing.assert_close(
                batch.inputs.float(), expected, rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("count", [1, 15, 16, 17, 50])
def test_evaluation_shows_every_image_once_and_in_order(count: int) -> None:
    split = a_split(count=count)
    batches = batches_of(split)
    seen = [batch.targets for batch in batches.epoch(0)]
    assert torch.cat(seen).tolist() == split.rows.tolist()
    assert len(seen) == batches.steps_per_epoch


@pytest.mark.parametrize(("count", "steps"), [(1, 1), (15, 1), (16, 1), (17, 1), (50, 3)])
def test_training_batches_are_equal_in_size_and_repeat_no_image(count: int, steps: int) -> None:
    split = a_split(count=count)
    batches = batches_of(split, Augment())
    seen = [batch.targets.tolist() for batch in batches.epoch(0)]
    assert [len(rows) for rows in seen] == [min(count, 16)] * steps
    assert batches.steps_per_epoch == steps
    flat = [row for rows in seen for row in rows]
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(split.rows.tolist())


def test_every_epoch_has_its_own_order() -> None:
    batches = batches_of(a_split(), Augment())
    orders = [torch.cat([b.targets for b in batches.epoch(k)]).tolist() for k in range(3)]
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.parametrize("augment", [None, Augment(), EVERYTHING])
def test_an_epoch_taken_up_at_any_batch_goes_on_to_the_bit(augment: Augment | None) -> None:
    split = a_split()
    whole = list(batches_of(split, augment).epoch(5))
    for start in range(len(whole) + 1):
        tail = list(batches_of(split, augment).epoch(5, start))
        assert len(tail) == len(whole) - start
        for ours, theirs in zip(tail, whole[start:], strict=True):
            assert_equal(ours, theirs)


def test_the_seed_decides_everything_random() -> None:
    split = a_split()
    first, again, other = (
        next(iter(batches_of(split, EVERYTHING, seed=seed).epoch(0))) for seed in (1, 1, 2)
    )
    assert_equal(first, again)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize("channels", [1, 3])
def test_flips_and_shifts_change_places_and_no_pixels_label(channels: int) -> None:
    """Each image is constant and tells its label: labels must follow through it all."""
    values = np.arange(40, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (40, 8, 8, channels)).copy()
    split = Split(images, np.arange(40), np.arange(40))
    augment = Augment(flip="random", shift=3)
    for batch in batches_of(
        split, augment, mean=(0.0,) * channels, std=(1 / 255,) * channels
    ).epoch(0):
        pixels = batch.inputs.round().long().flatten(1)
        assert torch.equal(pixels, batch.targets[:, None].expand_as(pixels))


def test_alternating_flips_mirror_every_image_in_the_next_epoch() -> None:
    split = a_split(count=16)
    batches = batches_of(split, Augment(flip="alternating"))
    first, second = (next(iter(batches.epoch(epoch))) for epoch in (0, 1))
    by_row = [batch.inputs[batch.targets.argsort()] for batch in (first, second)]
    assert torch.equal(by_row[0], by_row[1].flip(3))


@pytest.mark.parametrize("augment", [Augment(mixup=0.3), Augment(cutmix=1.0), EVERYTHING])
def test_mixed_targets_are_probabilities(augment: Augment | None) -> None:
    for batch in batches_of(a_split(), augment).epoch(0):
        assert batch.targets.shape == (16, 75)
        assert batch.targets.dtype == torch.float32
        torch.testing.assert_close(batch.targets.sum(1), torch.ones(16))
        assert batch.targets.min() >= 0


def test_a_read_only_map_is_used_where_it_lies(tmp_path: Path) -> None:
    split = a_split()
    np.save(tmp_path / "images.npy", split.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches = batches_of(Split(mapped, split.labels, split.rows), Augment(flip="random", shift=2))
    assert batches._pixels.images.data_ptr() == mapped.ctypes.data
    twin = batches_of(split, Augment(flip="random", shift=2))
    for ours, theirs in zip(batches.epoch(0), twin.epoch(0), strict=True):
        assert_equal(ours, theirs)
    np.testing.assert_array_equal(mapped, split.images)


def test_a_split_is_copied_in_parts_that_make_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (50, 3, 3, 2), dtype=torch.uint8)
    rows = torch.randperm(50)[:37]
    monkeypatch.setattr(module, "PART_BYTES", 8 * 18)
    copy = module.copied(images, rows, torch.device("cpu"))
    assert torch.equal(copy, images[rows])


def test_what_trainings_before_kept_of_a_gpus_memory_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, found in (
        ("mem_get_info", (60, 100)),
        ("memory_reserved", 30),
        ("memory_allocated", 10),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda device, found=found: found)
    assert module._free_bytes(torch.device("cuda")) == 80


def test_a_sample_is_spread_over_the_split_and_not_augmented() -> None:
    split = a_split()
    sample = batches_of(split, EVERYTHING).sample(3)
    expected = [slow_normalized(split, split.rows[place]) for place in (0, 24, 49)]
    torch.testing.assert_close(sample, torch.stack(expected), rtol=1e-5, atol=1e-5)
    assert len(batches_of(split, EVERYTHING).sample(10_000)) == 50


def test_a_channel_that_never_changes_stays_finite() -> None:
    split = Split(np.full((4, 8, 8, 1), 7, np.uint8), np.arange(4), np.arange(4))
    batch = next(iter(batches_of(split, mean=(7 / 255,), std=(0.0,)).epoch(0)))
    torch.testing.assert_close(batch.inputs, torch.zeros(4, 1, 8, 8), rtol=0, atol=1e-3)


def test_a_shift_beyond_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"shift is too large for images of 12x12"):
        batches_of(a_split(), Augment(shift=12))
