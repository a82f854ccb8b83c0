"""`--dry-run`: what a sweep would do, and about how long it would take."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from fallline.errors import RunError
from fallline.records import RunFolder
from fallline.sweep.backend import Backend, Ended, Failed, Place, Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.run import Source, given, prepare
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.wording import described, settings_of
from fallline.track.terminal import say
from fallline.track.wording import clock
from fallline.training.resolve import resolve

FIRST: Final = 8  # configurations that are shown
PROBE_STEPS: Final = 40
LOOKED_AT: Final = 50  # configurations whose epochs the estimate averages


@dataclass(frozen=True)
class Estimate:
    """How long one configuration takes, from a probe of the first.

    Attributes:
        seconds: for all its epochs, evaluation included.
        slots: configurations at a time.
    """

    seconds: float
    slots: int


def show_plan(
    source: Source,
    *,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    on: Place,
) -> None:
    """Prints the space, the first configurations, the bands, and the time it takes.

    Raises ConfigError with everything that would be refused.
    """
    file, _ = prepare(source, given(data, settings), seed, "auto")
    for line in described(file):
        say(line)
    if file.method == "bayes":
        say("first      random ones, then what the sampler proposes")
    else:
        count = FIRST if file.cap is None else min(FIRST, file.cap)
        for number in range(count):
            say(f"{'first' * (number == 0):<9}  {settings_of(file, file.point(number))}")
    if file.script is None:
        say(f"{'time':<9}  {_in_words(file, estimate(file, on))}")


def estimate(file: SweepFile, place: Place) -> Estimate:
    """Trains the first configuration for some steps and extrapolates."""
    with tempfile.TemporaryDirectory(prefix="fallline-probe-") as folder:
        task = _probe(file, Path(folder))
        device = resolve(file.layers).config.train.device
        backend = place.open(Path(folder), file.extension.per_device or 1, device)
        try:
            backend.submit(task)
            _wait(backend)
        finally:
            backend.close(save=False)
        run = RunFolder(task.out / task.key)
        outcome, epochs = run.read_outcome(), run.read_config()["train"]["epochs"]
    assert outcome is not None
    beside = outcome.wall_seconds - outcome.train_seconds  # one evaluation
    of_an_epoch = outcome.train_seconds / outcome.epochs + beside
    return Estimate(of_an_epoch * _mean_epochs(file, epochs), backend.slots)


def _probe(file: SweepFile, out: Path) -> Task:
    task = TaskMaker(file, "probe", out)(
        0, file.draw(0) if file.method == "bayes" else file.point(0), 0
    )
    train = {**task.config["train"], "max_steps": PROBE_STEPS}
    return replace(task, config={**task.config, "train": train}, obeys=False)


def _wait(backend: Backend) -> None:
    while True:
        for event in backend.poll(1.0):
            if isinstance(event, Ended) and event.outcome.status == "completed":
                return
            if isinstance(event, Failed):
                raise RunError("the first configuration fails", seen=event.message)
            if isinstance(event, Ended):
                raise RunError("the first configuration fails", seen=event.outcome.reason)


def _mean_epochs(file: SweepFile, settled: float) -> float:
    """Of the first configurations; `settled` is what a run takes that is told no number."""
    count = LOOKED_AT if file.cap is None else min(LOOKED_AT, file.cap)
    told = [file.draw(i) if file.method == "bayes" else file.point(i) for i in range(count)]
    return fmean(file.resolve(values).config.train.epochs or settled for values in told)


def _in_words(file: SweepFile, found: Estimate) -> str:
    each = f"about {clock(found.seconds)} each, {found.slots} at a time"
    if file.cap is None:
        return f"{each}, without end"
    runs = file.cap * (file.extension.seeds if file.extension.seeds > 1 else 1)
    most = "at most " if file.extension.seeds > 1 or file.early_terminate or file.pruner else ""
    return f"{each}: {most}{clock(found.seconds * runs / found.slots)} for {runs:,} trainings"
