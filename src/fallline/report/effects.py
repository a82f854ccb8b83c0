"""What each setting did: one by one, all at once, and the learning rate apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from fallline.compare.plan import Axis
from fallline.compare.tuning import ONE_POINT, Sensitivity, edges_of, sensitivity_of
from fallline.report.configuration import is_number, short, written
from fallline.report.importance import Importance, importances
from fallline.report.metric import Metric
from fallline.report.scale import Scale
from fallline.report.tried import Tried

MOST_AXES: Final = 9
MOST_EFFECTS: Final = 6
HUNDREDTH: Final = 0.01  # of the best value: how near is near, where the metric has no points
FEWEST_RATES: Final = 3
LR: Final = "optim.lr"


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
    """Parallel coordinates: settings by importance, then the metric; lines worst first."""

    kind: ClassVar[str] = "parallel"
    name: str
    axes: tuple[ParallelAxis, ...]
    lines: tuple[ParallelLine, ...]


@dataclass(frozen=True)
class Effects:
    """All of it; how forgiving the learning rate is stands there by optimizer."""

    importances: tuple[Importance, ...]
    parallel: Parallel
    single: tuple[Effect, ...]
    sensitivities: Mapping[str, Sensitivity]

    @property
    def edges(self) -> tuple[str, ...]:
        """Sentences on settings whose best value is the last one tried."""
        return tuple(effect.at_edge for effect in self.single if effect.at_edge)


def effects_of(
    ranked: Sequence[Tried], keys: Sequence[str], metric: Metric, suffix: str = ""
) -> Effects | None:
    """What the varied settings did; None where nothing was varied.

    Args:
        ranked: the configurations, best first.
        keys: the settings that were varied.
        metric: what they are judged by.
        suffix: of the name of what is drawn.
    """
    if not keys or len(ranked) < 2:
        return None
    weighed = importances(ranked, keys, metric)
    ordered = [importance.key for importance in weighed]
    ordered += [key for key in keys if key not in ordered]
    return Effects(
        weighed,
        _parallel(ranked, _axes(ranked, ordered), metric, f"parallel{suffix}"),
        tuple(_effect(ranked, key) for key in ordered[:MOST_EFFECTS]),
        dict(_sensitivities(ranked, metric)) if LR in keys else {},
    )


def by_optimizer(ranked: Sequence[Tried]) -> dict[str, list[Tried]]:
    """The configurations of each optimizer, in their order."""
    groups: dict[str, list[Tried]] = {}
    for tried in ranked:
        groups.setdefault(tried.optimizer, []).append(tried)
    return groups


def _effect(ranked: Sequence[Tried], key: str) -> Effect:
    having = [tried for tried in ranked if tried.settings.get(key) is not None]
    scale = Scale.of([tried.settings[key] for tried in having])
    points = [(t.settings[key], t.value, t.title) for t in having if t.value is not None]
    without = [(t.settings[key], t.title) for t in having if t.value is None]
    return Effect(key, scale, tuple(points), tuple(without), _edge(ranked[0], having, key))


def _edge(winner: Tried, having: Sequence[Tried], key: str) -> str:
    """A sentence if the winner's value is the smallest or the largest that was tried."""
    values = [tried.settings[key] for tried in having]
    if not all(map(is_number, values)) or winner is not having[0] or not winner.sound:
        return ""
    values_tried = Axis(key, "choice", values=tuple(dict.fromkeys(values)))
    edges = edges_of([values_tried], winner.settings)
    return "".join(
        f"The best {short(key)}, {written(edge.value)}, is {edge.end} that was tried: "
        "a better one may lie beyond it."
        for edge in edges
    )


def _axes(ranked: Sequence[Tried], ordered: Sequence[str]) -> list[str]:
    """The most important settings; those that not all configurations have come last."""
    kept = ordered[:MOST_AXES]
    return sorted(kept, key=lambda key: any(t.settings.get(key) is None for t in ranked))


def _parallel(ranked: Sequence[Tried], keys: Sequence[str], metric: Metric, name: str) -> Parallel:
    scales = [Scale.of([tried.settings.get(key) for tried in ranked]) for key in keys]
    drawn = [metric.drawn(tried.value) for tried in ranked]
    last = Scale.linear(drawn)
    unit = f", {metric.unit}" if metric.unit else ""
    axes = [ParallelAxis(short(k), s.ticks) for k, s in zip(keys, scales, strict=True)]
    axes.append(ParallelAxis(metric.words + unit, last.ticks))
    lines = []
    for rank, (tried, value) in enumerate(zip(ranked, drawn, strict=True)):
        places = [s.place(tried.settings.get(k)) for k, s in zip(keys, scales, strict=True)]
        strength = 1 - rank / max(1, len(ranked) - 1)
        lines.append(
            ParallelLine((*places, last.place(value)), strength, tried.title, tried.folders)
        )
    return Parallel(name, tuple(axes), tuple(reversed(lines)))


def _sensitivities(ranked: Sequence[Tried], metric: Metric) -> Iterator[tuple[str, Sensitivity]]:
    """Of each optimizer with rates enough; one that did not complete is not near its best."""
    for name, group in by_optimizer(ranked).items():
        having = [tried for tried in group if is_number(tried.settings.get(LR))]
        found = sensitivity_of(
            LR,
            [float(tried.settings[LR]) for tried in having],
            [-metric.order(t.value) if t.sound and t.value is not None else None for t in having],
            slack=_slack(having, metric),
        )
        if found and len(having) >= FEWEST_RATES:
            yield name, found


def _slack(ranked: Sequence[Tried], metric: Metric) -> float:
    best = ranked[0].value if ranked else None
    return ONE_POINT if metric.is_share or best is None else abs(best) * HUNDREDTH
