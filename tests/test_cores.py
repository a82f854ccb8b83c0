"""How many cores may be used where a container allows fewer than there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fallline import cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 cores; returns the folder of its cgroups, ours is /pods/ours."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text("4:memory:/elsewhere\n0::/pods/ours\n")
    (tmp_path / "pods" / "ours").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "usable"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 1), ("10000 100000", 1)],
)
@pytest.mark.parametrize("folder", ["", "pods", "pods/ours"])
def test_a_quota_of_ours_or_above_limits_the_cores(
    machine: Path, folder: str, limit: str, usable: int
) -> None:
    (machine / folder / "cpu.max").write_text(f"{limit}\n")
    assert cores.usable_cores() == usable


def test_without_cgroups_the_affinity_counts(machine: Path) -> None:
    assert cores.usable_cores() == 64
    (machine / "membership").unlink()
    assert cores.usable_cores() == 64
