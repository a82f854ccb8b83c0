"""Images a second of the input path alone: ours, DataLoader's, and what a small convnet takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bench.machine import autocast_on, dtype_on
from bench.plain_loop import WORKERS, loaders
from bench.timing import alternate
from fallline.data import load
from fallline.data.augment import Augment
from fallline.data.batches import Batches
from fallline.models.convnet import Convnet

BATCH = 250
CPU = torch.device("cpu")
DTYPE = dtype_on(CPU)
SECONDS = 3.0  # of each measurement


def measure(data: str) -> list[dict[str, Any]]:
    """A row for each source, measured in turn."""
    images = load(data)
    ours = Batches(
        images.train,
        classes=len(images.classes),
        mean=images.mean,
        std=images.std,
        batch_size=BATCH,
        device=CPU,
        dtype=DTYPE,
        augment=Augment(flip="alternating", shift=2),
    )
    theirs, _ = loaders(images)
    sources: dict[str, Callable[[], float]] = {
        f"fallline: flips and shifts, {DTYPE}": lambda: rate(_ours(ours)),
        f"DataLoader, {WORKERS} workers: crops and flips of PIL images": lambda: rate(
            _theirs(theirs)
        ),
        "what convnet 32/64/64 takes, forward and backward": appetite,
    }
    return alternate(sources, rounds=5, baseline=1)


def rate(counts: Iterator[int]) -> float:
    """Images a second, after the first batch, which pays for starting."""
    next(counts)
    began, total = time.perf_counter(), 0
    for count in counts:
        total += count
        if time.perf_counter() - began > SECONDS:
            break
    return total / (time.perf_counter() - began)


def _ours(batches: Batches) -> Iterator[int]:
    epoch = 0
    while True:
        for batch in batches.epoch(epoch):
            yield len(batch.targets)
        epoch += 1


def _theirs(loader: Any) -> Iterator[int]:
    while True:
        for _, labels in loader:
            yield len(labels)


def appetite() -> float:
    """Images a second that a step without any input path would take."""
    net = Convnet((3, 32, 32), 10, widths=(32, 64, 64)).to(memory_format=torch.channels_last)
    inputs = torch.randn(BATCH, 3, 32, 32).to(DTYPE, memory_format=torch.channels_last)
    return rate(_steps(net, inputs, torch.randint(0, 10, (BATCH,))))


def _steps(net: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> Iterator[int]:
    while True:
        with autocast_on(CPU):
            logits = net(inputs)
        F.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        net.zero_grad()
        yield len(labels)
