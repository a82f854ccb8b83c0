"""From a configuration of a sweep to the task that trains it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.storage import write_atomically
from fallline.sweep.backend import Program, Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.script import Script


def key_of(number: int, seed: int) -> str:
    """The name of a task and of its run folder."""
    return f"trial-{number:04d}-seed{seed}"


@dataclass(frozen=True)
class TaskMaker:
    """Makes the tasks of one sweep.

    Attributes:
        file: the sweep; its layers hold what every trial has in common.
        name: the sweep's.
        out: the sweep's folder, which gets the run folders.
    """

    file: SweepFile
    name: str
    out: Path

    def __call__(self, number: int, values: Mapping[str, Any], seed: int) -> Task:
        """The task of trial `number` with its `seed`, counted from 0. Raises ConfigError.

        Seeds are paired: seed i of every trial trains with the base's seed plus i.
        """
        if self.file.script is not None:
            return self._of_script(self.file.script, number, values)
        told = {"sweep": self.name, "trial": number, "seed": seed, "parameters": dict(values)}
        resolved = self.file.resolve(values)
        track = resolved.config.track
        group = track.model_copy(update={"wandb_group": track.wandb_group or self.name})
        config = resolved.config.model_copy(
            update={"seed": resolved.config.seed + seed, "track": group}
        )
        return Task(
            key=key_of(number, seed),
            out=self.out,
            config=config.model_dump(mode="json"),
            origins=resolved.origins,
            trial=told,
            obeys=seed == 0 and self.stops_early,
        )

    def _of_script(self, script: Script, number: int, values: Mapping[str, Any]) -> Task:
        """The task that runs a program with the parameters under the names of the file."""
        key, settings = key_of(number, 0), self.file.nested(values)
        settings_file = self.out / "settings" / f"{key}.json"
        if script.needs_json_file:
            write_atomically(settings_file, json.dumps(settings, indent=2) + "\n")
        objective = self.file.objective
        argv = tuple(script.argv(settings, settings_file))
        return Task(
            key=key,
            out=self.out,
            config={},
            origins={},
            trial={"sweep": self.name, "trial": number, "seed": 0, "parameters": dict(values)},
            obeys=self.stops_early,
            program=Program(argv, objective.name if objective else None),
        )

    @property
    def stops_early(self) -> bool:
        """Whether trainings of the first seed may be stopped before their end."""
        return self.file.early_terminate is not None or self.file.pruner is not None
