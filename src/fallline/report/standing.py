"""A place in the ranking: how far behind the first, and whether that can be told from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fallline.report import estimate
from fallline.report.configuration import Configuration, choice
from fallline.report.estimate import Estimate
from fallline.report.metric import Metric
from fallline.report.run import Run


@dataclass(frozen=True)
class Standing:
    """A configuration's place.

    `behind` is how far the first lies ahead; None for the first and where a value is missing.
    `verdict` says whether that is more than noise.
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


def standings(ranked: Sequence[Configuration], metric: Metric) -> tuple[Standing, ...]:
    """Every configuration in its place."""
    return tuple(
        _standing(place, configuration, ranked[0], metric)
        for place, configuration in enumerate(ranked, 1)
    )


def lead(first: Configuration, other: Configuration, metric: Metric) -> Estimate | None:
    """How far `first` lies ahead of `other`, seed against seed; above 0 is better."""
    sign = 1 if metric.goal == "maximize" else -1
    ours, theirs = (_by_seed(configuration, metric, sign) for configuration in (first, other))
    return estimate.lead(ours, theirs, resolution=metric.resolution(first.runs[0]))


def _by_seed(configuration: Configuration, metric: Metric, sign: int) -> dict[int, float]:
    found = {}
    for place, run in enumerate(configuration.runs):
        value = metric.of(run)
        if value is not None and run.state == "completed":
            found[place if run.seed is None else run.seed] = sign * value
    return found


def _standing(
    place: int, configuration: Configuration, first: Configuration, metric: Metric
) -> Standing:
    if place == 1:
        return Standing(place, configuration, None, "best")
    if not configuration.sound:
        return Standing(place, configuration, None, ", ".join(configuration.stopped))
    behind = lead(first, configuration, metric)
    return Standing(place, configuration, behind, _verdict(behind, configuration.runs))


def _verdict(behind: Estimate | None, runs: Sequence[Run]) -> str:
    if behind is None:
        return "no value"
    if behind.low is None or behind.high is None:
        return "one run each" if len(runs) == 1 else "no two seeds in common"
    return "behind" if behind.low > 0 else "cannot be told apart"
