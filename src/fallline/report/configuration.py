"""Runs that differ in their seed alone are one configuration; configurations make a ranking."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fallline.compare.estimate import order
from fallline.config import SHORT_NAMES
from fallline.report.estimate import Estimate, over_images, over_seeds
from fallline.report.metric import Metric
from fallline.report.run import Run

NOT_CHOICES: Final = ("seed", "track.", "data.split_seed", "train.device", "train.threads")
NAMED_FIRST: Final = ("model.name", "optim.name")
NAMED_IN_TITLE: Final = 4  # settings; more are in the table
_SHORT: Final = {field: name for name, field in SHORT_NAMES.items() if name != "learning_rate"}


@dataclass(frozen=True)
class Configuration:
    """The runs of one choice of settings.

    Attributes:
        title: what sets it apart, in a few words.
        settings: the varied settings, by dotted key.
        runs: one per seed.
        value: the metric over its completed runs, else over what the others reached.
        test: accuracy on test, where it was touched.
        sound: every run completed, so that it may win.
    """

    title: str
    settings: Mapping[str, Any]
    runs: tuple[Run, ...]
    value: Estimate | None
    test: Estimate | None
    sound: bool

    @property
    def described(self) -> str:
        """The title, and what was chosen where that is a number: trial 4 (sgd, lr 0.1)."""
        settings = [(key, value) for key, value in self.settings.items() if value is not None]
        if not self.runs[0].trial or not settings:
            return self.title
        more = ", …" if len(settings) > NAMED_IN_TITLE else ""
        chosen = ", ".join(choice(key, value) for key, value in settings[:NAMED_IN_TITLE])
        return f"{self.title} ({chosen}{more})"

    @property
    def seconds(self) -> float:
        """Training seconds of a run, in the mean."""
        return sum(run.train_seconds for run in self.runs) / len(self.runs)

    @property
    def stopped(self) -> tuple[str, ...]:
        """How its runs ended that did not complete: 1 diverged."""
        states = [run.state for run in self.runs if run.state != "completed"]
        return tuple(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def short(key: str) -> str:
    """The word people use for a dotted key: lr for optim.lr."""
    return _SHORT.get(key, key)


def written(value: Any) -> str:
    """A setting's value as text."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def is_number(value: Any) -> bool:
    """Whether it is one to calculate with; True and False are words."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def varied_settings(runs: Sequence[Run]) -> tuple[str, ...]:
    """The dotted keys that were chosen differently: a sweep's parameters, else the configs'."""
    readable = [run for run in runs if run.settings]
    trials = [run.trial.parameters for run in readable if run.trial]
    maps = trials if trials and len(trials) == len(readable) else [r.settings for r in readable]
    keys = dict.fromkeys(key for settings in maps for key in settings)
    return tuple(
        key
        for key in sorted(keys, key=lambda key: key not in NAMED_FIRST)
        if not key.startswith(NOT_CHOICES)
        and len({json.dumps(settings.get(key), sort_keys=True) for settings in maps}) > 1
    )


def ranking(runs: Sequence[Run], metric: Metric) -> tuple[Configuration, ...]:
    """The configurations, best first; those of which a run did not complete come last.

    A sweep races seeds: of its trials, those that ran more come first, as in its own result.
    """
    varied = varied_settings(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.settings:
            groups.setdefault(_key(run), []).append(run)
    found = [_configuration(group, varied, metric) for group in groups.values()]
    is_raced = raced(found)
    return tuple(sorted(found, key=lambda c: _order(c, metric, is_raced=is_raced)))


def raced(configurations: Sequence[Configuration]) -> bool:
    """Whether these are trials of a sweep, some of which ran more seeds than others."""
    counts = {len(c.runs) for c in configurations if c.sound}
    return len(counts) > 1 and all(c.runs[0].trial for c in configurations)


def _order(configuration: Configuration, metric: Metric, *, is_raced: bool) -> tuple[Any, ...]:
    if configuration.value is None:
        return (True, math.inf)
    n = len(configuration.runs) if is_raced and configuration.sound else 0
    mean = configuration.value.value
    return (not configuration.sound, *order(mean, n, maximize=metric.goal == "maximize"))


def _key(run: Run) -> str:
    return f"trial {run.trial.number}" if run.trial else run.group


def _configuration(runs: list[Run], varied: tuple[str, ...], metric: Metric) -> Configuration:
    first = runs[0]
    settings = {key: _setting(first, key) for key in varied}
    return Configuration(
        title=_title(first, {k: v for k, v in settings.items() if v is not None}),
        settings=settings,
        runs=tuple(runs),
        value=_estimate(runs, metric),
        test=_estimate(runs, Metric("test/accuracy")),
        sound=all(run.state == "completed" for run in runs),
    )


def _setting(run: Run, key: str) -> Any:
    return run.trial.parameters.get(key) if run.trial else run.settings.get(key)


def _title(run: Run, settings: Mapping[str, Any]) -> str:
    if run.trial:
        return f"trial {run.trial.number}"
    if not settings:
        names = (run.settings.get("model.name"), run.settings.get("optim.name"))
        return ", ".join(str(name) for name in names if name)
    return ", ".join(choice(k, v) for k, v in list(settings.items())[:NAMED_IN_TITLE])


def choice(key: str, value: Any) -> str:
    """A setting as people say it: sgd, lr 0.1."""
    name = short(key)
    if name in ("optimizer", "model"):
        return written(value)
    return f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {written(value)}"


def _estimate(runs: Iterable[Run], metric: Metric) -> Estimate | None:
    measured = [(run, value) for run in runs if (value := metric.of(run)) is not None]
    completed = [pair for pair in measured if pair[0].state == "completed"] or measured
    if not completed:
        return None
    if len(completed) > 1:
        resolution = metric.resolution(completed[0][0])
        return over_seeds([value for _, value in completed], resolution=resolution)
    run, value = completed[0]
    images = run.images_scored(metric.split)
    if metric.is_share and images and 0 <= value <= 1:
        return over_images(value, images)
    return over_seeds([value])
