"""One run as a report sees it: read once from its folder, with what is wrong with it named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from fallline.errors import RunError, Status
from fallline.records import Outcome, Record, RunFolder
from fallline.track.settings import flat, group_name

State = Status | Literal["unfinished", "unreadable"]
IMAGES: Final[Mapping[str, type]] = {
    "name": str,
    "fingerprint": str,
    "classes": list,
    "shape": list,
    "train_images": int,
    "val_images": int,
    "test_images": int,
}
"""What environment.json says of the images, all of it or nothing."""


@dataclass(frozen=True)
class Trial:
    """What trial.json says: of which sweep, the how-manieth, and what was chosen for it.

    `phase` is a comparison's: tune or repeat; `part` is that with its model and optimizer.
    """

    sweep: str
    number: int
    seed: int | None
    parameters: Mapping[str, Any]
    phase: str = ""
    part: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A run folder's content.

    Attributes:
        path: the folder, as it was given.
        state: how the run ended; `unfinished` has no outcome yet, `unreadable` could not be read.
        reason: why it ended so, or why it cannot be read.
        config: the complete config, nested; empty for somebody's own script.
        environment: what it ran on.
        outcome: scores of the end; None for one that has not ended.
        epochs: the records of epochs, in order, and last that of the score on test.
        trial: its place in a sweep, if it has one.
        program: the command line of somebody's own script; empty for a training of ours.
    """

    path: Path
    state: State
    reason: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    outcome: Outcome | None
    epochs: tuple[Record, ...]
    trial: Trial | None
    program: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def seed(self) -> int | None:
        """The seed of initialization, order and augmentation."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Every setting by its dotted key; of a script, those that were given to it."""
        if self.program and self.trial:
            return self.trial.parameters
        return flat(self.config)

    @cached_property
    def group(self) -> str:
        """What runs have in common that differ in seed and trackers alone."""
        return group_name(self.config)

    def last(self, name: str) -> float | None:
        """The last finite value of a series, as W&B's summary has it."""
        for record in reversed(self.epochs):
            value = record.values.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                return float(value)
        return None

    @property
    def steps(self) -> int:
        """Steps done."""
        return self.outcome.steps if self.outcome else self.epochs[-1].step if self.epochs else 0

    @property
    def train_seconds(self) -> float:
        """The training clock."""
        if self.outcome:
            return self.outcome.train_seconds
        return self.epochs[-1].train_seconds if self.epochs else 0.0

    def images_scored(self, split: str) -> int | None:
        """How many images of `val` or `test` there were."""
        count = self.environment.get("data", {}).get(f"{split}_images")
        return count if isinstance(count, int) and count > 0 else None


def read_run(path: Path) -> Run:
    """Reads a run folder; one that is broken comes back as unreadable, with the reason."""
    folder = RunFolder(path)
    try:
        return _read(folder)
    except (RunError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        return Run(path, "unreadable", reason, {}, {}, None, (), None)


def batch_records(run: Run) -> list[Record]:
    """The measurements of single batches, which most reports need not hold."""
    return [
        Record.from_plain(line)
        for line in RunFolder(run.path).read_metrics()
        if line["event"] == "batch" and "train/batch_loss" in line
    ]


def _read(folder: RunFolder) -> Run:
    outcome = folder.read_outcome()
    environment = folder.read_environment() if folder.environment.is_file() else {}
    _check(folder.environment.name, environment)
    program = folder.read_program()["command"] if folder.program.is_file() else ()
    return Run(
        path=folder.path,
        state=outcome.status if outcome else "unfinished",
        reason=outcome.reason if outcome else "there is no outcome yet",
        config={} if program else folder.read_config(),
        environment=environment,
        outcome=outcome,
        epochs=_epochs(folder),
        trial=_trial(folder),
        program=tuple(map(str, program)),
    )


def _check(name: str, environment: Mapping[str, Any]) -> None:
    """Raises ValueError where what a page reads there is of another type than runs write."""
    data = environment.get("data", {})
    if not isinstance(data, Mapping):
        raise ValueError(f"{name}: data is no mapping")
    if data.keys() & IMAGES.keys() and not IMAGES.keys() <= data.keys():
        raise ValueError(f"{name}: of data there is a part only")
    for key, kind in IMAGES.items():
        if key in data and not isinstance(data[key], kind):
            raise ValueError(f"{name}: data.{key} is no {kind.__name__}")
    if "shape" in data and len(data["shape"]) != 3:
        raise ValueError(f"{name}: data.shape is not that of an image")
    for key, kind in (("versions", dict), ("cpu_flags", list)):
        if not isinstance(environment.get(key, kind()), kind):
            raise ValueError(f"{name}: {key} is no {kind.__name__}")


def _epochs(folder: RunFolder) -> tuple[Record, ...]:
    lines = folder.read_metrics()
    return tuple(Record.from_plain(line) for line in lines if line["event"] != "batch")


def _trial(folder: RunFolder) -> Trial | None:
    if not folder.trial.is_file():
        return None
    plain = json.loads(folder.trial.read_text())
    if not isinstance(plain, dict):
        raise ValueError(f"{folder.trial.name} is no mapping")
    return Trial(
        str(plain.get("sweep") or plain.get("comparison") or ""),
        int(plain["trial"]),
        plain.get("seed"),
        dict(plain.get("parameters") or {}),
        str(plain.get("phase") or ""),
        tuple(str(plain[key]) for key in ("phase", "workload", "optimizer") if key in plain),
    )
