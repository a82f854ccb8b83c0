"""A process that carries out one task after the other: what a local backend starts.

It is a plain Python process, not one of multiprocessing: that would run the user's script once
more, which a script without a main guard does not survive. A message is a line of JSON. The end
of its input means that nobody listens any more: a training is saved, and the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from fallline.records import Outcome, Record
from fallline.sweep.backend import Ended, Event, Failed, Program, Reported, Task


def encode_task(task: Task) -> str:
    """A task as a line."""
    return json.dumps({"task": asdict(task) | {"out": str(task.out)}}) + "\n"


def encode_answer(prune: str | None) -> str:
    """The answer to a report as a line."""
    return json.dumps({"answer": prune}) + "\n"


def decode_event(line: bytes) -> Event | None:
    """The event a worker's line tells of; None says that it is ready for tasks."""
    message = json.loads(line)
    key = message.get("key", "")
    match message["event"]:
        case "reported":
            return Reported(key, Record.from_plain(message["record"]))
        case "ended":
            return Ended(key, Outcome.from_json(message["outcome"]))
        case "failed":
            return Failed(key, message["kind"], message["message"], message["traceback"])
    return None


def serve() -> None:
    """Carries out tasks from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to act on
    replies = _own_output()
    worker = _Worker(replies)
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    import torch  # noqa: F401  the seconds it takes pass before the first task comes

    import fallline.training.run  # noqa: F401

    worker.say("", "ready")
    worker.work()


def _own_output() -> IO[bytes]:
    """The pipe to the coordinator; whatever else prints goes to standard error, a log file."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


class _Worker:
    """Tasks and answers come in by a thread that listens, so that the end of them is noticed."""

    def __init__(self, replies: IO[bytes]) -> None:
        self._replies = replies
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._answers: SimpleQueue[str | None] = SimpleQueue()
        self._is_busy = self._is_alone = False

    def listen(self, requests: IO[bytes]) -> None:
        """Hands on what comes; at its end, asks the training under way to save and stop."""
        for line in requests:
            message = json.loads(line)
            if "task" in message:
                self._is_busy = True
                self._tasks.put(_task(message["task"]))
            else:
                self._answers.put(message["answer"])
        self._is_alone = True
        self._tasks.put(None)
        self._answers.put(None)
        if self._is_busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def work(self) -> None:
        """Carries out tasks until there are no more."""
        from fallline.sweep.trial import carry_out

        while (task := self._tasks.get()) is not None:
            done = carry_out(task, partial(self._report, task))
            self._is_busy = False
            if isinstance(done, Ended):
                self.say(task.key, "ended", outcome=done.outcome.as_json())
            else:
                self.say(task.key, "failed", **_plain(done))

    def _report(self, task: Task, record: Record) -> str | None:
        self.say(task.key, "reported", record=json.loads(record.as_json()))
        return self._answers.get() if task.obeys and not self._is_alone else None

    def say(self, key: str, event: str, **content: Any) -> None:
        """Tells the coordinator; one that has gone is passed over, the end of input will tell."""
        line = json.dumps({"key": key, "event": event, **content}) + "\n"
        try:
            self._replies.write(line.encode())
            self._replies.flush()
        except (BrokenPipeError, ValueError):
            self._is_alone = True


def _task(values: dict[str, Any]) -> Task:
    program = values["program"]
    if program is not None:
        program = Program(tuple(program["argv"]), program["metric"])
    return Task(**values | {"out": Path(values["out"]), "program": program})


def _plain(failed: Failed) -> dict[str, str]:
    return {"kind": failed.kind, "message": failed.message, "traceback": failed.traceback}
