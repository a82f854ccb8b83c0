"""Images that do not lie in memory: asked for in time, and the same to the bit."""

from __future__ import annotations

import gc
import mmap
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fallline.data import readahead
from fallline.data.augment import Augment
from fallline.data.batches import Batches
from fallline.data.imageset import Split
from fallline.data.readahead import ReadAhead

SHAPE = (40, 40, 3)  # 4800 bytes: more than a page, and no whole number of them
HEAD = 4096


class Asked:
    """A map that notes what is asked of it."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.random = False

    def madvise(self, advice: int, start: int = 0, length: int = 0) -> None:
        if advice == mmap.MADV_RANDOM:
            self.random = True
        else:
            assert advice == mmap.MADV_WILLNEED
            assert start % mmap.PAGESIZE == 0
            self.ranges.append((start, start + length))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """100 images behind a first page."""
    content = np.random.default_rng(0).integers(0, 256, 100 * 4800, dtype=np.uint8)
    (tmp_path / "images").write_bytes(bytes(HEAD) + content.tobytes())
    return tmp_path / "images"


def mapped(file: Path) -> np.memmap:
    return np.memmap(file, np.uint8, "r", HEAD, (100, *SHAPE))


def batches_of(images: np.ndarray) -> Batches:
    return Batches(
        Split(images, np.arange(100), np.arange(0, 100, 2)),
        classes=100,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        batch_size=16,
        device=torch.device("cpu"),
        dtype=torch.float32,
        augment=Augment(flip="random", shift=2),
    )


def waits(monkeypatch: pytest.MonkeyPatch, per_batch: int) -> None:
    """Lets every look at the count of faults find that many more."""
    counts = iter(range(0, 10**6, per_batch)) if per_batch else iter([0] * 10**6)
    monkeypatch.setattr(readahead, "_major_faults", lambda: next(counts))


def watch(monkeypatch: pytest.MonkeyPatch, batches: Batches) -> Asked:
    asked = Asked()
    made = batches._pixels.read_ahead

    def read_ahead() -> ReadAhead:
        ahead = made()
        ahead._map = asked  # type: ignore[assignment]
        return ahead

    monkeypatch.setattr(batches._pixels, "read_ahead", read_ahead)
    return asked


def test_while_a_batch_is_worked_on_the_next_one_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = batches_of(mapped(file))
    asked = watch(monkeypatch, batches)
    waits(monkeypatch, per_batch=16)
    known: list[list[tuple[int, int]]] = []  # what was asked for when a batch came
    shown: list[list[int]] = []
    for batch in batches.epoch(0):
        known.append(asked.ranges.copy())
        shown.append(batch.targets.tolist())
        asked.ranges.clear()
    assert asked.random
    for ranges, rows in zip(known, [*shown[1:], []], strict=True):
        for (start, end), row in zip(ranges, rows, strict=True):
            first = HEAD % mmap.ALLOCATIONGRANULARITY + row * 4800  # where a map can begin
            assert start <= first < start + mmap.PAGESIZE
            assert end == first + 4800


@pytest.mark.parametrize("faults", [0, 1])  # of 16 images; one may be a page of something else
def test_of_images_that_lie_in_memory_none_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch, faults: int
) -> None:
    batches = batches_of(mapped(file))
    asked = watch(monkeypatch, batches)
    monkeypatch.setattr(readahead, "WAITED_SHARE", 0.1)
    waits(monkeypatch, per_batch=faults)
    assert len(list(batches.epoch(0))) == 3
    assert not asked.ranges
    assert not asked.random


def test_batches_from_disk_are_those_from_memory_to_the_bit(file: Path) -> None:
    expected = list(batches_of(np.array(mapped(file))).epoch(0))
    gc.collect()
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    for ours, theirs in zip(batches_of(mapped(file)).epoch(0), expected, strict=True):
        assert torch.equal(ours.inputs, theirs.inputs)
        assert torch.equal(ours.targets, theirs.targets)


@pytest.mark.parametrize("of", ["a map", "a part of a map", "memory", "nothing here"])
def test_asking_is_possible_of_any_images(file: Path, of: str) -> None:
    images = mapped(file)
    sources = {"a map": images, "a part of a map": images[3:], "memory": np.array(images)}
    ahead = ReadAhead(sources.get(of))
    ahead.ask(torch.arange(90))
    with ahead.watching(90):
        pass
    assert not ahead.waited
