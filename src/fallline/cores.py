"""How many cores this process may compute on."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores of its affinity, or as many as its cgroup's quota pays for; at least one.

    A container that may have 2 of 64 cores sees all 64: more threads than 2 would only wait.
    """
    if hasattr(os, "sched_getaffinity"):
        present = len(os.sched_getaffinity(0))
    else:
        present = os.cpu_count() or 1
    return max(1, math.floor(min(present, _quota())))


def _quota() -> float:
    """Cores that the process's cgroup (v2) and all above it allow; infinite where none limits."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return math.inf
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    parts = [part for part in own.split("/") if part != ".."]
    folders = [CGROUPS.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return min(map(_limit, folders))


def _limit(folder: Path) -> float:
    """Cores that `cpu.max` ("200000 100000": microseconds of each period, or "max") allows."""
    try:
        allowed, period = (folder / "cpu.max").read_text().split()
        return int(allowed) / int(period)
    except (OSError, ValueError):  # no such file at the top, or "max"
        return math.inf
