"""The tables of a comparison: ranking, pairs, tuning, targets, spaces."""

from __future__ import annotations

from typing import Final

from fallline.compare.chances import chance_words
from fallline.compare.difference import Difference
from fallline.compare.plan import Plan
from fallline.compare.standing import Counts, Standing
from fallline.compare.target import MEASURES, Attempt, Measure
from fallline.compare.workload import Workload
from fallline.report import wording
from fallline.report.configuration import choice, short, written
from fallline.report.estimate import from_seeds
from fallline.report.metric import Metric
from fallline.report.table import Cell, Grid, columns, measured, number, word

MOST_TARGETS: Final = 5  # the highest; the figure has all


def ranking_grid(workload: Workload, suffix: str = "") -> Grid:
    """Every optimizer in its place, with how sure that is and what it costs."""
    metric = Metric(workload.scoring.measure)
    titles = columns(
        *("#place", "optimizer", f"#{metric.words}", "#seeds", "#chance best", "#beats next"),
        *("told from leader?", "#ms a step", "#a run", "#tuning", "to know"),
    )
    rows = tuple(_ranked(standing, workload, metric) for standing in workload.standings)
    note = (
        "Chances to be the best of all and to beat the next, by a paired bootstrap over the "
        "seeds. Beside an optimizer stands the configuration chosen for it on val."
    )
    return Grid(f"ranking{suffix}", "", titles, rows, note)


def _ranked(standing: Standing, workload: Workload, metric: Metric) -> tuple[Cell, ...]:
    cost = standing.cost
    chosen = ", ".join(choice(key, value) for key, value in standing.parameters.items())
    time = cost.seconds.mean if cost else None
    tuning = cost.tuning_seconds if cost else None
    return (
        number(standing.rank),
        word(standing.optimizer, chosen),
        measured(metric, from_seeds(standing.score) if standing.score else None),
        number(standing.score.n if standing.score else 0),
        _chance(standing.chance_best),
        _chance(standing.chance_beats_next),
        word(_told(standing, workload)),
        number(cost.milliseconds_per_step if cost else None),
        number(time, wording.duration(time) if time is not None else None),
        number(tuning, wording.duration(tuning) if tuning is not None else None),
        word("; ".join(standing.notes) or wording.NOTHING),
    )


def _told(standing: Standing, workload: Workload) -> str:
    if standing.rank == 1:
        return "leader"
    return "no" if standing.contender else "behind" if standing.score else "no score"


def _chance(share: float | None) -> Cell:
    if share is None:
        return number(None)
    return number(share, chance_words(share).replace(" ", wording.THIN))


def pairs_grid(workload: Workload, suffix: str = "") -> Grid:
    """Every pair: the gap, whether it is told, and how many seeds would."""
    metric = Metric(workload.scoring.measure)
    titles = columns(
        *("ahead", "of", "#by", "#95 % interval, points", "#p, adjusted", "more than noise?"),
        *("#seeds to tell it", "#smallest gap these seeds tell"),
    )
    rows = tuple(_pair(difference, metric) for difference in workload.differences)
    note = (
        "Student's paired test; Holm's procedure over all pairs, and for the leader the test that "
        "it beats every rival. Seeds to tell: for 80 % power, if the gap seen is the true one, at "
        "5 % over the number of pairs (Bonferroni), or where the leader beats all at 5 % each."
    )
    return Grid(f"pairs{suffix}", "Pair by pair", titles, rows, note)


def _pair(difference: Difference, metric: Metric) -> tuple[Cell, ...]:
    gap, needed, least = difference.gap, difference.seeds_needed, difference.detectable
    ends = (
        f"{metric.scaled(gap.low):.2f} to {metric.scaled(gap.high):.2f}".replace("-", "−")
        if gap.low is not None and gap.high is not None
        else wording.NOTHING
    )
    return (
        word(difference.better),
        word(difference.worse),
        number(gap.mean, wording.signed_gap(metric, gap.mean)),
        Cell(ends, gap.half),
        _p(difference.adjusted_p),
        word("yes" if difference.told else "no"),
        number(needed, None if needed is None else f"{needed:,}"),
        number(least, None if least is None else wording.gap(metric, least)),
    )


def _p(value: float | None) -> Cell:
    """A p value as papers have it: three digits, and none below them."""
    if value is None:
        return number(None)
    return number(value, "< 0.001" if value < 0.001 else f"{value:.3f}")


def tuning_grid(workload: Workload, suffix: str = "") -> Grid:
    """What the search for a configuration came to."""
    titles = columns(
        *("optimizer", "#configurations", "#completed", "#diverged", "#failed", "#missing"),
        *("#best on val", "#rates within a point of it", "of its repeats", "on an edge"),
    )
    rows = tuple(_tuned(standing) for standing in workload.standings)
    note = (
        "Diverged and failed configurations count: they used up budget. A setting on an edge of "
        "its space may have a better value beyond it."
    )
    return Grid(f"tuning{suffix}", "What tuning came to", titles, rows, note)


def _tuned(standing: Standing) -> tuple[Cell, ...]:
    counts, rates = standing.tuned, standing.sensitivity
    best = max((t.val for t in standing.trials if t.val is not None), default=None)
    edges = "; ".join(f"{short(edge.key)} {written(edge.value)}" for edge in standing.edges)
    return (
        word(standing.optimizer),
        *(number(value) for value in (counts.planned, counts.completed, counts.diverged)),
        *(number(value) for value in (counts.failed, counts.missing)),
        number(best, None if best is None else wording.percent(best)),
        number(
            rates.share if rates else None,
            f"{rates.within} of {len(rates.points)}" if rates else None,
        ),
        word(_fates(standing.repeated)),
        word(edges or wording.NOTHING),
    )


def _fates(counts: Counts) -> str:
    told = [
        f"{value} {name}"
        for name in ("completed", "diverged", "failed", "missing")
        if (value := getattr(counts, name))
    ]
    return wording.listed(told) if told else "none"


def targets_grid(workload: Workload, suffix: str = "") -> Grid:
    """What each target cost each optimizer, with those that missed it."""
    highest = workload.targets[-MOST_TARGETS:]
    titles = [f"#{wording.percent(target, 0)} on val" for target in highest]
    rows = tuple(
        (
            word(standing.optimizer),
            word(unit),
            *(_spent(attempt, unit) for attempt in standing.attempts[-MOST_TARGETS:]),
        )
        for standing in workload.standings
        for unit in MEASURES
    )
    note = (
        "Median over the repeats of the chosen configuration, at the first evaluation at or above "
        "the target; beside it how many of them reached it. Missed: half or more did not."
    )
    columns_ = columns("optimizer", "in", *titles)
    return Grid(f"targets{suffix}", "The way to a target", columns_, rows, note)


def _spent(attempt: Attempt, unit: Measure) -> Cell:
    remark = f"{attempt.reached} of {attempt.n}" if attempt.n else ""
    spent = next((s for s in attempt.spent if s.unit == unit), None)
    if spent is None or spent.median is None:
        return Cell("missed" if attempt.n else wording.NOTHING, None, remark)
    digits = 2 if unit == "seconds" and spent.median < 100 else 0
    return Cell(f"{spent.median:,.{digits}f}", spent.median, remark)


def spaces_grid(plan: Plan, workload: Workload, suffix: str = "") -> Grid:
    """What was searched for each optimizer, and what was chosen."""
    chosen = {standing.optimizer: standing.parameters for standing in workload.standings}
    rows = tuple(
        (
            word(contestant.optimizer),
            word(short(axis.key)),
            word(axis.words),
            word(_chosen(chosen.get(contestant.optimizer, {}).get(axis.key))),
        )
        for contestant in plan.contestants
        for axis in contestant.space
    )
    titles = columns("optimizer", "setting", "searched over", "chosen")
    return Grid(f"spaces{suffix}", "Search spaces", titles, rows)


def _chosen(value: object) -> str:
    return wording.NOTHING if value is None else written(value)
