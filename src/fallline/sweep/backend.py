"""The seam between the coordinator and whatever runs trainings: tasks go in, events come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from fallline.records import Outcome, Record


@dataclass(frozen=True)
class Program:
    """Somebody's own script as a training, which logs with W&B.

    Attributes:
        argv: its command line.
        metric: the name it logs that its sweep looks at; None: none.
    """

    argv: tuple[str, ...]
    metric: str | None = None


@dataclass(frozen=True)
class Task:
    """One training to carry out, as plain data that reaches any process.

    Attributes:
        key: names it within the sweep, and its run folder.
        out: the folder that holds the run folder; a run that was stopped there is gone on with.
        config: the complete `RunConfig`, as plain data; empty for a program.
        origins: where each of its settings came from, by dotted key.
        trial: what the run folder's trial.json holds: the sweep, the trial, its parameters.
        obeys: every evaluation waits for the coordinator's answer, so that early stopping acts on
            exactly the evaluation that calls for it.
        program: what runs instead of a training of ours.
    """

    key: str
    out: Path
    config: Mapping[str, Any]
    origins: Mapping[str, str]
    trial: Mapping[str, Any]
    obeys: bool = False
    program: Program | None = None

    def with_threads(self, threads: int) -> Task:
        """The task with that many CPU threads, unless its config has chosen a number."""
        if self.program is not None:
            return self  # it sees OMP_NUM_THREADS
        train = self.config["train"]
        chosen = {**train, "threads": train["threads"] or threads}
        return replace(self, config={**self.config, "train": chosen})

    def with_own_gpu(self) -> Task:
        """The task where its process sees one GPU: `cuda:3` would be none there."""
        train = self.config.get("train", {})
        if not str(train.get("device")).startswith("cuda:"):
            return self
        return replace(self, config={**self.config, "train": {**train, "device": "cuda"}})


@dataclass(frozen=True)
class Reported:
    """An evaluated epoch. If the task obeys, the training waits for `Backend.answer`."""

    key: str
    record: Record


@dataclass(frozen=True)
class Ended:
    """The training came to an outcome: completed, pruned, diverged or interrupted."""

    key: str
    outcome: Outcome


@dataclass(frozen=True)
class Failed:
    """The training raised: `memory` where it ran out of it, else the `user`'s to mend."""

    key: str
    kind: Literal["memory", "user"]
    message: str
    traceback: str


@dataclass(frozen=True)
class Lost:
    """Whoever ran it died (a killed process, a node that went): the task is to be run again."""

    key: str
    reason: str


Report = Callable[[Record], str | None]
"""Takes an evaluated epoch; returns why the training is to be pruned, or None to go on."""

Event = Reported | Ended | Failed | Lost


class Backend(Protocol):
    """Runs tasks; used from one thread.

    `slots` is how many tasks run at a time; more that are submitted wait for a free one.
    """

    @property
    def slots(self) -> int:
        """Tasks that run at a time."""

    def submit(self, task: Task) -> None:
        """Takes a task; returns at once."""

    def poll(self, timeout: float) -> Sequence[Event]:
        """What happened since the last call, in order; waits up to `timeout` seconds for it."""

    def answer(self, key: str, prune: str | None) -> None:
        """Lets a training that obeys go on (None), or ends it as pruned for that reason."""

    def close(self, *, save: bool) -> None:
        """Ends everything within seconds; with `save`, trainings write a checkpoint first."""


@dataclass(frozen=True)
class Share:
    """What each training is to have of a place.

    Attributes:
        per_device: trainings that share an accelerator.
        device: the config's `train.device`.
        threads: the config's `train.threads`; 0: what is left over for each.
    """

    per_device: int = 1
    device: str = "auto"
    threads: int = 0


class Place(Protocol):
    """Where trainings run, before anything is started there: this machine, a cluster."""

    @property
    def takes_programs(self) -> bool:
        """Whether it runs somebody's own scripts."""

    def open(self, folder: Path, share: Share) -> Backend:
        """The backend for a sweep in `folder`, which may get logs."""
