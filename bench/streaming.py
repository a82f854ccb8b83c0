"""A set larger than memory: images a second from disk beside the same from memory.

A file of random images of 64x64 is put out of memory before each measurement, which then reads
images in random order, none twice: every one comes from disk. What it is measured against are the
first of them, read once before.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench.input_path import rate
from bench.machine import autocast_on, dtype_on
from bench.timing import alternate
from fallline.data.augment import Augment
from fallline.data.batches import Batches
from fallline.data.imageset import Split
from fallline.models.convnet import Convnet

CPU = torch.device("cpu")
SHAPE = (64, 64, 3)
BATCH = 250
IN_MEMORY = 16_000  # images
WRITTEN_AT_ONCE = 4096  # images


def measure(folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Rows for the input path alone and for whole steps on one thread, from memory and from disk.

    Args:
        folder: on the disk that is measured.
        quick: a file of 0.4 instead of 2 GiB, and 2 rounds instead of 12.
    """
    if not hasattr(os, "posix_fadvise"):
        print("left out: this system puts no file out of memory when asked to")
        return []
    gib, rounds = (0.4, 2) if quick else (2.0, 12)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "random.images"
        count = _write(path, gib)
        net = Convnet((3, 64, 64), 10, widths=(32, 64, 64)).to(memory_format=torch.channels_last)
        rows = []
        for what, step in (("input path", len_of), ("whole steps", partial(trained, net))):
            sources: dict[str, Callable[[], float]] = {
                f"{what}, from memory": partial(_from_memory, path, count, step),
                f"{what}, from disk": partial(_from_disk, path, count, step),
            }
            rows += alternate(sources, rounds=rounds, baseline=0)
    torch.set_num_threads(threads)
    return rows


def _write(path: Path, gib: float) -> int:
    """Fills the file; returns how many images it holds."""
    count = int(gib * 2**30) // int(np.prod(SHAPE))
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, count, WRITTEN_AT_ONCE):
            file.write(rng.bytes(min(WRITTEN_AT_ONCE, count - start) * int(np.prod(SHAPE))))
        file.flush()
        os.fsync(file.fileno())
    return count


Step = Callable[[Any], int]


def _from_memory(path: Path, count: int, step: Step) -> float:
    images = _mapped(path, count)
    images[:IN_MEMORY].sum()
    return rate(_epochs(images, IN_MEMORY, step))


def _from_disk(path: Path, count: int, step: Step) -> float:
    gc.collect()  # pages that are mapped would stay
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return rate(_epochs(_mapped(path, count), count, step))


def _mapped(path: Path, count: int) -> np.ndarray:
    return np.memmap(path, np.uint8, "r", 0, (count, *SHAPE))


def _epochs(images: np.ndarray, count: int, step: Step) -> Iterator[int]:
    split = Split(images, np.arange(len(images)) % 10, np.arange(count))
    batches = Batches(
        split,
        classes=10,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        batch_size=BATCH,
        device=CPU,
        dtype=dtype_on(CPU),
        augment=Augment(flip="alternating", shift=2),
    )
    for batch in batches.epoch(0):
        yield step(batch)


def len_of(batch: Any) -> int:
    """No step at all."""
    return len(batch.targets)


def trained(net: nn.Module, batch: Any) -> int:
    """One forward and backward pass."""
    with autocast_on(CPU):
        logits = net(batch.inputs)
    F.cross_entropy(logits, batch.targets).backward()  # type: ignore[no-untyped-call]
    net.zero_grad()
    return len(batch.targets)
