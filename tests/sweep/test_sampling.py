"""What bayes tries next, given what became of the trials before."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from scripted import Plot, Scripted, ended, failed, lost

from fallline.sweep import study as studies
from fallline.sweep.coordinator import Coordinator
from fallline.sweep.definition import SweepFile
from fallline.sweep.file import read
from fallline.sweep.sampling import axes, params, propose
from fallline.sweep.search import SweepSearch

CLIFF = 0.05  # the learning rate beyond which trainings diverge: 39 % of the space


@pytest.fixture
def file_of(small: dict[str, Any]) -> Callable[[str], SweepFile]:
    """A search for one learning rate, by a sampler."""
    rate = {"learning_rate": small["parameters"]["learning_rate"]}

    def make(sampler: str) -> SweepFile:
        chosen = {"data": "synthetic", "sampler": sampler}
        return read({**small, "method": "bayes", "parameters": rate, "fallline": chosen})

    return make


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED])
@pytest.mark.parametrize(("sampler", "asked"), [("tpe", 20), ("gp", 4)])
def test_a_sampler_stays_away_from_where_trainings_diverge(
    file_of: Callable[[str], SweepFile], sampler: str, asked: int, state: TrialState
) -> None:
    file = file_of(sampler)
    distributions = {key: axis.distribution for key, axis in axes(file).items()}
    study = optuna.create_study(direction="maximize")
    hopeless = set()
    for number in range(24):
        rate = file.point(number)["optim.lr"] if number > 2 else 0.1  # before any completes
        told: dict[str, Any] = {"state": TrialState.FAIL}
        if rate < CLIFF:
            value = 0.9 - abs(math.log(rate / 0.012)) / 5
            curve = {"intermediate_values": {1: value}}
            told = {"state": state, "value": value if state.name == "COMPLETE" else None, **curve}
        else:
            hopeless.add(number)
        params = {"optim.lr": rate}
        study.add_trial(create_trial(params=params, distributions=distributions, **told))
    tried = [propose(file, study, 24 + n, hopeless)["optim.lr"] for n in range(asked)]
    assert sum(rate > CLIFF for rate in tried) <= asked / 5  # 8 in 20 by chance
    assert len(hopeless) > 6


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize(
    ("stated", "best"),
    [
        ({"distribution": "q_uniform", "min": 0, "max": 100, "q": 0.5}, 87),
        ({"distribution": "normal", "mu": 300, "sigma": 50}, 360),
        ({"distribution": "log_normal", "mu": 0, "sigma": 3}, 40),
        ({"values": [0, 30, 60, 90], "probabilities": [0.4, 0.3, 0.2, 0.1]}, 90),
    ],
    ids=lambda value: value.get("distribution", "weighted") if isinstance(value, dict) else "",
)
def test_a_sampler_learns_of_each_trial_at_the_value_it_had(
    small: dict[str, Any], stated: dict[str, Any], best: float, sampler: str
) -> None:
    chosen = {"data": "synthetic", "sampler": sampler}
    parameters = {"weight_decay": stated}
    file = read({**small, "method": "bayes", "parameters": parameters, "fallline": chosen})
    study = optuna.create_study(direction="minimize")
    distributions = {key: axis.distribution for key, axis in axes(file).items()}
    losses, drawn = [], []
    for number in range(24 if sampler == "gp" else 40):
        values = propose(file, study, number)
        losses.append(abs(values["optim.weight_decay"] - best))
        drawn.append(abs(file.draw(number)["optim.weight_decay"] - best))
        trial = create_trial(
            params=params(file, values), distributions=distributions, value=losses[-1]
        )
        study.add_trial(trial)
    assert median(losses[-10:]) < 0.6 * median(drawn[-10:])


def test_what_comes_to_nothing_by_its_own_fault_is_hopeless(
    small: dict[str, Any],
    open_search: Callable[..., SweepSearch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def proposed(file: SweepFile, study: Any, number: int, hopeless: set[int]) -> Any:
        seen.append(hopeless)
        return file.draw(number)

    monkeypatch.setattr(studies, "propose", proposed)
    ends = [ended("diverged"), failed("memory"), failed(), lost(), ended("pruned"), ended()]
    search = open_search({**small, "method": "bayes", "run_cap": 7})
    plots = Scripted(lambda number, seed: Plot([0.5], [*ends, failed()][number]))
    Coordinator(search, plots, lambda news: None).run()
    assert seen == [set(), {0}, {0, 1}, {0, 1}, {0, 1}, {0, 1, 2}, {0, 1, 2}]
