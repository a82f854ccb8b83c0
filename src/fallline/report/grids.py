"""The tables of runs and sweeps: the ranking, learning rates, importance, classes, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fallline.report import wording
from fallline.report.configuration import raced, short
from fallline.report.effects import Effects
from fallline.report.metric import Metric
from fallline.report.standing import Standing
from fallline.report.table import Grid, columns, measured, number, word
from fallline.report.winner import Winner

TEST: Final = Metric("test/accuracy")
MOST_STANDINGS: Final = 20


def ranking_grid(standings: Sequence[Standing], metric: Metric) -> Grid:
    """The best configurations in their places."""
    has_test = any(standing.configuration.test for standing in standings)
    titles = ["#place", "configuration", f"#{metric.words}", "#seeds", "#behind the best"]
    titles += ["more than noise?"] + ["#accuracy on test"] * has_test + ["#time of a run"]
    rows = []
    for standing in standings[:MOST_STANDINGS]:
        configuration, behind = standing.configuration, standing.behind
        remark = standing.chosen if configuration.runs[0].trial else ""
        row = [
            number(standing.place),
            word(configuration.title, remark),
            measured(metric, configuration.value),
            number(configuration.seeds),
            number(behind.value, wording.signed_gap(metric, behind.value))
            if behind
            else number(None),
            word(standing.verdict),
        ]
        row += [measured(TEST, configuration.test)] * has_test
        row += [number(configuration.seconds, wording.duration(configuration.seconds))]
        rows.append(tuple(row))
    rest = len(standings) - len(rows)
    notes = [
        "Whoever was let into more rounds of seeds comes first: the race left the others behind."
    ]
    notes = notes if raced([s.configuration for s in standings]) else []
    notes += [f"{rest:,} more are among the runs below."] if rest else []
    return Grid("ranking", "", columns(*titles), tuple(rows), " ".join(notes))


def sensitivity_grid(effects: Effects) -> Grid:
    """How forgiving the learning rate is, optimizer by optimizer."""
    rows = tuple(
        (
            word(optimizer),
            number(len(found.points)),
            number(found.within),
            *map(number, found.span),
        )
        for optimizer, found in effects.sensitivities.items()
    )
    return Grid(
        "learning-rates",
        "How forgiving the learning rate is",
        columns("optimizer", "#rates tried", "#near its best", "#from", "#to"),
        rows,
        "Near: within a point of the optimizer's best (for a loss, a hundredth of it). The other "
        "settings varied too, so a rate that misses may owe it to them.",
    )


def importance_lines(effects: Effects) -> Sequence[Sequence[object]]:
    """The numbers of the figure of importance, titles first; nothing where there is none."""
    if not effects.importances:
        return []
    return [
        ("setting", "share", "by_chance", "configurations"),
        *((short(i.key), i.share, i.by_chance, i.n) for i in effects.importances),
    ]


def confusions_grid(winner: Winner, suffix: str = "") -> Grid:
    """The most frequent confusions."""
    rows = tuple(
        (
            word(pair.true),
            word(pair.predicted),
            number(pair.count),
            number(pair.share, wording.percent(pair.share, 1)),
        )
        for pair in winner.pairs
    )
    titles = columns("true class", "taken for", "#times", "#of the class")
    return Grid(f"confusions{suffix}", "Most frequent confusions", titles, rows)


def classes_lines(winner: Winner) -> Sequence[Sequence[object]]:
    """The accuracy of every class with its interval, titles first."""
    return [
        ("class", "images", "accuracy", "low", "high"),
        *(
            (s.name, s.images, s.accuracy.value, s.accuracy.low, s.accuracy.high)
            for s in winner.scores
        ),
    ]


def confusion_lines(winner: Winner) -> Sequence[Sequence[object]]:
    """The whole confusion matrix in counts, titles first; nothing where it is too large."""
    if winner.counts is None:
        return []
    rows = zip(winner.classes, winner.counts, strict=True)
    counted = [(name, *(int(count) for count in row)) for name, row in rows]
    return [("true class", *winner.classes), *counted]
