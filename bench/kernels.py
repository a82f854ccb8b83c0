"""What our kernels for CPUs gain: seconds of a preset's step by them and by torch's own.

Both take steps of the same net in one process, in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from typing import Any
from unittest.mock import patch

import torch

from bench.timing import alternate
from bench.utilization import job_of, take_step
from fallline.data.batches import Batch
from fallline.models import fused
from fallline.models.kernels import kernels, why_lacking
from fallline.training.heap import kept_memory
from fallline.training.job import Job
from fallline.training.threads import on_own_cores

PRESETS = ("fast70", "fast80", "fast90", "steady", "best")
ROUNDS = 9


def measure(data: str) -> Iterator[dict[str, Any]]:
    """A row for each preset and way: seconds a step, and their ratio to torch's own."""
    if kernels() is None:
        print(f"none serve on this CPU: {why_lacking() or 'it does not multiply bfloat16'}")
        return
    for name in PRESETS:
        job = job_of(name, data, "cpu")
        batches = chain.from_iterable(map(job.feeds.train.epoch, count()))
        ways: dict[str, Callable[[], float]] = {
            f"{name}, torch's own": partial(_by_torch, job, batches),
            f"{name}, by kernels": partial(_seconds, job, batches),
        }
        with on_own_cores(torch.get_num_threads()), kept_memory():  # as in a run
            for way in ways.values():
                way()  # what is slow the first time
            yield from alternate(ways, rounds=ROUNDS, baseline=0)


def _by_torch(job: Job, batches: Iterator[Batch]) -> float:
    with patch.object(fused, "serve", lambda x: False):
        return _seconds(job, batches)


def _seconds(job: Job, batches: Iterator[Batch]) -> float:
    batch = next(batches)
    began = time.perf_counter()
    take_step(job, batch)
    return time.perf_counter() - began
