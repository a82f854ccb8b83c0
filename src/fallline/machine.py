"""What this process may use of the machine it runs on: cores, instructions and memory.

A container sees all cores and all memory of its host; what it may use of them its cgroups say:
v2's in one tree, v1's in a tree for each controller. Those above a cgroup limit it too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")
CPU = Path("/proc/cpuinfo")


def usable_cores() -> int:
    """The cores of its affinity, or as many as its cgroups' quotas pay for; at least one.

    A container that may have 2 of 64 cores sees all 64: more threads than 2 would only wait.
    """
    if hasattr(os, "sched_getaffinity"):
        present = len(os.sched_getaffinity(0))
    else:
        present = os.cpu_count() or 1
    return max(1, math.floor(min(present, *map(_quota, _cgroups("cpu")))))


@cache
def cpu_flags() -> frozenset[str]:
    """The CPU's instruction sets as Linux names them; empty where the system does not tell."""
    lines = CPU.read_text().splitlines() if CPU.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return frozenset(flags.partition(":")[2].split())


def free_memory() -> float:
    """Bytes that are free here and in its cgroups, files that may be read again counted in."""
    return max(0.0, min(_free_here(), *map(_room, _cgroups("memory"))))


def _free_here() -> float:
    """What the system says; where it does not, all that is built in, or no limit."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        if not hasattr(os, "sysconf"):
            return math.inf
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    kib = {line.split(":")[0]: float(line.split()[1]) for line in lines}
    return kib.get("MemAvailable", kib["MemTotal"]) * 1024


def _cgroups(controller: str) -> Iterator[Path]:
    """The folders of the process's cgroups of a controller and of all above them.

    In a container of v1 the name may be the host's: then its own limits are those of the top.
    """
    yield from (CGROUPS, CGROUPS / controller)
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            folder = CGROUPS / controller if controllers else CGROUPS
            for part in own.split("/"):
                if part not in ("", ".."):
                    yield (folder := folder / part)


def _quota(folder: Path) -> float:
    """Cores that a cgroup allows: microseconds of each period; infinite without a limit."""
    two = _words(folder / "cpu.max")  # of v2: "200000 100000", or "max 100000"
    one = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    allowed, period, *_ = *(two or one), "max", ""
    return int(allowed) / int(period) if allowed.isdigit() else math.inf  # v1 says -1


def _room(folder: Path) -> float:
    """Bytes that a cgroup has left; infinite without a limit.

    Used is what Kubernetes calls the working set: all but the files that were not read lately.
    """
    limit = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    used = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
    if not (limit and used and limit[0].isdigit()):  # or "max"
        return math.inf
    stat = _words(folder / "memory.stat")
    kept = dict(zip(stat[::2], stat[1::2], strict=False))
    files = kept.get("total_inactive_file") or kept.get("inactive_file") or "0"
    return int(limit[0]) - int(used[0]) + int(files)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # there is no such limit
        return []
