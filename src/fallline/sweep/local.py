"""The local backend: persistent worker processes, each with a slot of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Final, Literal

from fallline import child
from fallline.command import argv
from fallline.errors import ConfigError
from fallline.storage import storage_error
from fallline.sweep.backend import Ended, Event, Failed, Lost, Share, Task
from fallline.sweep.slots import Slot, plan
from fallline.sweep.worker import decode_event, encode_answer, encode_task

SECONDS_TO_SAVE: Final = 30.0
SECONDS_TO_LISTEN: Final = 5.0  # to an ended process, whose pipe another may have inherited
_SERVE: Final = "import sys; del sys.argv[0]; from fallline.sweep.worker import serve; serve()"


@dataclass(eq=False)
class _Worker:
    """A worker process and the task it is busy with."""

    process: subprocess.Popen[bytes]
    listener: threading.Thread
    task: Task | None = None

    def send(self, line: str) -> None:
        """Writes to it; that one has died is heard from its other pipe."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()

    def hang_up(self) -> None:
        """Ends its input, which asks it to save and end."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def end(self) -> None:
        """Ends it and what it has left running, if it died already: a sweep's own program."""
        if os.name != "posix":
            self.process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class LocalProcesses:
    """Runs tasks in processes that stay: loading torch and the images is paid once by each.

    A process that dies takes its task with it (`Lost`) and is replaced; when this process dies,
    they see the end of their input, save and end by themselves.

    Args:
        places: what each process may use.
        logs: the folder that gets what they print.
    """

    def __init__(self, places: Sequence[Slot], logs: Path) -> None:
        self._places, self._logs = places, logs
        self._workers: dict[int, _Worker] = {}  # by the index of their place
        self._waiting: deque[Task] = deque()
        self._messages: SimpleQueue[tuple[int, bytes]] = SimpleQueue()

    @property
    def slots(self) -> int:
        """Tasks that run at a time."""
        return len(self._places)

    def submit(self, task: Task) -> None:
        """Gives the task to an idle process, or a new one; all busy, it waits."""
        self._waiting.append(task)
        self._assign()

    def poll(self, timeout: float) -> list[Event]:
        """What the processes told since the last call."""
        events: list[Event] = []
        with contextlib.suppress(Empty):
            events += self._hear(*self._messages.get(timeout=timeout))
            while True:
                events += self._hear(*self._messages.get_nowait())
        self._assign()
        return events

    def answer(self, key: str, prune: str | None) -> None:
        """Passes the answer on; a process that died meanwhile needs none."""
        for worker in self._workers.values():
            if worker.task is not None and worker.task.key == key:
                worker.send(encode_answer(prune))

    def close(self, *, save: bool) -> None:
        """Ends all processes; what they told last is still there for `poll`."""
        self._waiting.clear()
        deadline = time.monotonic() + (SECONDS_TO_SAVE if save else 0.0)
        for worker in self._workers.values():
            worker.hang_up() if save else worker.end()
        for worker in self._workers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            worker.end()
            worker.process.wait()
            worker.hang_up()
            worker.listener.join(SECONDS_TO_LISTEN)

    def _assign(self) -> None:
        """Gives waiting tasks to idle processes, and starts one where a place has none."""
        for place in range(self.slots):
            if not self._waiting:
                return
            if place not in self._workers:
                self._workers[place] = self._start(place)
            worker = self._workers[place]
            if worker.task is None:
                worker.task = self._waiting.popleft()
                worker.send(encode_task(self._places[place].fit(worker.task)))

    def _start(self, place: int) -> _Worker:
        slot = self._places[place]
        with _log(self._logs / f"worker-{place}.log") as log:
            process = subprocess.Popen(
                child.command(_SERVE, *argv()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **slot.environment},
                start_new_session=True,  # Ctrl-C in a terminal is for the coordinator alone
            )
        assert process.stdout is not None
        listening = (place, process.stdout, self._messages)
        listener = threading.Thread(target=_listen, args=listening, daemon=True)
        listener.start()
        return _Worker(process, listener)

    def _hear(self, place: int, line: bytes) -> list[Event]:
        worker = self._workers[place]
        if not line:
            del self._workers[place]
            worker.end()
            reason = _how_it_died(worker.process.wait(), self._logs / f"worker-{place}.log")
            worker.hang_up()
            return [Lost(worker.task.key, reason)] if worker.task else []
        event = decode_event(line)
        if isinstance(event, Ended | Failed):
            worker.task = None
        return [event] if event else []


@dataclass(frozen=True)
class Local:
    """This machine as the place where trainings run.

    `workers` is how many run at a time; auto: as the machine has room (see slots.py).
    """

    workers: int | Literal["auto"] = "auto"
    takes_programs = True

    def __post_init__(self) -> None:
        """Raises ConfigError for fewer workers than 1."""
        if self.workers != "auto" and self.workers < 1:
            hint = "leave it out: auto fits this machine"
            raise ConfigError(
                "no trainings at a time", seen=self.workers, allowed="1, 2, ...", next=hint
            )

    def open(self, folder: Path, share: Share) -> LocalProcesses:
        """Processes for a sweep in `folder`; none is started before there is a task for it."""
        return LocalProcesses(plan(self.workers, share), folder / "logs")


def _listen(place: int, replies: IO[bytes], messages: SimpleQueue[tuple[int, bytes]]) -> None:
    """Hands on every line of a process, and an empty one when there will be no more."""
    with replies:
        for line in replies:
            if line.endswith(b"\n"):  # a killed process may leave a part of one
                messages.put((place, line))
    messages.put((place, b""))


def _log(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise storage_error(path, error) from error


def _how_it_died(status: int, log: Path) -> str:
    """In words; a negative status is the signal that ended it."""
    if status >= 0:
        return f"its process ended with status {status}, see {log}"
    name = signal.Signals(-status).name
    hint = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"
