"""One task in one process: begun, gone on with, told again; errors told apart."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fallline.records import Record, RunFolder
from fallline.sweep.backend import Ended, Failed, Task
from fallline.sweep.extension import FOR_TRIALS
from fallline.sweep.file import read
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.trial import carry_out

TaskOf = Callable[..., Task]


@pytest.fixture
def task_of(small: dict[str, Any], tmp_path: Path) -> TaskOf:
    """Makes the task of a trial of the small sweep."""

    def make(number: int = 0, seed: int = 0, out: str = "sweep", **train: Any) -> Task:
        file = read(small, layers=[FOR_TRIALS])
        task = TaskMaker(file, "sweep", tmp_path / out)(number, file.point(number), seed)
        chosen = {**task.config["train"], **train}
        return replace(task, config={**task.config, "train": chosen}).with_threads(1)

    return make


def told(task: Task, act: Callable[[Record], str | None] = lambda record: None) -> Any:
    """What came of the task, and the epochs it reported."""
    epochs: list[int] = []

    def report(record: Record) -> str | None:
        epochs.append(record.epoch)
        return act(record)

    return carry_out(task, report), epochs


def measured(task: Task) -> list[dict[str, Any]]:
    timed = ("train_seconds", "images_per_second")
    records = RunFolder(task.out / task.key).read_metrics()
    return [{k: v for k, v in r.items() if k not in timed} for r in records]


def test_a_trial_is_an_ordinary_run_that_never_touches_test(task_of: TaskOf) -> None:
    task = task_of(1)
    done, epochs = told(task)
    assert isinstance(done, Ended)
    assert (done.outcome.status, epochs) == ("completed", [1, 2])
    assert done.outcome.test_accuracy is None
    folder = RunFolder.open(task.out / "trial-0001-seed0")
    assert json.loads(folder.trial.read_text()) == task.trial
    assert task.trial["parameters"]["train.batch_size"] in (40, 80)
    assert folder.read_environment()["origins"]["optim.lr"] == "sweep"
    assert any(folder.tensorboard.iterdir())


def test_seeds_are_paired_over_trials(task_of: TaskOf) -> None:
    assert [task_of(n, seed).config["seed"] for n in (0, 1) for seed in (0, 2)] == [0, 2, 0, 2]


def test_a_trial_that_ended_unheard_is_told_again_and_not_trained(task_of: TaskOf) -> None:
    task = task_of()
    first, _ = told(task)
    again, epochs = told(task)
    assert again == first
    assert epochs == [1, 2]


def test_a_trial_stopped_by_a_signal_goes_on_to_the_same_end(task_of: TaskOf) -> None:
    def stop(record: Record) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    task = task_of()
    stopped, epochs = told(task, stop)
    assert (stopped.outcome.status, epochs) == ("interrupted", [1])
    done, epochs = told(task)
    assert (done.outcome.status, epochs) == ("completed", [1, 2])  # the first life's come first
    told(whole := task_of(out="undisturbed"))
    assert measured(task) == measured(whole)


def test_a_run_of_other_parameters_is_never_taken_for_the_trials_own(task_of: TaskOf) -> None:
    first, other = task_of(0), task_of(1)
    told(first)
    done, epochs = told(replace(other, key=first.key))
    assert isinstance(done, Failed)
    assert "holds a training with other parameters" in done.message
    assert not epochs


def test_a_folder_that_never_became_a_run_is_begun_anew(task_of: TaskOf) -> None:
    task = task_of()
    (task.out / task.key).mkdir(parents=True)
    (task.out / task.key / ".lock").touch()
    (task.out / task.key / "environment.json").write_text("{")
    assert told(task)[0].outcome.status == "completed"


def test_a_trial_ends_as_pruned_at_the_evaluation_that_calls_for_it(task_of: TaskOf) -> None:
    task = task_of()
    done, epochs = told(task, lambda record: "too slow")
    assert (done.outcome.status, done.outcome.reason, epochs) == ("pruned", "too slow", [1])
    assert told(task, lambda record: None)[0] == done  # it stays so


def test_errors_are_told_apart(task_of: TaskOf) -> None:
    lost_images = {**task_of().config["data"], "name": "/nowhere"}
    done, _ = told(replace(task_of(), config={**task_of().config, "data": lost_images}))
    assert isinstance(done, Failed)
    assert done.kind == "user"
    assert "Traceback" in done.traceback
    huge = {**task_of().config["model"], "widths": [10**9]}
    done, _ = told(replace(task_of(3), config={**task_of().config, "model": huge}))
    assert isinstance(done, Failed)
    assert done.kind == "memory"
