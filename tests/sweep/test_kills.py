"""Real SIGKILLs to real processes: no trial is lost, no configuration repeated."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from fallline.records import RunFolder
from fallline.sweep import local
from fallline.sweep.backend import Ended, Event, Failed, Lost, Reported, Task
from fallline.sweep.extension import FOR_TRIALS
from fallline.sweep.file import read
from fallline.sweep.local import LocalProcesses
from fallline.sweep.slots import Slot
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.trial import carry_out


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProcesses]:
    """One worker process for all tests here: it takes seconds to start."""
    backend = LocalProcesses([Slot(1)], tmp_path_factory.mktemp("logs"))
    yield backend
    backend.close(save=False)


@pytest.fixture
def task(small: dict[str, Any], tmp_path: Path) -> Task:
    """A training of a hundred epochs that checkpoints often."""
    file = read(small, layers=[FOR_TRIALS])
    made = TaskMaker(file, "sweep", tmp_path)(0, file.point(0), 0)
    train = {**made.config["train"], "epochs": 100, "checkpoint_seconds": 0.5}
    return replace(made, config={**made.config, "train": train})


def wait_for(backend: LocalProcesses, kind: type[Event], key: str, seconds: float = 60) -> Any:
    """The first event of that kind; others are passed over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for event in backend.poll(1):
            if isinstance(event, kind) and event.key == key:
                return event
    raise TimeoutError(f"no {kind.__name__} of {key}")


def short(task: Task, key: str, epochs: int = 2, **more: Any) -> Task:
    train = {**task.config["train"], "epochs": epochs}
    return replace(task, key=key, config={**task.config, "train": train}, **more)


def worker_of(backend: LocalProcesses) -> int:
    return next(iter(backend._workers.values())).process.pid


def measured(folder: RunFolder) -> list[dict[str, Any]]:
    timed = ("train_seconds", "images_per_second")
    return [{k: v for k, v in r.items() if k not in timed} for r in folder.read_metrics()]


def test_a_worker_that_is_killed_takes_nothing_with_it(
    backend: LocalProcesses, task: Task
) -> None:
    task = short(task, "killed", epochs=12)
    backend.submit(task)
    while wait_for(backend, Reported, "killed").record.epoch < 4:
        pass
    os.kill(worker_of(backend), signal.SIGKILL)
    assert "SIGKILL" in wait_for(backend, Lost, "killed").reason
    backend.submit(task)  # what a coordinator does
    assert wait_for(backend, Ended, "killed").outcome.status == "completed"
    carry_out(replace(task, key="whole").with_threads(1), lambda record: None)
    assert measured(RunFolder(task.out / "killed")) == measured(RunFolder(task.out / "whole"))
    assert RunFolder(task.out / "killed").metrics.exists()


def test_a_process_stays_for_the_next_task(backend: LocalProcesses, task: Task) -> None:
    backend.submit(short(task, "first"))
    wait_for(backend, Ended, "first")
    worker = worker_of(backend)
    backend.submit(short(task, "second"))
    wait_for(backend, Ended, "second")
    assert worker_of(backend) == worker


def test_a_training_that_obeys_ends_at_the_evaluation_that_is_answered(
    backend: LocalProcesses, task: Task
) -> None:
    backend.submit(replace(task, obeys=True))
    for epoch in (1, 2, 3):
        assert wait_for(backend, Reported, task.key).record.epoch == epoch
        backend.answer(task.key, "enough" if epoch == 3 else None)
    outcome = wait_for(backend, Ended, task.key).outcome
    assert (outcome.status, outcome.reason, outcome.epochs) == ("pruned", "enough", 3.0)


def test_closing_saves_what_is_under_way(backend: LocalProcesses, task: Task) -> None:
    backend.submit(task)
    wait_for(backend, Reported, task.key)
    backend.close(save=True)
    assert wait_for(backend, Ended, task.key).outcome.status == "interrupted"
    assert RunFolder(task.out / task.key).checkpoints.exists()


PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print('{"event": "failed", "key": "", "kind": "user", "message": "", "traceback": ""}', flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("save", [False, True])
def test_closing_leaves_no_program_of_a_worker_behind(
    save: bool, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_SERVE", PARENT)
    monkeypatch.setattr(local, "SECONDS_TO_SAVE", 0.1)
    backend = LocalProcesses([Slot(1)], tmp_path)
    backend.submit(task)
    wait_for(backend, Failed, "")  # the program runs
    backend._workers[0].task = task
    listener = backend._workers[0].listener
    backend.close(save=save)
    assert not listener.is_alive()  # so what was told last is there: all that hold its pipe ended
    wait_for(backend, Lost, task.key, seconds=5)


SWEEP = {"run_cap": 6, "fallline": {"data": "synthetic", "seed": 7}}
LONGER = {"epochs": {"value": 6}, "train.threads": {"value": 1}}


class Sweep:
    """`fallline sweep` in a process of its own, as a person starts it."""

    def __init__(self, folder: Path, workers: int) -> None:
        command = [sys.executable, "-m", "fallline", "sweep", "sweep.yaml", "--json"]
        self.process = subprocess.Popen(
            [*command, f"--workers={workers}"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        self.ended: list[dict[str, Any]] = []

    def wait(self, count: int) -> None:
        """Until that many trials have ended here, and one more is under way."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._hear(line)
            if len(self.ended) >= count and '"evaluated"' in line:
                return

    def end_by(self, signum: int) -> tuple[int, str]:
        """Its exit status and the last it said."""
        self.process.send_signal(signum)
        out, errors = self.process.communicate(timeout=60)
        for line in out.splitlines():
            self._hear(line)
        return self.process.returncode, out + errors

    def _hear(self, line: str) -> None:
        with contextlib.suppress(ValueError):  # of a killed process, the last may be a part
            news = json.loads(line)
            if news["event"] == "ended":
                self.ended.append(news)


def test_a_sweep_whose_coordinator_is_killed_goes_on_as_if_never_stopped(
    small: dict[str, Any], tmp_path: Path
) -> None:
    values = {**small, **SWEEP, "parameters": {**small["parameters"], **LONGER}}
    with (tmp_path / "sweep.yaml").open("w") as file:
        YAML().dump(values, file)
    first = Sweep(tmp_path, workers=2)
    first.wait(2)
    assert first.end_by(signal.SIGKILL)[0] == -signal.SIGKILL
    wait_until_free(tmp_path / "runs" / "sweep")
    second = Sweep(tmp_path, workers=1)
    second.wait(1)
    status, said = second.end_by(signal.SIGINT)
    assert status == 130
    assert '"kind": "signal"' in said
    third = Sweep(tmp_path, workers=1)
    third.wait(99)
    assert third.process.wait(60) == 0
    third.process.communicate()

    folder, plan = tmp_path / "runs" / "sweep", read(values, layers=[FOR_TRIALS])
    assert sorted(path.name for path in folder.glob("trial-*")) == [
        f"trial-{number:04d}-seed0" for number in range(6)
    ]  # trials lost: 0
    ended = [*first.ended, *second.ended, *third.ended]
    assert {news["trial"]: news["parameters"] for news in ended} == {
        number: plan.point(number) for number in range(6)
    }  # configurations repeated: 0
    assert max(Counter(news["trial"] for news in ended).values()) == 1
    make = TaskMaker(plan, "sweep", tmp_path / "undisturbed")
    for number in range(6):
        task = make(number, plan.point(number), 0).with_threads(1)
        carry_out(task, lambda record: None)
        assert measured(RunFolder(folder / task.key)) == measured(RunFolder(task.out / task.key))


def wait_until_free(folder: Path) -> None:
    """The workers of a killed coordinator end by themselves, within seconds."""
    end = time.monotonic() + 30
    while any(str(folder.parent.parent) in cwd for cwd in working_folders()):
        assert time.monotonic() < end
        time.sleep(0.1)


def working_folders() -> Iterator[str]:
    """Where workers of sweeps run."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"fallline.sweep.worker" in (process / "cmdline").read_bytes():
                yield os.readlink(process / "cwd")
