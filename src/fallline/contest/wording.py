"""What a person reads of a comparison: its beginning, its trainings, its ranking as text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fallline.compare.chances import chance_words
from fallline.compare.comparison import COMPARISON, Comparison
from fallline.compare.estimate import Estimate
from fallline.compare.evidence import Training
from fallline.compare.plan import Plan
from fallline.compare.standing import Standing
from fallline.compare.workload import Workload
from fallline.contest.tasks import Slate
from fallline.track.terminal import clean
from fallline.track.wording import NOTHING

COLUMNS: Final = (
    "",
    "optimizer",
    "",
    "chance",
    "may be best",
    "tried",
    "seconds",
    "gradients",
    "with",
)


def header(plan: Plan, folder: Path, slots: int, left: int) -> list[str]:
    """The lines above a comparison: who, on what, for how long, where, and what is done."""
    done = plan.trainings - left
    before = f"; {done} are done already" if done else ""
    return [*plan_lines(plan, folder), f"{'runs':<10}  {slots} at a time{before}"]


def plan_lines(plan: Plan, folder: Path) -> list[str]:
    """What a comparison declares, its search spaces included."""
    facts = {
        "comparison": plan.name,
        "base": f"{plan.base}" + "".join(f" {k}={v}" for k, v in plan.settings.items()),
        "data": f"{plan.data}, {', '.join(plan.workloads)}",
        "budget": f"{plan.budget} each; {plan.configs} configurations tuned on val, "
        f"the best on {len(plan.seeds)} fresh seeds",
        "trainings": f"{plan.trainings:,}",
        "folder": str(folder),
    }
    lines = [f"{name:<10}  {clean(text)}" for name, text in facts.items()]
    for contestant in plan.contestants:
        space = "; ".join(f"{axis.key} {axis.words}" for axis in contestant.space)
        lines.append(f"{contestant.optimizer:<10}  {clean(space)}")
    return lines


def configuration_lines(plan: Plan) -> list[str]:
    """Every configuration of every optimizer."""
    return [
        clean(f"{each.optimizer:<10}  {number:>3}  {settings(values)}")
        for each in plan.contestants
        for number, values in enumerate(each.configurations, 1)
    ]


def ended_line(slate: Slate, training: Training) -> str:
    """A training that has ended, in one line."""
    who = f"{slate.workload} {slate.contestant.optimizer}"
    which = f"configuration {slate.trial + 1} of {len(slate.contestant.configurations)}"
    if slate.phase == "repeat":
        which = f"repeat with seed {slate.seed}"
    if slate.phase == "calibrate":
        which = f"pace of {which}"
        how = f"{1000 * training.seconds / max(1, training.steps):.1f} ms a step"
    elif training.val is None:
        how = f"{training.status}: {training.reason}"
    else:
        test = "" if training.test is None else f", test {training.test:.2%}"
        how = f"val {training.val:.2%}{test}, {training.seconds:.1f} s"
    return clean(f"{who:<20} {which:<30} {how:<36} {settings(slate.parameters)}")


def settings(values: Mapping[str, Any]) -> str:
    """Searched settings, without the section they are in."""
    return " ".join(f"{key.removeprefix('optim.')}={_short(v)}" for key, v in values.items())


def summary(found: Comparison, folder: Path, page: Path | None = None) -> list[str]:
    """The lines below a comparison: ranking, what to know, the answer, what next."""
    lines: list[str] = []
    for workload in found.workloads:
        lines += ["", *ranking(workload), ""]
        lines += [clean(f"{s.optimizer}: {note}") for s in workload.standings for note in s.notes]
    lines += [clean(f"careful: {warning}") for warning in found.warnings]
    lines += ["", clean(found.answer), "", f"results     {clean(str(folder / COMPARISON))}"]
    lines += [f"page        {clean(str(page))}"] if page else []
    if not found.complete:
        lines.append("next        not all is done: the same command again goes on from here")
    return [*lines, f"next        fallline board {shlex.quote(str(folder))}"]


def ranking(workload: Workload) -> list[str]:
    """The standings of a model as an aligned table."""
    titles = list(COLUMNS)
    titles[2] = f"{workload.name} on {workload.scoring.split}"
    return aligned([titles, *(_row(standing) for standing in workload.standings)])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        clean("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def accuracy(value: Estimate | None) -> str:
    """A mean with half its 95 % interval and n."""
    if value is None:
        return NOTHING
    half = "" if value.half is None else f" ± {100 * value.half:.2f}"
    return f"{value.mean:.2%}{half} (n = {value.n})"


def _row(standing: Standing) -> list[str]:
    tuned, cost = standing.tuned, standing.cost
    lost = f", {tuned.diverged + tuned.failed} lost" if tuned.completed < tuned.planned else ""
    chance = standing.chance_best
    return [
        f"{standing.rank}.",
        standing.optimizer,
        accuracy(standing.score),
        NOTHING if chance is None else chance_words(chance),
        "" if standing.score is None else "yes" if standing.contender else "no",
        f"{tuned.completed}{lost}",
        NOTHING if cost is None else f"{cost.seconds.mean:.1f}",
        NOTHING if cost is None else f"{cost.gradients.mean:,.0f}",
        settings(standing.parameters),
    ]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
