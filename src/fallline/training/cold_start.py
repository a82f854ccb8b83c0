"""The cold start of a training: what compilers and a GPU do once, before the training clock runs.

`torch.compile` works at the first step, and CUDA chooses its kernels there by trying them
(`cudnn.benchmark`): seconds to minutes that say nothing of how fast a recipe trains. So one step
is done beforehand and undone to the bit; what it took is told on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

from fallline.errors import DeviceError, Diverged
from fallline.optim.random_numbers import rewound
from fallline.training.job import Job
from fallline.training.progress import Clock

COMPILERS = ("torch._dynamo", "torch._inductor")  # whose errors are not ours


def has_cold_start(job: Job) -> bool:
    """Whether first steps do more than the later ones."""
    return job.config.train.compile or job.device.type == "cuda"


def start_cold(job: Job) -> float:
    """One step on the first batch, of which no trace is left; its seconds.

    Raises DeviceError where the net cannot be compiled.
    """
    clock = Clock(job.device)
    try:
        with _undone(job), clock.running(), suppress(Diverged):  # the run's own step will tell
            batch = next(job.feeds.train.epoch(0))
            if job.proxy:
                batch = job.proxy.hardest(batch, 1.0)
            job.step(batch.inputs, batch.targets, measure=True)
    except Exception as error:
        if not type(error).__module__.startswith(COMPILERS):
            raise
        raise DeviceError(
            "the net cannot be compiled here",
            seen=str(error).strip().partition("\n")[0],
            next="--set train.compile=false, or install what the compiler lacks: on a CPU g++",
        ) from error
    return clock.read()


@contextmanager
def _undone(job: Job) -> Iterator[None]:
    """What is trained, and the random numbers, are after the block what they were before it."""
    trained: list[Any] = [job.model, job.optimizer, *([job.proxy] if job.proxy else [])]
    states = [deepcopy(part.state_dict()) for part in trained]
    with rewound(job.device):
        yield
    for part, state in zip(trained, states, strict=True):
        part.load_state_dict(state)
