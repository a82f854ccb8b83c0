"""A place in the ranking: how far behind the first, and whether that can be told from noise.

That is tested as in a comparison: Student's paired test, seed by seed, and Holm's procedure over
every pair of those that ran two seeds or more. The first was chosen for its score; adjusted for
its own pairs alone, it would falsely beat one of 20 equals in 16 of 100 sweeps with five seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fallline.compare.difference import adjust, p_values
from fallline.compare.estimate import LEVEL
from fallline.report import estimate
from fallline.report.configuration import Configuration, choice
from fallline.report.estimate import Estimate
from fallline.report.metric import Metric


@dataclass(frozen=True)
class Standing:
    """A configuration's place.

    `behind` is how far the first lies ahead, with the interval of this pair alone; None for the
    first and where a value is missing. `verdict` says whether that is more than noise.
    """

    place: int
    configuration: Configuration
    behind: Estimate | None
    verdict: str

    @property
    def chosen(self) -> str:
        """What was chosen for it, setting by setting."""
        settings = self.configuration.settings.items()
        return ", ".join(choice(key, value) for key, value in settings if value is not None)

    @property
    def is_behind(self) -> bool:
        """Whether the first is better beyond noise."""
        return self.verdict == BEHIND


BEHIND: Final = "behind"


def standings(ranked: Sequence[Configuration], metric: Metric) -> tuple[Standing, ...]:
    """Every configuration in its place."""
    beaten = _beaten(ranked, metric)
    return tuple(
        _standing(place, ranked, metric, is_beaten=place in beaten)
        for place in range(1, len(ranked) + 1)
    )


def _beaten(ranked: Sequence[Configuration], metric: Metric) -> frozenset[int]:
    """The places whose scores can be told from those of the first."""
    values = [_by_seed(c, metric) if c.sound else {} for c in ranked]
    tested = [place for place, by_seed in enumerate(values, 1) if len(by_seed) > 1]
    if tested[:1] != [1]:
        return frozenset()
    seeds = dict.fromkeys(seed for place in tested for seed in values[place - 1])
    scores = np.array([[values[place - 1].get(s, np.nan) for s in seeds] for place in tested])
    p = p_values(scores, resolution=metric.resolution(ranked[0].runs[0]))
    told = adjust(p)[0] < LEVEL
    return frozenset(place for place, is_told in zip(tested, told, strict=True) if is_told)


def _by_seed(configuration: Configuration, metric: Metric) -> dict[int, float]:
    """The values, above 0 better."""
    sign = 1 if metric.goal == "maximize" else -1
    found = {}
    for place, run in enumerate(configuration.runs):
        value = metric.of(run)
        if value is not None and run.state == "completed":
            found[place if run.seed is None else run.seed] = sign * value
    return found


def _standing(
    place: int, ranked: Sequence[Configuration], metric: Metric, *, is_beaten: bool
) -> Standing:
    first, configuration = ranked[0], ranked[place - 1]
    if place == 1:
        return Standing(place, configuration, None, "best")
    if not configuration.sound:
        return Standing(place, configuration, None, ", ".join(configuration.stopped))
    ours, theirs = _by_seed(first, metric), _by_seed(configuration, metric)
    behind = estimate.lead(ours, theirs, resolution=metric.resolution(first.runs[0]))
    is_behind = is_beaten and behind is not None and behind.value > 0
    return Standing(
        place, configuration, behind, BEHIND if is_behind else _open(behind, ours, theirs)
    )


def _open(behind: Estimate | None, ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Why it cannot be told from the first."""
    if behind is None:
        return "no value"
    if behind.half is None:
        return "one run each" if len(ours) == len(theirs) == 1 else "no two seeds in common"
    return "cannot be told apart"
