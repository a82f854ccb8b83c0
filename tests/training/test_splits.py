"""What a config leaves open: which images are held out, batches, length, flips, precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fallline.config import RunConfig
from fallline.data import ImageSet, load
from fallline.errors import ConfigError, DeviceError
from fallline.training.device import pick_device, pick_precision, usable_gpus
from fallline.training.layers import parse_assignments, preset_layer
from fallline.training.resolve import resolve
from fallline.training.settle import settle
from fallline.training.splits import Splits, split


def config(*words: str) -> RunConfig:
    return resolve([preset_layer("steady"), parse_assignments(list(words))]).config


def split_of(*words: str, images: ImageSet | None = None) -> Splits:
    return split(config("data=synthetic", *words), images or load("synthetic"))


def test_what_is_held_out_is_decided_by_holdout_and_split_seed_alone() -> None:
    one, same, other = (
        split_of("data.holdout=40", f"data.split_seed={split_seed}", f"seed={seed}")
        for split_seed, seed in ((1, 0), (1, 5), (2, 0))
    )
    assert len(one.val) == 40
    assert not set(one.val.rows) & set(one.train.rows)
    assert np.array_equal(one.val.rows, same.val.rows)
    assert not np.array_equal(one.val.rows, other.val.rows)


def test_a_sets_own_val_split_is_taken() -> None:
    images = load("synthetic")
    images = replace(images, val=images.test)
    found = split_of("data.holdout=40", images=images)
    assert found.train is images.train
    assert found.val is images.val


def test_validating_on_test_needs_a_test_split() -> None:
    with pytest.raises(ConfigError, match="needs a test split"):
        split_of("data.validate_on=test", images=replace(load("synthetic"), test=None))


@pytest.mark.parametrize(
    ("count", "batch", "epochs"),
    [(10, 10, 25), (100, 16, 25), (1294, 32, 25), (45_000, 500, 11), (500_000, 500, 4)],
)
def test_batch_and_length_follow_the_number_of_images(
    count: int, batch: int, epochs: float
) -> None:
    found = settle(config("data=digits", "train.threads=1"), load("digits"), count)
    assert (found.train.batch_size, found.train.epochs) == (batch, epochs)


@pytest.mark.parametrize(("mirror", "flip"), [(False, "off"), (True, "alternating")])
def test_images_are_mirrored_where_a_mirror_image_keeps_its_meaning(
    mirror: bool, flip: str
) -> None:
    images = replace(load("digits"), mirror=mirror)
    found = settle(config("data=digits", "train.threads=1"), images, 100)
    assert found.data.augment.flip == flip


@pytest.mark.parametrize(
    ("flag", "picked"), [("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), ("avx2", "fp32")]
)
def test_a_cpu_trains_in_bf16_only_if_it_multiplies_it(
    flag: str, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fallline.training.device.cpu_flags", lambda: frozenset({flag}))
    assert pick_precision("auto", torch.device("cpu")) == picked


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """The compute capabilities of GPUs that torch is told are there, by number."""
    there = {0: (9, 0)}
    built = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_120", "compute_120"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(there))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    monkeypatch.setattr(torch.cuda, "get_device_capability", there.__getitem__)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    return there


@pytest.mark.parametrize("index", ["x", "-1", "1", ""])
def test_a_gpu_that_is_not_there_is_named(index: str, gpus: dict[int, tuple[int, int]]) -> None:
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(DeviceError, match="is not there"):
        pick_device(f"cuda:{index}")


@pytest.mark.parametrize(
    ("capability", "serves"),
    [
        ((6, 1), False),
        ((7, 0), False),
        ((7, 5), True),
        ((8, 9), True),  # by code for 8.6
        ((10, 0), False),  # code for 9.0 does not run on the next major version
        ((12, 0), True),
        ((13, 0), True),  # compiled by the driver
    ],
    ids=str,
)
def test_a_gpu_that_torch_has_no_code_for_is_left_alone(
    capability: tuple[int, int], serves: bool, gpus: dict[int, tuple[int, int]]
) -> None:
    gpus[0] = capability
    assert usable_gpus() == ([0] if serves else [])
    assert (pick_device("auto").type == "cuda") == serves
    if not serves:
        with pytest.raises(DeviceError, match=r"GPU 0, for which this torch has no code"):
            pick_device("cuda")
    gpus[1] = (9, 0)
    assert pick_device("cuda") == torch.device("cuda" if serves else "cuda:1")


def test_amds_gpus_are_not_judged_by_nvidias_numbers(
    gpus: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["gfx90a", "gfx942"])
    assert pick_device("auto") == torch.device("cuda")
