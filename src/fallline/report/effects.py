"""What each setting did: one by one, all at once, and the learning rate apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from fallline.report.configuration import Configuration, is_number, short, written
from fallline.report.importance import Importance, importances
from fallline.report.metric import Metric
from fallline.report.scale import Scale

MOST_AXES: Final = 9
MOST_EFFECTS: Final = 6
WITHIN: Final = 0.01  # of accuracy: one point; of other metrics a hundredth of the best value
LR: Final = "optim.lr"
OPTIMIZER: Final = "optim.name"


@dataclass(frozen=True)
class Effect:
    """A setting's values against the metric.

    `points` are (value, metric, title) of configurations that have a value; `without` are the
    (value, title) of those that diverged or failed before they had one.
    """

    key: str
    scale: Scale
    points: tuple[tuple[Any, float, str], ...]
    without: tuple[tuple[Any, str], ...]
    at_edge: str


@dataclass(frozen=True)
class ParallelAxis:
    """One axis of the parallel coordinates: a setting or, last, the metric."""

    title: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class ParallelLine:
    """A configuration: its place on each axis (None: it has no such setting).

    `strength` is its rank, 1 the best, 0 the worst; `folders` are its runs'.
    """

    places: tuple[float | None, ...]
    strength: float
    title: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: axes by importance, the metric last; lines worst first."""

    kind: ClassVar[str] = "parallel"
    axes: tuple[ParallelAxis, ...]
    lines: tuple[ParallelLine, ...]


@dataclass(frozen=True)
class Sensitivity:
    """How forgiving a learning rate is: of the `tried` ones, `near` came within a point of the
    optimizer's best, from `low` to `high`.
    """

    optimizer: str
    tried: int
    near: int
    best: float
    low: float
    high: float


@dataclass(frozen=True)
class Effects:
    """All of it."""

    importances: tuple[Importance, ...]
    parallel: Parallel
    single: tuple[Effect, ...]
    sensitivities: tuple[Sensitivity, ...]

    @property
    def edges(self) -> tuple[str, ...]:
        """Sentences on settings whose best value is the last one tried."""
        return tuple(effect.at_edge for effect in self.single if effect.at_edge)


def effects_of(
    ranked: Sequence[Configuration], keys: Sequence[str], metric: Metric
) -> Effects | None:
    """What the varied settings did; None where nothing was varied."""
    if not keys or len(ranked) < 2:
        return None
    weighed = importances(ranked, keys, metric)
    ordered = [importance.key for importance in weighed]
    ordered += [key for key in keys if key not in ordered]
    return Effects(
        weighed,
        _parallel(ranked, ordered[:MOST_AXES], metric),
        tuple(_effect(ranked, key) for key in ordered[:MOST_EFFECTS]),
        _sensitivities(ranked, metric) if LR in keys else (),
    )


def _effect(ranked: Sequence[Configuration], key: str) -> Effect:
    having = [c for c in ranked if c.settings.get(key) is not None]
    scale = Scale.of([c.settings[key] for c in having])
    points = [(c.settings[key], c.value.value, c.described) for c in having if c.value]
    without = [(c.settings[key], c.described) for c in having if not c.value]
    return Effect(key, scale, tuple(points), tuple(without), _edge(having, key))


def _edge(having: Sequence[Configuration], key: str) -> str:
    """A sentence if the winner's value is the smallest or the largest that was tried."""
    values = [c.settings[key] for c in having]
    if not all(map(is_number, values)) or len(set(values)) < 3 or not having[0].sound:
        return ""
    best = values[0]
    if best not in (min(values), max(values)):
        return ""
    end = "smallest" if best == min(values) else "largest"
    return (
        f"The best {short(key)}, {written(best)}, is the {end} that was tried: "
        "a better one may lie beyond it."
    )


def _parallel(ranked: Sequence[Configuration], keys: Sequence[str], metric: Metric) -> Parallel:
    scales = [Scale.of([c.settings.get(key) for c in ranked]) for key in keys]
    drawn = [metric.drawn(c.value.value if c.value else None) for c in ranked]
    last = Scale.linear(drawn)
    unit = f", {metric.unit}" if metric.unit else ""
    axes = [ParallelAxis(short(k), s.ticks) for k, s in zip(keys, scales, strict=True)]
    axes.append(ParallelAxis(metric.words + unit, last.ticks))
    lines = []
    for rank, (configuration, value) in enumerate(zip(ranked, drawn, strict=True)):
        settings = configuration.settings
        places = [s.place(settings.get(k)) for k, s in zip(keys, scales, strict=True)]
        strength = 1 - rank / max(1, len(ranked) - 1)
        folders = tuple(str(run.path) for run in configuration.runs)
        lines.append(
            ParallelLine((*places, last.place(value)), strength, configuration.described, folders)
        )
    return Parallel(tuple(axes), tuple(reversed(lines)))


def _sensitivities(ranked: Sequence[Configuration], metric: Metric) -> tuple[Sensitivity, ...]:
    groups: dict[str, list[Configuration]] = {}
    for configuration in ranked:
        if is_number(configuration.settings.get(LR)):
            name = str(configuration.runs[0].settings.get(OPTIMIZER, ""))
            groups.setdefault(name, []).append(configuration)
    return tuple(
        _sensitivity(name, group, metric)
        for name, group in groups.items()
        if len(group) > 2 and group[0].value
    )


def _sensitivity(name: str, group: Sequence[Configuration], metric: Metric) -> Sensitivity:
    assert group[0].value is not None
    best = group[0].value.value
    slack = WITHIN if metric.is_share else abs(best) * WITHIN
    near = [
        float(c.settings[LR])
        for c in group
        if c.value and metric.order(c.value.value) <= metric.order(best) + slack
    ]
    return Sensitivity(name, len(group), len(near), best, min(near), max(near))
