"""How near a preset's steps come to what the machine multiplies, measured in turn.

The peak is a large matrix product in the precision that presets train in here. On a shared machine
it swings by a factor of three within seconds, so each burst of steps has products beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain, count
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.machine import product_rate
from bench.timing import alternate
from fallline.data import load
from fallline.data.batches import Batch
from fallline.models import conv, fused
from fallline.training.assemble import assemble
from fallline.training.cold_start import has_cold_start, start_cold
from fallline.training.heap import kept_memory
from fallline.training.job import Job
from fallline.training.layers import Layer, preset_layer
from fallline.training.resolve import resolve
from fallline.training.settle import settle
from fallline.training.splits import split
from fallline.training.threads import on_own_cores

ROUNDS = 12
SECONDS = 1.0  # of each burst; at least one step


def measure(data: str, names: list[str]) -> list[dict[str, Any]]:
    """A row for the product and each preset: GFLOP/s, and their share of the product's."""
    jobs = {name: job_of(name, data) for name in names}
    first = next(iter(jobs.values()))
    dtype = torch.bfloat16 if first.config.train.precision == "bf16" else torch.float32
    bursts: dict[str, Callable[[], float]] = {
        "a matrix product": lambda: product_rate(dtype, first.device, SECONDS)
    }
    bursts |= {name: _burst(job) for name, job in jobs.items()}
    threads = torch.get_num_threads() if first.device.type == "cpu" else 1
    with on_own_cores(threads), kept_memory():  # as in a run
        return alternate(bursts, rounds=ROUNDS, baseline=0)


def job_of(name: str, data: str, device: str = "auto") -> Job:
    """A preset's net, optimizer and batches, ready for its first step."""
    settings = {"data": data, "train.device": device}
    config = resolve([preset_layer(name), Layer("bench", settings)]).config
    images = load(config.data.name)
    splits = split(config, images)
    settled = settle(config, images, len(splits.train))
    return assemble(settled, images, splits, fresh=True)


def step_flop(job: Job) -> float:
    """FLOP of a step as torch counts them: products and convolutions, forward and backward.

    The small net's that chooses the images and Muon's products are among them; pooling, norms,
    activations and what other optimizers compute are not, nor zeros that another way of convolving
    multiplies as well. Takes one step.
    """
    batch = next(iter(job.feeds.train.epoch(0)))
    with ExitStack() as plain:
        plain.enter_context(patch.object(fused, "serve", lambda x: False))
        plain.enter_context(patch.object(conv, "CELLS", 0))
        # Nets as they are, not compiled: once it has counted a compiled one, torch before 2.15
        # runs that uncompiled ever after.
        plain.enter_context(patch.object(job.step, "model", job.model))
        if job.proxy:
            plain.enter_context(patch.object(job.proxy, "_model", job.proxy.net))
        with FlopCounterMode(display=False) as counter:
            take_step(job, batch)
    return float(counter.get_total_flops())


def take_step(job: Job, batch: Batch) -> None:
    """A step as a run takes it, on what it chooses of a batch."""
    if job.proxy:
        batch = job.proxy.hardest(batch, 1.0)
    job.step(batch.inputs, batch.targets, measure=False)


def _burst(job: Job) -> Callable[[], float]:
    """Takes steps for a while and returns their GFLOP/s."""
    flop = step_flop(job)
    if has_cold_start(job):
        start_cold(job)
    batches = chain.from_iterable(job.feeds.train.epoch(number) for number in count())

    def rate() -> float:
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            take_step(job, next(batches))
            steps += 1
        if job.device.type != "cpu":
            torch.accelerator.synchronize(job.device)
        return steps * flop / 1e9 / (time.perf_counter() - began)

    return rate
