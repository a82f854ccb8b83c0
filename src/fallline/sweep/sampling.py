"""What Optuna is told of a search space, and what its samplers propose.

A dimension that Optuna has no distribution for (normal, rounded, weighted) is searched by its
quantile u in 0..1, which is W&B's own geometry for bayes too. A trial is on record with what its
values say, whoever chose them: not with what a sampler asked for, of which rounding leaves less.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState, create_trial

from fallline.space import Choice, Constant, Dimension, Integers, LogUniform, Uniform
from fallline.sweep.definition import SweepFile
from fallline.sweep.points import listed

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A dimension as Optuna sees it: its distribution, and the way to a value and back."""

    distribution: BaseDistribution
    value: Callable[[Any], Any]
    param: Callable[[Any], Any]


def axes(file: SweepFile) -> dict[str, Axis]:
    """An axis for each parameter that varies; of a grid, each is a list."""
    grid = file.method == "grid"
    return {
        key: _axis(Choice(tuple(listed(dimension))) if grid else dimension)
        for key, dimension in file.searched.items()
    }


def params(file: SweepFile, values: Values) -> dict[str, Any]:
    """A configuration in Optuna's terms."""
    return {key: axis.param(values[key]) for key, axis in axes(file).items()}


def propose(
    file: SweepFile, study: Study, number: int, hopeless: Container[int] = ()
) -> dict[str, Any]:
    """What the file's sampler tries next, given every trial of the study: a configuration.

    Trials that are `hopeless` count as the worst of all. The sampler is made for this one
    question, seeded by the sweep's seed and the trial's number: Optuna keeps no random state, so
    that a resumed search asks as an undisturbed one does. It is asked on a copy in memory, because
    it writes to a trial that it has not proposed yet.
    """
    name = file.extension.sampler
    sampler = _sampler(name, _seed(file.extension.seed, number))
    copy = create_study(direction=study.direction, sampler=sampler)
    copy.add_trials(_told(study, hopeless, by_value=name == "gp"))
    seen = axes(file)
    asked = copy.ask({key: axis.distribution for key, axis in seen.items()})
    values = {key: axis.value(asked.params[key]) for key, axis in seen.items()}
    fixed = {key: d.value for key, d in file.space.items() if isinstance(d, Constant)}
    return {key: (values | fixed)[key] for key in file.space}


def _told(study: Study, hopeless: Container[int], *, by_value: bool) -> Iterator[FrozenTrial]:
    """Every trial; the hopeless ones as what the sampler takes for the worst.

    One that goes by values is told the worst that completed, which may be another one later. TPE
    ranks behind all of them those that were pruned, and last of these the ones without a value.
    """
    trials = study.get_trials(deepcopy=False)
    values = [trial.value for trial in trials if trial.value is not None]
    worst = (max if study.direction is StudyDirection.MINIMIZE else min)(values, default=0.0)
    end = (TrialState.COMPLETE, worst) if by_value else (TrialState.PRUNED, None)
    for trial in trials:
        yield _with_end(trial, *end) if trial.number in hopeless else trial


def _with_end(trial: FrozenTrial, state: TrialState, value: float | None) -> FrozenTrial:
    return create_trial(
        state=state, value=value, params=trial.params, distributions=trial.distributions
    )


def _axis(dimension: Dimension) -> Axis:
    match dimension:
        case Uniform(low, high):
            return Axis(FloatDistribution(low, high), _same, _same)
        case LogUniform(low, high):
            return Axis(FloatDistribution(low, high, log=True), _same, _same)
        case Integers(low, high):
            return Axis(IntDistribution(low, high), _same, _same)
        case Choice(values, None):
            return _of_choice(values)
        case _:
            return Axis(FloatDistribution(0.0, 1.0), dimension.at, dimension.quantile)


def _of_choice(values: tuple[Any, ...]) -> Axis:
    """Optuna's choices are plain values; others are named by their JSON."""
    plain = all(isinstance(value, bool | int | float | str | None) for value in values)
    labels = list(values if plain else map(json.dumps, values))
    return Axis(
        CategoricalDistribution(labels),
        lambda label: values[labels.index(label)],
        lambda value: labels[values.index(value)],
    )


def _same(value: Any) -> Any:
    return value


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "gp":
        return GPSampler(seed=seed, warn_independent_sampling=False)
    return TPESampler(seed=seed)


def _seed(sweep: int, number: int) -> int:
    digest = hashlib.blake2b(f"{sweep} {number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")
