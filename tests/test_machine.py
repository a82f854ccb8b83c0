"""What may be used of a machine where a container allows less than there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fallline import machine

GIB = 2**30


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """64 cores and 8 GiB free; returns the folder of cgroups. Ours is pods/ours; v1's cpu/v1."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "membership").write_text("5:cpu,cpuacct:/v1\n4:memory:/v1\n0::/pods/ours\n")
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    for folder in ("pods/ours", "cpu/v1", "memory/v1"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "usable"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 1), ("10000 100000", 1)],
)
@pytest.mark.parametrize("folder", ["", "pods", "pods/ours"])
def test_a_quota_of_ours_or_above_limits_the_cores(
    cgroups: Path, folder: str, limit: str, usable: int
) -> None:
    (cgroups / folder / "cpu.max").write_text(f"{limit}\n")
    assert machine.usable_cores() == usable


@pytest.mark.parametrize(("quota", "usable"), [("-1", 64), ("400000", 4)])
@pytest.mark.parametrize("folder", ["cpu", "cpu/v1"])
def test_a_quota_of_version_1_limits_the_cores(
    cgroups: Path, folder: str, quota: str, usable: int
) -> None:
    (cgroups / folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cgroups / folder / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.usable_cores() == usable


@pytest.mark.parametrize(("limit", "free"), [("max", 8), (f"{4 * GIB}", 2), (f"{2 * GIB}", 0)])
@pytest.mark.parametrize("folder", ["", "pods", "pods/ours"])
def test_a_limit_of_ours_or_above_leaves_less_memory(
    cgroups: Path, folder: str, limit: str, free: int
) -> None:
    (cgroups / folder / "memory.max").write_text(f"{limit}\n")
    (cgroups / folder / "memory.current").write_text(f"{3 * GIB}\n")
    (cgroups / folder / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\nfile_mapped 7\n")
    assert machine.free_memory() == free * GIB


@pytest.mark.parametrize(("limit", "free"), [(2**63 - 4096, 8), (4 * GIB, 2)])
def test_a_limit_of_version_1_leaves_less_memory(cgroups: Path, limit: int, free: int) -> None:
    (cgroups / "memory/v1/memory.limit_in_bytes").write_text(f"{limit}\n")
    (cgroups / "memory/v1/memory.usage_in_bytes").write_text(f"{3 * GIB}\n")
    stat = f"inactive_file 0\ntotal_inactive_file {GIB}\n"
    (cgroups / "memory/v1/memory.stat").write_text(stat)
    assert machine.free_memory() == free * GIB


def test_without_cgroups_the_machine_counts(cgroups: Path) -> None:
    (cgroups / "membership").unlink()
    assert machine.usable_cores() == 64
    assert machine.free_memory() == 8 * GIB


def test_a_system_that_does_not_tell_has_what_is_built_in(cgroups: Path) -> None:
    (cgroups / "meminfo").unlink()
    assert machine.free_memory() > 0
