"""Figures of a comparison: each optimizer in its own colour, the same in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fallline.compare.plan import Plan
from fallline.compare.profile import Profile
from fallline.compare.standing import Moment, Standing
from fallline.compare.target import MEASURES
from fallline.compare.tuning import BestOf
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

    def ranking(self) -> Figure:
        """The scores with their intervals, every repeat as a small point."""
        shown = [s for s in self.workload.standings if s.score]
        traces: list[Plain] = []
        for standing in shown:
            values = [self.workload.scoring.worth(training) for training in standing.repeats]
            drawn = [self.metric.drawn(value) for value in values if value == value]
            seeds = [f"seed {training.seed}: {training.status}" for training in standing.repeats]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": drawn,
                    "y": [label(standing.optimizer)] * len(drawn),
                    "text": seeds[: len(drawn)],
                    "marker": {"size": 7, "color": f"{self._colour(standing)}/0.5"},
                    "hovertemplate": f"{number_format(self.metric, 'x')}<extra>%{{text}}</extra>",
                }
            )
            traces.append(self._mean(standing))
        y = {"autorange": "reversed", "type": "category", "showgrid": False, "ticksuffix": " "}
        view = {"data": traces, "layout": layout(metric_axis(self.metric), y, showlegend=False)}
        caption = (
            "Large points are means over fresh seeds, bars their 95 % intervals, small points the "
            "single trainings. One that diverged or failed scores what guessing would."
        )
        return self._figure("ranking", f"Ranking: {self.metric.words}", caption, {"": view}, shown)

    def gaps(self) -> Figure:
        """How far each lies behind the leader, seed by seed."""
        leader = self.workload.standings[0].optimizer
        gaps = [d for d in self.workload.differences if d.better == leader]
        estimates = [from_seeds(gap.gap) for gap in gaps]
        points: Plain = {
            "type": "scatter",
            "mode": "markers",
            "x": [self.metric.scaled(e.value) for e in estimates],
            "y": [label(gap.worse) for gap in gaps],
            "error_x": error_bars(self.metric, estimates) | {"color": "--series-1", "width": 5},
            "marker": {
                "size": 10,
                "color": "--series-1",
                "symbol": ["circle" if gap.told else "circle-open" for gap in gaps],
            },
            "hovertemplate": "%{x:.2f} points behind<extra>%{y}</extra>",
        }
        zero: Plain = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1}
        zero["line"] = {"color": "--ink", "width": 1, "dash": "dot"}
        x = {"title": {"text": f"points behind {plain(leader)}", "standoff": 12}}
        y = {"autorange": "reversed", "type": "category", "showgrid": False, "ticksuffix": " "}
        view = {"data": [points], "layout": layout(x, y, showlegend=False, shapes=[zero])}
        caption = (
            "Mean of the differences seed by seed, with the 95 % interval of each pair alone. "
            "Open points cannot be told from the leader."
        )
        title = "How far behind the leader"
        return self._figure("gaps", title, caption, {"": view}, self.workload.standings)

    def curves(self) -> tuple[Figure, ...]:
        """The repeats of the chosen configurations on the way, over each measure of effort."""
        caption = "Mean over the repeats of the chosen configuration; bands are 95 % intervals."
        figures = []
        for unit in MEASURES:
            traces = [
                trace
                for standing in self._in_order()
                if standing.curve
                for trace in line_with_band(
                    _curve(standing.curve, unit, standing.optimizer), self._place(standing), VAL
                )
            ]
            axes = layout(
                {"title": {"text": UNITS[unit]}, "rangemode": "tozero"}, metric_axis(VAL)
            )
            view = {"data": traces, "layout": axes}
            title = f"Over {UNITS[unit].partition(' (')[0]}"
            figures.append(self._figure(f"curves-{unit}", title, caption, {"": view}, height=380))
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
        return self._figure("targets", "The way to a target", caption, views, height=380)

    def best_of(self) -> Figure:
        """How good the best of k configurations can be expected to be."""
        traces = [
            trace
            for standing in self._in_order()
            if standing.best_of
            for trace in line_with_band(
                _best_of_curve(standing.best_of, standing.optimizer), self._place(standing), VAL
            )
        ]
        x = {"title": {"text": "configurations tried"}, "dtick": _whole_ticks(traces)}
        caption = (
            "Expected best accuracy on val after trying k of the configurations; bands are 95 % "
            "bootstrap intervals. A curve that still rises wants more tuning."
        )
        view = {"data": traces, "layout": layout(x, metric_axis(VAL))}
        return self._figure("best-of", "How much tuning each needs", caption, {"": view})

    def sensitivity(self) -> Figure | None:
        """Every learning rate that was tried."""
        traces = [trace for standing in self._in_order() for trace in self._rates(standing)]
        if not traces:
            return None
        x = {"type": "log", "dtick": 1, "tickformat": "~g", "title": {"text": "learning rate"}}
        caption = (
            "Every configuration at its rate; the other settings vary too. Crosses came to no "
            "score: they diverged or failed."
        )
        view = {"data": traces, "layout": layout(x, metric_axis(VAL))}
        return self._figure("learning-rate", "Learning rate", caption, {"": view})

    def _mean(self, standing: Standing) -> Plain:
        assert standing.score is not None
        estimate: Estimate = from_seeds(standing.score)
        bars = error_bars(self.metric, [estimate]) | {"color": self._colour(standing), "width": 5}
        return {
            "type": "scatter",
            "mode": "markers",
            "x": [self.metric.drawn(estimate.value)],
            "y": [label(standing.optimizer)],
            "error_x": bars,
            "marker": {
                "size": 11,
                "color": self._colour(standing),
                "symbol": self._symbol(standing),
            },
            "hovertemplate": f"{number_format(self.metric, 'x')}"
            f"<extra>mean of {estimate.n} seeds</extra>",
        }

    def _way(self, unit: str) -> Plain:
        traces = []
        for standing in self._in_order():
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
            "line": {"color": self._colour(standing), "dash": dash(self._place(standing))},
            "marker": {"size": 8, "symbol": self._symbol(standing)},
            "hovertemplate": "%{x} % after %{y:,.4~g}<extra>%{fullData.name}</extra>",
        }

    def _rates(self, standing: Standing) -> list[Plain]:
        if standing.sensitivity is None:
            return []
        points = standing.sensitivity.points
        scored = [(rate, VAL.drawn(value)) for rate, value in points if value is not None]
        floor = 100 * self.workload.scoring.chance
        lost = [(rate, floor) for rate, value in points if value is None]
        name, shade = label(standing.optimizer), self._colour(standing)
        number = f"{number_format(VAL, 'y')} at %{{x:.4~g}}<extra>%{{fullData.name}}</extra>"
        line: Plain = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [rate for rate, _ in scored],
            "y": [value for _, value in scored],
            "line": {"color": shade, "dash": dash(self._place(standing)), "width": 1.2},
            "marker": {"size": 8, "symbol": self._symbol(standing)},
            "hovertemplate": number,
        }
        crosses: Plain = {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "showlegend": False,
            "x": [rate for rate, _ in lost],
            "y": [value for _, value in lost],
            "marker": {"size": 8, "symbol": "x", "color": shade},
            "hovertemplate": "no score at %{x:.4~g}<extra>%{fullData.name}</extra>",
        }
        return [line, *([crosses] if lost else [])]

    def _figure(
        self,
        name: str,
        title: str,
        caption: str,
        views: Mapping[str, Plain],
        rows: Sequence[object] = (),
        height: int = 340,
    ) -> Figure:
        tall = 110 + 44 * len(rows) if rows else height
        return Figure(f"{name}{self.suffix}", title, caption, views, tall)

    def _in_order(self) -> list[Standing]:
        """The plan's order, so that a legend reads the same in every figure."""
        return sorted(self.workload.standings, key=self._place)

    def _place(self, standing: Standing) -> int:
        return self._places[standing.optimizer]

    def _colour(self, standing: Standing) -> str:
        return colour(self._place(standing))

    def _symbol(self, standing: Standing) -> str:
        return SYMBOLS[self._place(standing) % len(SYMBOLS)]


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


def _best_of_curve(told: Sequence[BestOf], title: str) -> Curve:
    return Curve(
        title,
        tuple(float(each.k) for each in told),
        tuple(each.expected for each in told),
        tuple(each.low for each in told),
        tuple(each.high for each in told),
    )


def _whole_ticks(traces: Sequence[Plain]) -> int:
    most = max((max(trace["x"]) for trace in traces), default=1)
    return max(1, round(most / 8))
