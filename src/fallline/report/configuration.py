"""Runs that differ in their seed alone are one configuration; configurations make a ranking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fallline.compare.rounds import in_order, rounds
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
        sound: it may win: every run completed, or of a sweep's trial the first, and none diverged.
        rounds: into how many rounds of seeds its sweep let it; 1 where none was raced.
    """

    title: str
    settings: Mapping[str, Any]
    runs: tuple[Run, ...]
    value: Estimate | None
    test: Estimate | None
    sound: bool
    rounds: int = 1

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
    def seeds(self) -> int:
        """How many seeds it was trained with; the same once more is no other seed."""
        return len(_one_of_each_seed(self.runs))

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
    all_trials = all(run.trial for run in readable)
    maps = [_chosen(run) if all_trials else run.settings for run in readable]
    keys = dict.fromkeys(key for settings in maps for key in settings)
    return tuple(
        key
        for key in sorted(keys, key=lambda key: key not in NAMED_FIRST)
        if not key.startswith(NOT_CHOICES)
        and len({json.dumps(settings.get(key), sort_keys=True) for settings in maps}) > 1
    )


def ranking(runs: Sequence[Run], metric: Metric) -> tuple[Configuration, ...]:
    """The configurations, best first; those of which a run did not complete come last.

    A sweep races seeds: of its trials, those in more rounds come first, as in its own result.
    """
    varied = varied_settings(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.settings:
            groups.setdefault(_key(run), []).append(run)
    is_one_sweep = len({_race(run) for run in runs if run.settings}) == 1
    found = [_configuration(g, varied, metric, is_one_sweep) for g in groups.values()]
    ahead = _by_rounds(found, metric) if is_one_sweep else []
    rest = [c for c in found if all(c.runs is not other.runs for other in ahead)]
    return (*ahead, *sorted(rest, key=lambda c: _order(c, metric)))


def raced(configurations: Sequence[Configuration]) -> bool:
    """Whether these are trials of a sweep, some of which were let into more rounds than others."""
    return len({c.rounds for c in configurations if c.sound}) > 1


def _by_rounds(found: Sequence[Configuration], metric: Metric) -> list[Configuration]:
    """The sound trials of a sweep in the order of its own result."""
    by_seed = {k: _by_seed(c.runs, metric) for k, c in enumerate(found)}
    raced = {k: values for k, values in by_seed.items() if values}
    sound = {k: values for k, values in raced.items() if found[k].sound}
    maximize = metric.goal == "maximize"
    let_in = rounds(raced, maximize=maximize)
    order = in_order(sound, let_in, maximize=maximize)
    return [replace(found[k], rounds=let_in[k]) for k in order]


def _by_seed(runs: Sequence[Run], metric: Metric) -> dict[int, float]:
    """The values of a trial's completed runs, by the number of the seed."""
    return {
        run.trial.seed or 0: value
        for run in runs
        if run.trial and run.state == "completed"
        if (value := metric.of(run)) is not None
    }


def _order(configuration: Configuration, metric: Metric) -> tuple[bool, float]:
    value = configuration.value.value if configuration.value else None
    return value is None or not configuration.sound, metric.order(value)


def _race(run: Run) -> tuple[Any, ...] | None:
    """What a trial's seeds compete in: its sweep, or a part of a comparison."""
    return (run.path.parent, *run.trial.part) if run.trial else None


def _key(run: Run) -> str:
    return f"{_race(run)} {run.trial.number}" if run.trial else run.group


def _configuration(
    runs: list[Run], varied: tuple[str, ...], metric: Metric, is_one_sweep: bool
) -> Configuration:
    first = runs[0]
    chosen = _chosen(first)
    settings = {key: chosen.get(key) for key in varied}
    return Configuration(
        title=_title(first, {k: v for k, v in settings.items() if v is not None}, is_one_sweep),
        settings=settings,
        runs=tuple(runs),
        value=_estimate(runs, metric),
        test=_estimate(runs, Metric("test/accuracy")),
        sound=_is_sound(runs),
    )


def _is_sound(runs: Sequence[Run]) -> bool:
    """A sweep's further seeds may be missing; whether one diverges is a result."""
    of_sweep = [run for run in runs if run.trial and not run.trial.part]
    first = [run for run in of_sweep if run.trial and run.trial.seed == 0] or runs
    return all(run.state == "completed" for run in first) and all(
        run.state != "diverged" for run in runs
    )


def _chosen(run: Run) -> Mapping[str, Any]:
    """What was chosen: of a trial what was drawn for it, without what its run does not take."""
    if run.trial is None:
        return run.settings
    taken = {key[:end] for key in run.settings for end in _ends(key)}
    return {key: value for key, value in run.trial.parameters.items() if key in taken}


def _ends(key: str) -> list[int]:
    """Where a dotted key and the sections that it lies in end."""
    return [dot.start() for dot in re.finditer(r"\.", key)] + [len(key)]


def _title(run: Run, settings: Mapping[str, Any], is_one_sweep: bool) -> str:
    if run.trial:
        folder = re.sub(r"-seed-?\d+$", "", str(run.path))
        return f"trial {run.trial.number}" if is_one_sweep else folder
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


def _one_of_each_seed(runs: Iterable[Run]) -> list[Run]:
    """A run of each seed, one that completed if there is one; of scripts, all of them."""
    completed_last = sorted(runs, key=lambda run: run.state == "completed")
    return list(
        {run.path if run.seed is None else run.seed: run for run in completed_last}.values()
    )


def _estimate(runs: Iterable[Run], metric: Metric) -> Estimate | None:
    runs = _one_of_each_seed(runs)
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
