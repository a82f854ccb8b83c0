from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from sample_run import log_all, outcome, records, whole_run

from fallline.records import Outcome, Record
from fallline.track import detached
from fallline.track.detached import Detached
from fallline.track.fanout import Member, Trackers


class Patient:
    """A tracker that opens, and takes records, only when it is let."""

    def __init__(self, go: threading.Event, error: Exception | None = None) -> None:
        self.go, self.error = go, error
        self.seen: list[object] = []
        self.threads: set[int] = set()

    def open(self) -> Patient:
        self.go.wait(30)
        if self.error is not None:
            raise self.error
        return self

    def log(self, record: Record) -> None:
        self.threads.add(threading.get_ident())
        self.seen.append(record)

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        self.seen.append(name)

    def finish(self, outcome: Outcome) -> None:
        self.seen.append(outcome)


@pytest.fixture
def go() -> threading.Event:
    return threading.Event()


def test_everything_arrives_in_order_in_one_other_thread(go: threading.Event) -> None:
    go.set()
    patient = Patient(go)
    whole_run(Detached(patient.open))
    assert patient.seen == [*records(), "confusion/test", outcome()]
    assert len(patient.threads) == 1
    assert threading.get_ident() not in patient.threads


def test_a_run_does_not_wait_for_a_tracker_that_takes_long_to_open(go: threading.Event) -> None:
    patient = Patient(go)
    tracker = Detached(patient.open)
    began = time.monotonic()
    log_all(tracker)
    assert time.monotonic() - began < 1
    assert patient.seen == []
    go.set()
    tracker.finish(outcome())
    assert patient.seen == [*records(), outcome()]


def test_an_error_in_the_thread_is_raised_by_the_next_call(
    go: threading.Event, capfd: pytest.CaptureFixture[str]
) -> None:
    go.set()
    trackers = Trackers([Member("wandb", Detached(Patient(go, ValueError("no")).open))])
    while trackers.names:
        log_all(trackers)
    whole_run(trackers)
    assert capfd.readouterr().err == "warning: the run goes on without wandb (ValueError: no)\n"


@pytest.mark.parametrize("step", ["log", "finish"])
def test_a_tracker_that_takes_nothing_any_more_is_left_out(
    go: threading.Event,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    monkeypatch.setattr(detached, "SECONDS_TO_FINISH", 0.1)
    monkeypatch.setattr(detached, "MOST_WAITING", 5 if step == "log" else 100)
    trackers = Trackers([Member("wandb", Detached(Patient(go).open))])
    whole_run(trackers)
    go.set()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: the run goes on without wandb (TimeoutError: ")
