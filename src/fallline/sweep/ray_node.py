"""What of a sweep runs on the nodes of a Ray cluster: trainings, and the box they post to."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fallline.data import ImageSet
from fallline.data.imageset import Pixels
from fallline.data.loan import Loan, borrow
from fallline.records import Record
from fallline.sweep.backend import Ended, Failed, Reported, Task
from fallline.sweep.mirror import Mirror, Parcel

SECONDS_BETWEEN_PARCELS: Final = 2.0  # what a node that dies may lose of a run

Letter = tuple[int, Reported | Parcel]
"""Which life of a task it comes from, and what it says."""


class Mailbox:
    """The actor beside the coordinator that trainings post to and get their answers from.

    A life is one attempt at a task: what an attempt posts that was given up is told apart by it.
    Letters are numbered, and kept until the coordinator has said that it has seen them.
    """

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._first = 0  # the number of the first one kept
        self._arrival = asyncio.Event()
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._is_closed = False

    async def post(self, life: int, content: Reported | Parcel) -> None:
        """Takes what a training has to tell."""
        self._letters.append((life, content))
        self._arrival.set()

    async def ask(self, life: int, content: Reported) -> str | None:
        """Takes a report and waits for the coordinator's answer to it."""
        if self._is_closed:
            return None
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers[life] = answer
        await self.post(life, content)
        return await answer

    async def look(self, seen: int, *, wait: bool) -> tuple[int, list[Letter]]:
        """The letters from number `seen` on, and the number of the first that is returned.

        With `wait`, once there is one.
        """
        del self._letters[: max(0, seen - self._first)]
        self._first = max(self._first, seen)
        while wait and not self._letters:
            self._arrival.clear()
            await self._arrival.wait()
        return self._first, list(self._letters)

    async def answer(self, life: int, prune: str | None) -> None:
        """The coordinator's answer; an attempt that has gone needs none."""
        waiting = self._answers.pop(life, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(prune)

    async def close(self) -> None:
        """From now on nobody answers: all go on."""
        self._is_closed = True
        for life in list(self._answers):
            await self.answer(life, None)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a task, as it is sent to a node.

    Attributes:
        task: the task; its `out` is a folder of the coordinator's node.
        life: tells this attempt from others.
        before: what the run folder held when the attempt was sent.
    """

    task: Task
    life: int
    before: Parcel | None


@dataclass(frozen=True)
class Post:
    """How a node reaches the coordinator: `tell` and `ask` return when the letter has arrived."""

    tell: Callable[[Reported | Parcel], None]
    ask: Callable[[Reported], str | None]


def perform(
    attempt: Attempt,
    loan: Loan,
    blocks: Callable[[], Iterable[Pixels]],
    post: Post,
    *,
    at_home: bool,
) -> tuple[Ended | Failed, Parcel | None]:
    """Carries out a task on this node; what it left there and was not posted yet comes with it.

    Args:
        attempt: what to carry out.
        loan, blocks: the images, and how their pixels are had where the node lacks them.
        post: the way to the coordinator.
        at_home: whether this is the coordinator's node, whose folder is written directly.
    """
    from fallline.sweep.trial import carry_out

    task = attempt.task
    images = _images(loan, blocks)

    def report(record: Record) -> str | None:
        told = Reported(task.key, record)
        if task.obeys:
            return post.ask(told)
        post.tell(told)
        return None

    if at_home:
        return carry_out(task, report, images), None
    with _Away(attempt, post) as away:
        done = carry_out(replace(task, out=away.out), report, images)
        return done, away.rest()


class _Away:
    """A folder of this node that stands for the coordinator's; its changes are posted as it goes.

    Also where both see one disk: writing over a network is what slows a training down.
    """

    def __init__(self, attempt: Attempt, post: Post) -> None:
        self.out = Path(tempfile.mkdtemp(prefix="fallline-"))
        folder = self.out / attempt.task.key
        self._mirror, self._tell = Mirror(folder), post.tell
        if attempt.before is not None:
            attempt.before.unpack(folder)
            self._mirror.changes()
        self._is_over = threading.Event()
        self._courier = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> _Away:
        self._courier.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        shutil.rmtree(self.out, ignore_errors=True)

    def rest(self) -> Parcel | None:
        """What was not posted yet, when the training has ended."""
        self._is_over.set()
        self._courier.join()
        return self._mirror.changes()

    def _carry(self) -> None:
        while not self._is_over.wait(SECONDS_BETWEEN_PARCELS):
            parcel = self._mirror.changes()
            if parcel is not None:
                self._tell(parcel)


@dataclass
class _Shelf:
    """The images this process has open: opening reads every byte."""

    open: dict[str, ImageSet] = field(default_factory=dict)


_SHELF: Final = _Shelf()


def _images(loan: Loan, blocks: Callable[[], Iterable[Pixels]]) -> ImageSet:
    if loan.fingerprint not in _SHELF.open:
        _SHELF.open = {loan.fingerprint: borrow(loan, blocks)}
    return _SHELF.open[loan.fingerprint]
