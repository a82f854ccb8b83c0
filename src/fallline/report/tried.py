"""A configuration that was tried: what it was set to and what came of it, whoever tried it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fallline.compare.evidence import Training
from fallline.compare.standing import Standing
from fallline.compare.workload import Workload
from fallline.report.configuration import Configuration, choice

OPTIMIZER: Final = "optim.name"


@dataclass(frozen=True)
class Tried:
    """A sweep's or a comparison's.

    Attributes:
        title: what a reader knows it by.
        optimizer: its name.
        settings: what was varied, by dotted key; None where it has no such setting.
        value: of the metric; None where it has none, or diverged after it.
        sound: every run of it completed.
        folders: of its runs.
    """

    title: str
    optimizer: str
    settings: Mapping[str, Any]
    value: float | None
    sound: bool
    folders: tuple[str, ...]


def of_configuration(configuration: Configuration) -> Tried:
    """A configuration of a sweep, or of runs."""
    runs, value = configuration.runs, configuration.value
    if any(run.state == "diverged" for run in runs):
        value = None  # its last finite one says nothing for its settings
    return Tried(
        configuration.described,
        str(runs[0].settings.get(OPTIMIZER, "")),
        configuration.settings,
        value.value if value else None,
        configuration.sound,
        tuple(str(run.path) for run in runs),
    )


def of_workload(workload: Workload, path: Path) -> tuple[Tried, ...]:
    """What a comparison in the folder `path` tried on a model, the best on val first."""
    found = [t for standing in workload.standings for t in _of_standing(standing, path)]
    return tuple(sorted(found, key=lambda t: (t.value is None, -(t.value or 0.0))))


def _of_standing(standing: Standing, path: Path) -> Iterator[Tried]:
    for training in standing.trials:
        chosen = ", ".join(choice(key, value) for key, value in training.parameters.items())
        again = standing.repeats if training.trial == standing.chosen else ()
        yield Tried(
            f"{standing.optimizer}, {chosen}",
            standing.optimizer,
            {OPTIMIZER: standing.optimizer, **training.parameters},
            training.val,
            training.val is not None,
            tuple(_folders(path, training, *again)),
        )


def _folders(path: Path, *trainings: Training) -> Iterator[str]:
    return (str(path / training.folder) for training in trainings if training.folder)
