"""A sweep over somebody's own script that logs with W&B: run as a process, read beside."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fallline.records import Record, RunFolder
from fallline.report.files import document_at
from fallline.report.page import page
from fallline.sweep.backend import Ended, Failed, Task
from fallline.sweep.file import read
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.trial import carry_out
from fallline.track.wandb_file import HEADER, messages, messages_after, rows

SCRIPT = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--width", type=int)
args = parser.parse_args()
if args.width == 13:
    raise ValueError("an unlucky width")
import wandb
run = wandb.init(project="theirs")
for epoch in range(args.width):
    run.log({"batch": epoch})
    run.log({"loss": args.lr / (epoch + 1), "epoch": epoch})
    time.sleep(0.02 if args.width < 100 else 0.2)
run.finish()
"""


@pytest.fixture
def tasks(tmp_path: Path) -> TaskMaker:
    """Tasks of a grid over the script: widths 3, 13 and 1000."""
    pytest.importorskip("wandb")
    (tmp_path / "theirs.py").write_text(SCRIPT)
    values = {
        "program": str(tmp_path / "theirs.py"),
        "command": [sys.executable, "${program}", "${args}"],
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"lr": {"value": 0.5}, "width": {"values": [3, 13, 1000]}},
    }
    return TaskMaker(read(values), "theirs", tmp_path / "sweep")


def run(
    tasks: TaskMaker, number: int, stop_at: int | None = None
) -> tuple[Task, Any, list[float]]:
    task, losses = tasks(number, tasks.file.point(number), 0), []

    def report(record: Record) -> str | None:
        losses.append(float(record.values["loss"]))
        return "enough" if len(losses) == stop_at else None

    return task, carry_out(task, report), losses


def test_its_metric_is_read_and_its_run_folder_is_one_of_a_run(tasks: TaskMaker) -> None:
    task, done, losses = run(tasks, 0)
    assert isinstance(done, Ended)
    assert done.outcome.status == "completed"
    assert losses == pytest.approx([0.5, 0.25, 0.5 / 3])
    folder = RunFolder(task.out / task.key)
    assert folder.read_outcome() == done.outcome
    assert [r["loss"] for r in folder.read_metrics()] == pytest.approx(losses)
    assert [r["epoch"] for r in folder.read_metrics()] == [1, 2, 3]
    assert run(tasks, 0)[1:] == (done, losses)  # told again, not run again


def test_a_page_reports_it_by_its_own_metric_and_parameters(tasks: TaskMaker) -> None:
    run(tasks, 0)
    run(tasks, 2, stop_at=2)
    metric = {"name": "loss", "goal": "minimize"}
    (tasks.out / "sweep.json").write_text(json.dumps({"name": "theirs", "metric": metric}))
    document = document_at([tasks.out])
    assert document.answer.sentence == (
        "The best of 2 configurations reaches 0.1667 loss: trial 0 (width 3)."
    )
    assert [row.state for row in document.table.rows] == ["completed", "pruned"]
    assert document.table.rows[0].command.endswith("theirs.py --lr=0.5 --width=3")
    assert [f.views.keys() for f in document.figures if "curves" in f.name] == [{"metric"}] * 2
    assert "fallline-report" in page(document, "fallline-report")
    (alone,) = document_at([tasks.out / "trial-0002-seed0"]).table.rows
    assert (alone.name, alone.state) == ("trial-0002-seed0", "pruned")


def test_it_is_stopped_while_it_runs(tasks: TaskMaker) -> None:
    _, done, losses = run(tasks, 2, stop_at=2)
    assert isinstance(done, Ended)
    assert (done.outcome.status, done.outcome.reason, len(losses)) == ("pruned", "enough", 2)
    assert done.outcome.wall_seconds < 100  # it would have taken 200


def test_its_failure_shows_what_it_printed(tasks: TaskMaker) -> None:
    _, done, _ = run(tasks, 1)
    assert isinstance(done, Failed)
    assert done.kind == "user"
    assert "ValueError: an unlucky width" in done.traceback


def test_a_file_that_is_still_being_written_gives_its_whole_rows(
    tasks: TaskMaker, tmp_path: Path
) -> None:
    task, _, _ = run(tasks, 0)
    (path,) = (task.out / task.key).glob("wandb/offline-run-*/*.wandb")
    content, cut, seen = path.read_bytes(), tmp_path / "cut.wandb", set()
    for end in range(0, len(content), 37):
        cut.write_bytes(content[:end])
        seen.add(len(rows(messages(cut))))
    assert seen == set(range(7))


def test_a_file_that_grows_is_read_on_from_where_its_last_whole_record_ended(
    tasks: TaskMaker, tmp_path: Path
) -> None:
    task, _, _ = run(tasks, 0)
    (path,) = (task.out / task.key).glob("wandb/offline-run-*/*.wandb")
    content, cut = path.read_bytes(), tmp_path / "cut.wandb"
    place, found = HEADER, []
    for end in (*range(0, len(content), 37), len(content)):
        cut.write_bytes(content[:end])
        new = list(messages_after(cut, place))
        found += [message for _, message in new]
        place = new[-1][0] if new else place
    assert found == list(messages(path))
