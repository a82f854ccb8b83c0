"""Figures of a comparison: each optimizer in its own colour, the same in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fallline.compare.plan import Plan
from fallline.compare.profile import Profile
from fallline.compare.standing import Moment, Standing
from fallline.compare.target import MEASURES
from fallline.compare.workload import Workload
from fallline.report.curve_figures import line_with_band
from fallline.report.curves import Curve
from fallline.report.estimate import Estimate, from_seeds
from fallline.report.figures import (
    SYMBOLS,
    Figure,
    Plain,
    colour,
    dash,
    error_bars,
    label,
    layout,
    metric_axis,
    number_format,
    plain,
    rows_axis,
)
from fallline.report.metric import Metric

VAL: Final = Metric("val/accuracy")
UNITS: Final = {
    "steps": "steps",
    "seconds": "training seconds",
    "gradients": "gradients (forward-backward passes)",
}


class Painter:
    """Draws one workload; optimizers have the colours of their places in the plan.

    Names of figures get `suffix`, so that several workloads fit a page.
    """

    def __init__(self, workload: Workload, plan: Plan, suffix: str = "") -> None:
        self.workload, self.suffix = workload, suffix
        self.metric = Metric(workload.scoring.measure)
        self._places = {c.optimizer: i for i, c in enumerate(plan.contestants)}

    @property
    def _height(self) -> int:
        """Of a figure with a line for each optimizer, pixels."""
        return 110 + 44 * len(self.workload.standings)

    def ranking(self) -> Figure:
        """The scores with their intervals, every repeat as a small point."""
        shown = [s for s in self.workload.standings if s.score]
        traces: list[Plain] = []
        for row, standing in enumerate(shown):
            ended = [training for training in standing.repeats if training.has_result]
            drawn = [self.metric.drawn(self.workload.scoring.worth(each)) for each in ended]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": drawn,
                    "y": [row] * len(drawn),
                    "text": [f"seed {each.seed}: {each.status}" for each in ended],
                    "marker": {"size": 7, "color": f"{self.colour(standing)}/0.5"},
                    "hovertemplate": f"{number_format(self.metric, 'x')}<extra>%{{text}}</extra>",
                }
            )
            traces.append(self._mean(standing, row))
        y = rows_axis([standing.optimizer for standing in shown])
        view = {"data": traces, "layout": layout(metric_axis(self.metric), y, showlegend=False)}
        caption = (
            "Large points are means over fresh seeds, bars their 95 % intervals, small points the "
            "single trainings. One that diverged scores what guessing would."
        )
        title = f"Ranking: {self.metric.words}"
        return Figure(self.named("ranking"), title, caption, {"": view}, self._height)

    def gaps(self) -> Figure:
        """How far each lies behind the leader, seed by seed."""
        leader = self.workload.standings[0].optimizer
        gaps = [d for d in self.workload.differences if d.better == leader]
        estimates = [from_seeds(gap.gap) for gap in gaps]
        points: Plain = {
            "type": "scatter",
            "mode": "markers",
            "x": [self.metric.scaled(e.value) for e in estimates],
            "y": list(range(len(gaps))),
            "text": [plain(gap.worse) for gap in gaps],
            "error_x": error_bars(self.metric, estimates) | {"color": "--series-1", "width": 5},
            "marker": {
                "size": 10,
                "color": "--series-1",
                "symbol": ["circle" if gap.told else "circle-open" for gap in gaps],
            },
            "hovertemplate": "%{x:.2f} points behind<extra>%{text}</extra>",
        }
        zero: Plain = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1}
        zero["line"] = {"color": "--ink", "width": 1, "dash": "dot"}
        x = {"title": {"text": f"points behind {plain(leader)}", "standoff": 12}}
        y = rows_axis([gap.worse for gap in gaps])
        view = {"data": [points], "layout": layout(x, y, showlegend=False, shapes=[zero])}
        caption = (
            "Mean of the differences seed by seed, with the 95 % interval of each pair alone. "
            "Open points cannot be told from the leader."
        )
        title = "How far behind the leader"
        return Figure(self.named("gaps"), title, caption, {"": view}, self._height)

    def curves(self) -> tuple[Figure, ...]:
        """The repeats of the chosen configurations on the way, over each measure of effort."""
        caption = "Mean over the chosen one's repeats that got there; bands are 95 % intervals."
        figures = []
        for unit in MEASURES:
            traces = [
                trace
                for standing in self.in_order()
                if standing.curve
                for trace in line_with_band(
                    _curve(standing.curve, unit, standing.optimizer), self.place(standing), VAL
                )
            ]
            axes = layout(
                {"title": {"text": UNITS[unit]}, "rangemode": "tozero"}, metric_axis(VAL)
            )
            view = {"data": traces, "layout": axes}
            title = f"Over {UNITS[unit].partition(' (')[0]}"
            figures.append(Figure(self.named(f"curves-{unit}"), title, caption, {"": view}, 380))
        return tuple(figures)

    def targets(self) -> Figure | None:
        """What each target cost, in each measure of effort."""
        if not self.workload.targets:
            return None
        views: dict[str, Plain] = {unit: self._way(unit) for unit in reversed(MEASURES)}
        caption = (
            "Median over the repeats; there is no point where half of them or more missed the "
            "target, and the table counts these."
        )
        return Figure(self.named("targets"), "The way to a target", caption, views, 380)

    def _mean(self, standing: Standing, row: int) -> Plain:
        assert standing.score is not None
        estimate: Estimate = from_seeds(standing.score)
        bars = error_bars(self.metric, [estimate]) | {"color": self.colour(standing), "width": 5}
        return {
            "type": "scatter",
            "mode": "markers",
            "x": [self.metric.drawn(estimate.value)],
            "y": [row],
            "error_x": bars,
            "marker": {
                "size": 11,
                "color": self.colour(standing),
                "symbol": self.symbol(standing),
            },
            "hovertemplate": f"{number_format(self.metric, 'x')}"
            f"<extra>mean of {estimate.n} seeds</extra>",
        }

    def _way(self, unit: str) -> Plain:
        traces = []
        for standing in self.in_order():
            reached = [
                (attempt.target, spent.median)
                for attempt in standing.attempts
                for spent in attempt.spent
                if spent.unit == unit and spent.median is not None
            ]
            if reached:
                line = Curve(
                    standing.optimizer,
                    tuple(target for target, _ in reached),
                    tuple(median for _, median in reached),
                )
                traces += [self._way_line(standing, line)]
        y = {"title": {"text": UNITS[unit], "standoff": 12}, "rangemode": "tozero"}
        return {"data": traces, "layout": layout(metric_axis(VAL, "target on val"), y)}

    def _way_line(self, standing: Standing, line: Curve) -> Plain:
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(line.title),
            "x": [VAL.drawn(x) for x in line.x],
            "y": list(line.y),
            "line": {"color": self.colour(standing), "dash": dash(self.place(standing))},
            "marker": {"size": 8, "symbol": self.symbol(standing)},
            "hovertemplate": "%{x} % after %{y:,.4~g}<extra>%{fullData.name}</extra>",
        }

    def named(self, name: str) -> str:
        """The name of one of the workload's figures."""
        return f"{name}{self.suffix}"

    def in_order(self) -> list[Standing]:
        """The plan's order, so that a legend reads the same in every figure."""
        return sorted(self.workload.standings, key=self.place)

    def place(self, standing: Standing) -> int:
        """Its place in the plan."""
        return self._places[standing.optimizer]

    def colour(self, standing: Standing) -> str:
        """Its colour in every figure."""
        return colour(self.place(standing))

    def symbol(self, standing: Standing) -> str:
        """Its symbol, so that colour is never the only difference."""
        return SYMBOLS[self.place(standing) % len(SYMBOLS)]


def profile_figure(profile: Profile, plan: Plan, index: int) -> Figure:
    """Who is how often within a factor of the best."""
    places = {contestant.optimizer: i for i, contestant in enumerate(plan.contestants)}
    traces: list[Plain] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": label(line.optimizer),
            "x": list(profile.factors),
            "y": [100 * share for share in line.shares],
            "line": {
                "shape": "hv",
                "color": colour(places[line.optimizer]),
                "dash": dash(places[line.optimizer]),
                "width": 2,
            },
            "hovertemplate": "%{y:.0f} % within %{x:.3g} times<extra>%{fullData.name}</extra>",
        }
        for line in profile.lines
    ]
    x = {"title": {"text": "at most so many times the lowest"}, "type": "log", "tickformat": "~g"}
    y = {"title": {"text": "share of the workloads"}, "ticksuffix": " %", "range": [-3, 103]}
    caption = (
        f"Performance profile over {', '.join(map(plain, profile.workloads))} (Dolan and Moré "
        "2002): how often an optimizer comes within a factor of the best of all. Higher is better."
    )
    view = {"data": traces, "layout": layout(x, y)}
    title = f"{profile.cost[0].upper()}{profile.cost[1:]} over all models"
    return Figure(f"profile-{index}", title, caption, {"": view})


def _curve(moments: Sequence[Moment], unit: str, title: str) -> Curve:
    return Curve(
        title,
        tuple(_effort(moment, unit) for moment in moments),
        tuple(moment.val.mean for moment in moments),
        tuple(m.val.mean if m.val.low is None else m.val.low for m in moments),
        tuple(m.val.mean if m.val.high is None else m.val.high for m in moments),
    )


def _effort(moment: Moment, unit: str) -> float:
    return {"steps": moment.step, "seconds": moment.seconds, "gradients": moment.gradients}[unit]
