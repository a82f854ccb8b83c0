"""A dry run: what a sweep is going to do, and about how long that takes by a probe."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from fallline.config import TrainConfig
from fallline.sweep.backend import Place, Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.folder import Source, name_of
from fallline.sweep.plan import ConfigurationRow, Plan, plan
from fallline.sweep.probe import STEPS, probe
from fallline.sweep.session import given, prepare, share_of
from fallline.sweep.tasks import TaskMaker
from fallline.track.terminal import Show, clean, say
from fallline.track.wording import clock, counted

A_CAP: Final = "give it a run_cap, or fallline: {budget: {time: 2h}}"
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


def rehearse(
    source: Source,
    *,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    on: Place,
    show: Show = "auto",
) -> None:
    """Prints what a sweep is going to do, and the time that takes; as JSON it is one object.

    Raises ConfigError with everything that would be refused.
    """
    file, _ = prepare(source, given(data, settings), seed, on, show)
    planned = plan(replace(file, name=name_of(None, file, source)))
    argv = None if file.script is None else file.script.argv(file.nested(file.draw(0)))
    if show == "json":
        found = {"argv": argv} if argv else {"estimate": asdict(estimate(file, on))}
        say(json.dumps({"event": "plan", **asdict(planned), **found}))
        return
    for line in lines(planned):
        say(line)
    if argv is None:
        say(f"{'time':<9}  {_in_words(file, estimate(file, on))}")
    else:
        say(f"{'runs':<9}  {clean(shlex.join(argv))}")


def lines(of: Plan) -> list[str]:
    """A plan as text."""
    facts = [("sweep", of.title), ("metric", of.objective), *(("data", data) for data in of.data)]
    if of.points is not None:
        alike = of.trainings is not None and of.trainings < of.points
        differ = f", of which {of.trainings} differ in what is trained" if alike else ""
        facts.append(("points", f"{of.points:,}{differ}"))
    facts += _titled("space", [f"{word}: {values}" for word, values in of.parameters.items()])
    facts += _titled(of.shown, [_configuration(row) for row in of.configurations])
    if of.bands:
        bands = ", ".join(str(band) for band in of.bands)
        facts.append(("bands", f"early stopping looks at measurements {bands}"))
    facts.append(("ends", " or ".join(of.limits) or f"never by itself: {A_CAP}"))
    facts += _titled("note", of.notes)
    return [f"{name:<9}  {clean(text)}" for name, text in facts]


def _titled(title: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(title if i == 0 else "", text) for i, text in enumerate(texts)]


def _configuration(row: ConfigurationRow) -> str:
    words = " ".join(f"{name}={value}" for name, value in row.values.items())
    return words + (f"  ({', '.join(row.idle)} does nothing here)" if row.idle else "")


def estimate(file: SweepFile, place: Place) -> Estimate:
    """Trains the first configuration for some steps and extrapolates."""

    def task(out: Path) -> Task:
        first = file.draw(0) if file.method == "bayes" else file.point(0)
        made = TaskMaker(file, "probe", out)(0, first, 0)
        train = {**made.config["train"], "max_steps": STEPS}
        return replace(made, config={**made.config, "train": train}, obeys=False)

    found = probe(task, place, share_of(file))
    of_an_epoch = found.seconds_of_a_step * found.steps_of_an_epoch + found.seconds_beside
    images = found.outcome.images_seen / found.outcome.epochs
    epochs = _mean_epochs(file, found.train, images)
    return Estimate(found.seconds_ahead + of_an_epoch * epochs, found.slots)


def _mean_epochs(file: SweepFile, settled: Mapping[str, Any], images: float) -> float:
    """Of the first configurations.

    `settled` has the epochs and the batch size of a run that is told none; an epoch has `images`.
    """
    count = LOOKED_AT if file.cap is None else min(LOOKED_AT, file.cap)
    told = [file.draw(i) if file.method == "bayes" else file.point(i) for i in range(count)]
    return fmean(_epochs(file.resolve(values).config.train, settled, images) for values in told)


def _epochs(train: TrainConfig, settled: Mapping[str, Any], images: float) -> float:
    epochs = float(train.epochs or settled["epochs"])
    if train.max_steps is None:
        return epochs
    return min(epochs, train.max_steps * (train.batch_size or settled["batch_size"]) / images)


def _in_words(file: SweepFile, found: Estimate) -> str:
    each = f"about {clock(found.seconds)} each, {found.slots} at a time"
    if file.cap is None:
        return f"{each}, without end"
    runs = file.cap * (file.extension.seeds if file.extension.seeds > 1 else 1)
    fewer = file.extension.seeds > 1 or file.early_terminate or file.pruner
    less = " if none is stopped early or left out" if fewer else ""
    rounds = math.ceil(runs / found.slots)
    return f"{each}: {clock(found.seconds * rounds)} for {counted(runs, 'training')}{less}"
