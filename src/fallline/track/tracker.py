"""The seam between a training and whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from fallline.records import Outcome, Record, RunFolder


@dataclass(frozen=True)
class RunStart:
    """What a tracker is told when a run starts or goes on.

    `config` is the complete config and `environment` what environment.json holds, both as plain
    data. `resumed_at` is the step of the checkpoint a resumed run goes on from, else None: records
    up to that step were logged before, later ones will be logged again.
    """

    folder: RunFolder
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    total_steps: int
    steps_per_epoch: int
    resumed_at: int | None = None

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.path.name

    @cached_property
    def trial(self) -> Mapping[str, Any]:
        """What the run is in a sweep or a comparison: trial.json; empty for other runs."""
        return self.folder.read_trial() if self.folder.trial.exists() else {}

    @cached_property
    def past(self) -> list[Record]:
        """What a resumed run had measured up to its checkpoint; nothing for a new run.

        Read once, before the first new measurement is logged.
        """
        if self.resumed_at is None:
            return []
        return [Record.from_plain(line) for line in self.folder.read_metrics()]


class Tracker(Protocol):
    """Takes measurements. Constructed with a `RunStart`; used from one thread."""

    def log(self, record: Record) -> None:
        """Takes one measurement; called in order of steps, at most some times a second."""

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Takes a picture, `uint8 (H, W, 3)`, e.g. the confusion matrix."""

    def finish(self, outcome: Outcome) -> None:
        """The run has ended; called once, whatever the outcome."""
