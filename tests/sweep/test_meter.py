"""What a sweep has used up is counted once, whatever stops it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fallline.records import Record
from fallline.sweep import meter
from fallline.sweep.backend import Lost, Task
from fallline.sweep.coordinator import Began, Evaluated, Over
from fallline.sweep.schema import Budget

TASK = Task("trial-0000-seed0", Path("x"), {}, {}, {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_device_time_survives_a_stop_and_a_training_that_runs_again(clock: list[float]) -> None:
    kept: dict[str, float] = {}
    first = meter.Meter(Budget(), {}, kept.update)
    first(Began(TASK))
    clock[0] += 10
    first(Began(TASK))  # its worker died
    clock[0] += 5
    assert first.device_seconds == 15
    first.save()  # stopped
    assert kept["device_seconds"] == 15
    second = meter.Meter(Budget(), dict(kept), kept.update)
    clock[0] += 100
    second(Began(TASK))
    clock[0] += 2
    second(Over(TASK, Lost(TASK.key, "gone")))
    assert (kept["device_seconds"], kept["seconds"]) == (17, 117)


def test_epochs_of_a_life_that_was_lost_are_those_the_next_begins_with() -> None:
    kept: dict[str, object] = {}

    def evaluated(epoch: int) -> Evaluated:
        return Evaluated(TASK, Record("epoch", epoch, epoch, 1.0, {}))

    first = meter.Meter(Budget(), {}, lambda told: kept.update(told=dict(told)))
    for news in (Began(TASK), evaluated(3), Over(TASK, Lost(TASK.key, "gone"))):
        first(news)
    assert first.epochs == 3
    second = meter.Meter(Budget(), kept["told"], lambda told: None)  # type: ignore[arg-type]
    assert second.epochs == 3
    for news in (Began(TASK), evaluated(4)):
        second(news)
    assert second.epochs == 4


def test_device_hours_end_a_sweep(clock: list[float]) -> None:
    held = meter.Meter(Budget(device_hours=0.004), {}, lambda told: None)  # 14.4 s
    held(Began(TASK))
    clock[0] += 14
    assert held.used_up() is None
    clock[0] += 1
    assert held.used_up() == "the device hours are used up: 0.004"
