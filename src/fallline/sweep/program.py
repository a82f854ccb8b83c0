"""Somebody's own script as a trial: a process that logs with W&B, offline, and is read beside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fallline.errors import Status
from fallline.records import Outcome, Record, RunFolder
from fallline.storage import write_atomically
from fallline.sweep.backend import Ended, Failed, Program, Report, Task
from fallline.track.wandb_file import HEADER, messages_after, rows
from fallline.training.signals import StopRequest, stop_on_signals

SECONDS_BETWEEN_LOOKS: Final = 0.2
SECONDS_TO_END: Final = 30.0  # what W&B's agent gives a script after SIGTERM
OWN: Final = ("event", "step", "epoch", "train_seconds")  # names that records have already
LINES_TOLD: Final = 25  # of the output of a program that failed


def run_program(task: Task, program: Program, report: Report) -> Ended | Failed:
    """Runs the program to its end, or stops it when `report` says so.

    Each logged row that holds the metric is a report; they are kept in the run folder's
    metrics.jsonl, what the program prints in output.log. A program that was stopped before its
    end begins anew: how to go on is its own business.
    """
    folder = RunFolder(task.out / task.key)
    done = folder.read_outcome()
    if done is not None and done.status in ("completed", "pruned"):
        for line in folder.read_metrics():
            report(Record.from_plain(line))
        return Ended(task.key, done)
    shutil.rmtree(folder.path, ignore_errors=True)
    folder.path.mkdir(parents=True)
    write_atomically(folder.trial, json.dumps(task.trial, indent=2) + "\n")
    about = {"command": list(program.argv)}
    write_atomically(folder.program, json.dumps(about, indent=2) + "\n")  # now it is a run
    with stop_on_signals() as stopping:
        return _Process(task, program, folder, report).end(stopping)


@dataclass
class _Process:
    """The program under way."""

    task: Task
    program: Program
    folder: RunFolder
    report: Report
    _told: int = 0
    _read: dict[Path, int] = field(default_factory=dict)  # how far each file was read, in bytes
    _began: float = field(default_factory=time.monotonic)

    def end(self, stopping: StopRequest) -> Ended | Failed:
        """Waits for the end, one way or another."""
        try:
            with (self.folder.path / "output.log").open("wb") as log:
                process = subprocess.Popen(
                    self.program.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment(),
                )
        except OSError as error:
            what = f"{self.program.argv[0]} cannot be started: {error.strerror}"
            return Failed(self.task.key, "user", what, what)
        try:
            reason = self._watch(process, stopping)
        finally:
            _terminate(process)
        if reason is not None:
            return self._ended("pruned", reason)
        if stopping.signum is not None:
            return self._ended("interrupted", f"stopped by {stopping.name}")
        self._report_new()
        if process.returncode == 0:
            return self._ended("completed", "reached its end")
        return self._failed(process.returncode)

    def _watch(self, process: subprocess.Popen[bytes], stopping: StopRequest) -> str | None:
        """Reports while the program runs; returns why it is to be stopped, or None."""
        while process.poll() is None and stopping.signum is None:
            reason = self._report_new()
            if reason is not None:
                return reason
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def _report_new(self) -> str | None:
        for row in self._new_rows():
            self._told += 1
            plain = {k: v for k, v in row.items() if isinstance(v, int | float | str)}
            values = {k: v for k, v in plain.items() if k not in OWN}
            seconds = time.monotonic() - self._began
            record = Record("epoch", self._told, self._told, seconds, values)
            with self.folder.metrics.open("a") as file:
                file.write(record.as_json() + "\n")
            if (reason := self.report(record)) is not None:
                return reason
        return None

    def _new_rows(self) -> list[dict[str, Any]]:
        """The newly logged rows that hold the metric, of the newest of the program's W&B runs."""
        files = sorted((self.folder.path / "wandb").glob("*run-*/run-*.wandb"))
        if not files or self.program.metric is None:
            return []
        found = list(messages_after(files[-1], self._read.get(files[-1], HEADER)))
        if found:
            self._read[files[-1]] = found[-1][0]
        new = rows(message for _, message in found)
        return [row for row in new if self.program.metric in row]

    def _environment(self) -> dict[str, str]:
        offline = {"WANDB_MODE": "offline", "WANDB_DIR": str(self.folder.path.resolve())}
        quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
        soon = {"WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "0.5"}  # seconds; else it would be 15
        return {**os.environ, **offline, **quiet, **soon}

    def _ended(self, status: Status, reason: str) -> Ended:
        seconds = time.monotonic() - self._began
        outcome = Outcome(status, reason, self._told, self._told, seconds, seconds, 0)
        self.folder.write_outcome(outcome)
        return Ended(self.task.key, outcome)

    def _failed(self, status: int) -> Failed:
        output = (self.folder.path / "output.log").read_text(errors="replace")
        tail = "\n".join(deque(output.splitlines(), LINES_TOLD))
        kind = "memory" if "out of memory" in tail.lower() or status == -9 else "user"
        self._ended("failed", f"the program ended with status {status}")
        message = f"the program ended with status {status}"
        return Failed(self.task.key, kind, message, tail or message)  # type: ignore[arg-type]


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Ends it if it is still there: asks first, as W&B's agent does."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
