"""The threads that torch computes with on the CPU: how many, and each on a core of its own.

They wait for each other by spinning, some hundred times a step. A scheduler that puts two of them
on one core, because a program of another session keeps a second one busy, makes a step 100 times
slower, and Linux does (figures: docs/log.md). So where a training may use all cores, each of its
threads is bound to one while it trains.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch

from fallline.machine import usable_cores
from fallline.openmp import openmp


def set_threads(wanted: int) -> int:
    """Sets how many threads torch computes with on the CPU; 0, or too many: one per core."""
    cores = usable_cores()
    threads = min(wanted or cores, cores)
    torch.set_num_threads(threads)
    return threads


@contextmanager
def on_own_cores(threads: int) -> Iterator[None]:
    """Binds torch's threads, the calling one among them, to a core each, until it is left.

    Only on Linux, with the OpenMP library that torch brings, and where the threads are as many as
    the cores of our affinity: else others might be bound to the same ones while some are idle.
    Of two threads both are bound, and what is begun inside is bound to the caller's core. Of more
    the caller is not: where a smaller team worked in between, that library ends the threads that
    were not of it, and begins them anew with the caller's cores.
    """
    team = openmp() if sys.platform == "linux" and threads > 1 else None
    cores = sorted(os.sched_getaffinity(0)) if team else []
    if team is None or len(cores) != threads:
        yield
        return
    _bind(team, own_cores(cores))
    try:
        yield
    finally:
        _bind(team, [cores] * threads)


def own_cores(cores: Sequence[int]) -> list[list[int]]:
    """The cores of each thread of a team of as many; the first is the caller."""
    first = cores[:1] if len(cores) == 2 else cores
    return [[*first], *([core] for core in cores[1:])]


def _bind(team: ctypes.CDLL, cores: Sequence[Sequence[int]]) -> None:
    """Lets each thread of torch's team run on its cores; the first thread is the caller."""

    def bind(_: object) -> None:
        with suppress(OSError):  # a core that was taken from us meanwhile
            os.sched_setaffinity(0, cores[team.omp_get_thread_num()])

    each = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(bind)
    team.GOMP_parallel(each, None, len(cores), 0)
