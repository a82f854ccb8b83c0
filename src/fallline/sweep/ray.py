"""The Ray backend: tasks of a cluster's nodes, or of a Ray that is started on this machine."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from fallline.config import DataConfig
from fallline.data.loan import Loan, blocks_of, lend
from fallline.errors import RunError
from fallline.sweep.backend import Ended, Event, Failed, Lost, Task
from fallline.sweep.mirror import Mirror, Parcel
from fallline.sweep.ray_connect import on_node, ray, rooms
from fallline.sweep.ray_node import Attempt, Mailbox, Post, perform
from fallline.track.terminal import drawn_progress
from fallline.training.images import load_images

SECONDS_TO_SAVE: Final = 30.0
SECONDS_TO_FETCH: Final = 120.0


@dataclass(frozen=True)
class _Running:
    """A task under way: its present attempt, and what Ray calls its result."""

    task: Task
    life: int
    result: Any


class RayTasks:
    """Runs each task as a Ray task, on whatever node has room.

    Run folders grow in the coordinator's `out`, wherever a task runs. Images reach a node once.

    Args:
        threads: CPU threads of a training whose config does not say.
        workers: the most trainings at a time; auto: as many as fit.
        per_device: trainings that share a GPU; None: they use CPUs.
        closes_ray: whether this process leaves Ray when the backend is closed.
    """

    def __init__(
        self,
        threads: int,
        workers: int | Literal["auto"],
        per_device: int | None,
        *,
        closes_ray: bool,
    ) -> None:
        self._threads, self._workers, self._per_device = threads, workers, per_device
        self._closes_ray = closes_ray
        self._home: str = ray.get_runtime_context().get_node_id()
        self._mailbox = _mailbox_on(self._home)
        self._seen = 0  # letters
        self._next: Any = self._mailbox.look.remote(0, wait=True)
        gpus = 1 / per_device if per_device else 0
        self._perform = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_perform)
        self._lives = itertools.count(1)
        self._running: dict[str, _Running] = {}
        self._waiting: deque[Task] = deque()
        self._lent: dict[tuple[Any, ...], tuple[Any, list[Any]]] = {}
        self._last: list[Event] = []

    @property
    def slots(self) -> int:
        """Tasks that run at a time; changes as nodes come and go."""
        fit = rooms(self._threads, self._per_device)
        return fit if self._workers == "auto" else min(fit, self._workers)

    def submit(self, task: Task) -> None:
        """Sends the task to the cluster, or lets it wait for room.

        Its images are opened here first; raises what `data.load` does.
        """
        there = replace(task, out=task.out.absolute())  # a node has another working directory
        there = there.with_threads(self._threads)
        self._waiting.append(there.with_own_gpu() if self._per_device else there)
        self._fill()

    def poll(self, timeout: float) -> list[Event]:
        """What happened since the last call; what nodes wrote is in the run folders before."""
        events, self._last = self._last, []
        if self._next is None or events:
            return events
        results = [running.result for running in self._running.values()]
        ready, _ = ray.wait([self._next, *results], timeout=timeout)
        if ready:
            events += self._hear()
        self._fill()
        return events

    def answer(self, key: str, prune: str | None) -> None:
        """Passes the answer on."""
        if key in self._running:
            self._mailbox.answer.remote(self._running[key].life, prune)

    def close(self, *, save: bool) -> None:
        """Ends all tasks; what they told last is still there for `poll`."""
        if self._next is None:
            return
        self._waiting.clear()
        results = [running.result for running in self._running.values()]
        if save and results:
            ray.get(self._mailbox.close.remote())
            for result in results:
                ray.cancel(result, force=False)  # arrives there as SIGINT does
            ray.wait(results, num_returns=len(results), timeout=SECONDS_TO_SAVE)
            self._last = [e for e in self._hear() if not isinstance(e, Lost)]
        for running in self._running.values():
            ray.cancel(running.result, force=True)
        ray.kill(self._mailbox)
        self._next, self._running = None, {}
        if self._closes_ray:
            ray.shutdown()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            task = self._waiting.popleft()
            life = next(self._lives)
            before = Mirror(task.out / task.key).changes()
            loan, blocks = self._lend(task)
            attempt = Attempt(task, life, before)
            result = self._perform.remote(attempt, loan, blocks, self._mailbox, self._home)
            self._running[task.key] = _Running(task, life, result)

    def _lend(self, task: Task) -> tuple[Any, list[Any]]:
        """The task's images in Ray's hands: their description, and their pixels in blocks."""
        data = DataConfig.model_validate(task.config["data"])
        wanted = data.name, data.image_size, data.channels
        if wanted not in self._lent:
            images = load_images(data, drawn_progress("auto"))
            blocks = [ray.put(block) for block in blocks_of(images)]
            self._lent[wanted] = ray.put(lend(images)), blocks
        return self._lent[wanted]

    def _hear(self) -> list[Event]:
        """Every letter that has arrived, then the ends of tasks: their letters came before."""
        results = {running.result: key for key, running in self._running.items()}
        done, _ = ray.wait(list(results), num_returns=len(results) or 1, timeout=0)
        events = self._open()
        return events + [self._end(self._running.pop(results[result])) for result in done]

    def _open(self) -> list[Event]:
        """What the letters say that were not seen before; files go where they belong."""
        try:
            first, letters = ray.get(self._mailbox.look.remote(self._seen, wait=False))
        except ray.exceptions.RayError as error:
            raise RunError(
                "the sweep has lost its mailbox, a process of Ray's on this machine",
                seen=_in_short(error),
                next="run the same command again: it goes on",
            ) from error
        self._seen = first + len(letters)
        self._next = self._mailbox.look.remote(self._seen, wait=True)
        tasks = {running.life: running.task for running in self._running.values()}
        events = []
        for life, content in letters:
            if life not in tasks:
                continue
            if isinstance(content, Parcel):
                content.unpack(tasks[life].out / tasks[life].key)
            else:
                events.append(content)
        return events

    def _end(self, running: _Running) -> Event:
        key, task = running.task.key, running.task
        try:
            done, parcel = ray.get(running.result, timeout=SECONDS_TO_FETCH)
        except ray.exceptions.OutOfMemoryError as error:
            return Failed(key, "memory", _in_short(error), str(error))
        except ray.exceptions.RayTaskError as error:
            return Failed(key, "user", _last_line(error), str(error))
        except ray.exceptions.RayError as error:
            return Lost(key, _in_short(error))
        if parcel is not None:
            parcel.unpack(task.out / task.key)
        event: Ended | Failed = done
        return event


def _mailbox_on(home: str) -> Any:
    """The actor, on the coordinator's node: it lives as long as that."""
    placed = {"num_cpus": 0, "scheduling_strategy": on_node(home)}
    return ray.remote(Mailbox).options(**placed).remote()


def _perform(
    attempt: Attempt, loan: Loan, blocks: list[Any], mailbox: Any, home: str
) -> tuple[Ended | Failed, Parcel | None]:
    """`perform`, within Ray."""
    life = attempt.life
    post = Post(
        tell=lambda content: ray.get(mailbox.post.remote(life, content)),
        ask=lambda content: ray.get(mailbox.ask.remote(life, content)),
    )
    at_home = ray.get_runtime_context().get_node_id() == home
    return perform(attempt, loan, lambda: map(ray.get, blocks), post, at_home=at_home)


def _in_short(error: Exception) -> str:
    """What kind it is and its first sentence: Ray adds where to look for more."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0]
    return f"{type(error).__name__}: {first}"


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
