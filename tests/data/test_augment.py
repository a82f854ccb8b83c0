"""Each transform of whole batches against a slow twin that does one image at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fallline.data import augment as fast
from fallline.data.augment import Augment, Draws, Mix, draw, flip_and_shift
from fallline.errors import ConfigError

SIZES = [(8, 8, 1), (8, 8, 3), (9, 14, 3), (28, 28, 1), (32, 32, 3), (224, 224, 3)]


def random_images(shape: tuple[int, int, int], count: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


def slow_flip_and_shift(
    image: np.ndarray, flipped: bool, down: int, right: int, reach: int
) -> np.ndarray:
    mirrored = image[:, ::-1] if flipped else image
    padded = np.pad(mirrored, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    top, left = reach + down, reach + right
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


@pytest.mark.parametrize("move", [fast._by_windows, fast._by_pixels])
@pytest.mark.parametrize("reach", [0, 1, 4, 7])
@pytest.mark.parametrize("shape", SIZES)
def test_flips_and_shifts_reflect_to_the_pixel(
    move: Callable[..., torch.Tensor], reach: int, shape: tuple[int, int, int]
) -> None:
    images = random_images(shape)
    generator = torch.Generator().manual_seed(1)
    shifts = torch.randint(-reach, reach + 1, (len(images), 2), generator=generator)
    shifts[0], shifts[1] = reach, -reach
    flipped = torch.rand(len(images), generator=generator) < 0.5
    moved = move(images, flipped, shifts, reach)
    for k, image in enumerate(images.numpy()):
        down, right = shifts[k].tolist()
        twin = slow_flip_and_shift(image, bool(flipped[k]), down, right, reach)
        np.testing.assert_array_equal(moved[k].numpy(), twin)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_batch_of_one_kind_of_flip_is_moved_too(flipped: bool) -> None:
    images = random_images((8, 8, 3))
    moved = flip_and_shift(images, torch.full((len(images),), flipped), None, 0)
    assert torch.equal(moved, images.flip(2) if flipped else images)


def test_without_transforms_images_are_not_copied() -> None:
    images = random_images((8, 8, 3))
    assert flip_and_shift(images, None, None, 0) is images


def slow_cut_out(image: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    image = image.copy()
    for y in range(row - side // 2, row - side // 2 + side):
        for x in range(column - side // 2, column - side // 2 + side):
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                image[y, x] = 0
    return image


@pytest.mark.parametrize("side", [1, 4, 7])
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 14, 3), (32, 32, 3)])
def test_cutout_sets_the_square_to_the_mean_and_nothing_else(
    side: int, shape: tuple[int, int, int]
) -> None:
    images = random_images(shape).float() - 300.5
    generator = torch.Generator().manual_seed(2)
    centres = torch.stack(
        [torch.randint(0, n, (len(images),), generator=generator) for n in shape[:2]], dim=1
    )
    centres[0], centres[1] = torch.tensor([0, 0]), torch.tensor(shape[:2]) - 1
    cut = images.clone()
    fast.cut_out(cut.permute(0, 3, 1, 2), centres, side)
    for k, image in enumerate(images.numpy()):
        row, column = centres[k].tolist()
        np.testing.assert_array_equal(cut[k].numpy(), slow_cut_out(image, row, column, side))


def test_mixup_weighs_each_image_with_the_one_before_it() -> None:
    images = random_images((8, 8, 3)).float().permute(0, 3, 1, 2)
    labels = torch.arange(len(images)) % 5
    mix = Mix(share=0.25, box=None)
    mixed = fast.mix_images(images.clone(), mix)
    targets = fast.mix_targets(labels, mix, 5)
    for k in range(len(images)):
        torch.testing.assert_close(mixed[k], 0.75 * images[k] + 0.25 * images[k - 1])
        expected = torch.zeros(5)
        expected[labels[k]] += 0.75
        expected[labels[k - 1]] += 0.25
        torch.testing.assert_close(targets[k], expected)


def test_cutmix_pastes_a_box_and_shares_targets_by_its_area() -> None:
    images = random_images((8, 10, 3)).float().permute(0, 3, 1, 2)
    augment = Augment(cutmix=1.0)
    mixes = drawn(augment, count=12, steps=40, height=8, width=10).mixes
    assert mixes is not None
    assert len(mixes) == 40
    for step_mix in mixes:
        assert step_mix.box is not None
        top, bottom, left, right = step_mix.box
        mixed = fast.mix_images(images.clone(), step_mix)
        from_partner = torch.zeros(8, 10, dtype=torch.bool)
        from_partner[top:bottom, left:right] = True
        for k in range(len(images)):
            twin = torch.where(from_partner, images[k - 1], images[k])
            assert torch.equal(mixed[k], twin)
        assert step_mix.share == pytest.approx(from_partner.float().mean().item())


def test_mixup_and_cutmix_together_take_turns() -> None:
    mixes = drawn(Augment(mixup=0.4, cutmix=1.0), count=10, steps=400).mixes or ()
    pastes = sum(mix.box is not None for mix in mixes)
    assert 150 < pastes < 250


def test_mixing_shares_follow_the_beta_distribution() -> None:
    mixes = drawn(Augment(mixup=0.2), count=10, steps=4000).mixes or ()
    shares = np.array([mix.share for mix in mixes])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(0.25 / (2 * 0.2 + 1), abs=0.01)


def drawn(augment: Augment, *, seed: int = 3, epoch: int = 0, **size: int) -> Draws:
    size = {"count": 100, "steps": 10, "height": 8, "width": 8} | size
    return draw(augment, seed=seed, epoch=epoch, **size)


ALL = Augment(flip="random", shift=2, cutout=3, mixup=1.0, cutmix=1.0)


def test_draws_are_decided_by_seed_and_epoch_alone() -> None:
    first, again = drawn(ALL), drawn(ALL)
    for name in ("order", "flipped", "shifts", "centres"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.mixes == again.mixes


@pytest.mark.parametrize("other", [{"seed": 4}, {"epoch": 1}])
def test_another_seed_or_epoch_draws_otherwise(other: dict[str, int]) -> None:
    first, second = drawn(ALL), drawn(ALL, **other)
    for name in ("order", "flipped", "shifts", "centres"):
        assert not torch.equal(getattr(first, name), getattr(second, name))
    assert first.mixes != second.mixes


def test_shifts_and_centres_reach_every_place_within_bounds() -> None:
    draws = drawn(Augment(shift=2, cutout=2), count=2000, height=8, width=9)
    assert draws.shifts is not None
    assert draws.centres is not None
    assert [set(axis.tolist()) for axis in draws.shifts.T] == [set(range(-2, 3))] * 2
    assert [set(axis.tolist()) for axis in draws.centres.T] == [set(range(8)), set(range(9))]


def test_alternating_flips_show_each_image_both_ways_in_two_epochs() -> None:
    ways = torch.stack([flips_by_image(Augment(flip="alternating"), epoch) for epoch in range(4)])
    assert torch.equal(ways[0], ~ways[1])
    assert torch.equal(ways[0], ways[2])
    assert torch.equal(ways[1], ways[3])
    assert 30 < ways[0].sum() < 70


def flips_by_image(augment: Augment, epoch: int) -> torch.Tensor:
    draws = drawn(augment, epoch=epoch)
    assert draws.flipped is not None
    return draws.flipped[draws.order.argsort()]


def test_a_transform_too_large_for_the_images_is_refused_with_all_its_faults() -> None:
    with pytest.raises(ConfigError) as caught:
        Augment(shift=8, cutout=9).check(8, 12)
    assert [fault.what for fault in caught.value.faults] == [
        "shift is too large for images of 8x12",
        "cutout is too large for images of 8x12",
    ]
    assert caught.value.faults[0].allowed == "0 to 7 pixels"
