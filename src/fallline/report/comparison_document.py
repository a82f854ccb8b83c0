"""All that a page says of a comparison of optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fallline.compare.comparison import Comparison
from fallline.compare.plan import Plan
from fallline.compare.workload import Workload
from fallline.report import wording
from fallline.report.answer import Answer, Fact
from fallline.report.comparison_figures import Painter, profile_figure
from fallline.report.comparison_grids import (
    pairs_grid,
    ranking_grid,
    spaces_grid,
    targets_grid,
    tuning_grid,
)
from fallline.report.comparison_settings import effects_among, searched, settings_rows
from fallline.report.configuration import choice
from fallline.report.document import Document, winner_sections
from fallline.report.effects import Effects
from fallline.report.methods import Method, Methods
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.runtable import run_table
from fallline.report.section import Block, Section
from fallline.report.tried import OPTIMIZER, Tried, of_workload
from fallline.report.tuning_figures import best_of_figure
from fallline.report.winner import Winner, winner_of


def comparison_document(comparison: Comparison, runs: Sequence[Run], path: Path) -> Document:
    """Computes the report of a comparison.

    Args:
        comparison: its results.
        runs: its run folders; none where only comparison.json was kept.
        path: its folder.
    """
    plan, workloads = comparison.plan, comparison.workloads
    parts = [_Part.of(workload, comparison, runs, path) for workload in workloads]
    table = run_table(runs, _columns(plan), Metric())
    return Document(
        title=plan.name,
        subject=f"A comparison of {len(plan.contestants)} optimizers",
        answer=_answer(comparison),
        sections=(
            *_workload_sections(parts, plan),
            *_profiles(comparison),
            *([Section("runs", "Every run", ((table,),))] if runs else []),
            *(s for p in parts for s in winner_sections(p.whose, p.winner, p.suffix)),
            Section("methods", "How it was done", ((_methods(comparison),),)),
        ),
        effects={part.suffix: part.effects for part in parts if part.effects},
        winners={part.suffix: part.winner for part in parts if part.winner},
    )


@dataclass(frozen=True)
class _Part:
    """One model's: its results, what was tried on it, its best run; `suffix` ends its names."""

    workload: Workload
    suffix: str
    whose: str
    tried: tuple[Tried, ...]
    effects: Effects | None
    winner: Winner | None

    @classmethod
    def of(
        cls, workload: Workload, comparison: Comparison, runs: Sequence[Run], path: Path
    ) -> _Part:
        several = len(comparison.workloads) > 1
        suffix = f"-{workload.name}" if several else ""
        tried = of_workload(workload, path)
        return cls(
            workload,
            suffix,
            _whose(workload) + (f" on {workload.name}" if several else ""),
            tried,
            effects_among(tried, comparison.plan, suffix),
            _winner(workload, runs, path),
        )


def _answer(comparison: Comparison) -> Answer:
    plan = comparison.plan
    several = len(comparison.workloads) > 1
    sentence, rest = _first_clause(comparison.answer)
    doubts = [rest] if rest else []
    if several:
        sentence = _winners(comparison.workloads)
        doubts = [f"{w.name}: {w.verdict.sentence}" for w in comparison.workloads]
    if not comparison.complete:
        doubts.append("It is not complete: trainings are missing, and their results may differ.")
    doubts.append(
        f"Base {plan.base}{_laid_over(plan)}; {plan.configs} configurations of each optimizer "
        f"tried on val, the best repeated on {wording.count(len(plan.seeds), 'fresh seed')}, each "
        f"training with {plan.budget}. Another base, budget or data set may rank them otherwise."
    )
    doubts += [f"{warning[0].upper()}{warning[1:]}." for warning in comparison.warnings]
    trainings = [
        t for w in comparison.workloads for s in w.standings for t in (*s.trials, *s.repeats)
    ]
    facts = (
        Fact(str(len(plan.contestants)), "optimizers"),
        Fact(str(plan.configs), "configurations of each"),
        Fact(str(len(plan.seeds)), "fresh seeds"),
        Fact(f"{sum(t.status == 'completed' for t in trainings):,}", "trainings completed"),
        Fact(
            f"{sum(t.status in ('diverged', 'failed') for t in trainings):,}", "diverged or failed"
        ),
        Fact(wording.duration(sum(t.seconds for t in trainings)), "of training in all"),
    )
    return Answer(sentence, tuple(doubts), facts)


def _first_clause(answer: str) -> tuple[str, str]:
    """The headline of a verdict, and the rest of it as a sentence."""
    head, _, rest = answer.partition("; ")
    return (f"{head}.", f"{rest[0].upper()}{rest[1:]}") if rest else (answer, "")


def _winners(workloads: Sequence[Workload]) -> str:
    won: dict[str, list[str]] = {}
    for workload in workloads:
        won.setdefault(workload.verdict.winner or "nobody", []).append(workload.name)
    told = [f"{winner} wins on {wording.listed(names)}" for winner, names in won.items()]
    return wording.listed(told) + "."


def _laid_over(plan: Plan) -> str:
    settings = ", ".join(choice(key, value) for key, value in plan.settings.items())
    return f" with {settings}" if settings else ""


def _workload_sections(parts: Sequence[_Part], plan: Plan) -> list[Section]:
    if len(parts) == 1:
        return _sections(parts[0], plan)
    found = []
    for part in parts:
        name, lead = part.workload.name, part.workload.verdict.sentence
        rows = tuple(row for section in _sections(part, plan) for row in section.rows)
        found.append(Section(name, f"On {name}", rows, lead))
    return found


def _sections(part: _Part, plan: Plan) -> list[Section]:
    workload, suffix = part.workload, part.suffix
    painter = Painter(workload, plan, suffix)
    steps, seconds, gradients = painter.curves()
    targets = targets_grid(workload, suffix) if workload.targets else None
    pairs = pairs_grid(workload, suffix) if workload.differences else None
    spaces = spaces_grid(plan, workload, suffix)
    did = settings_rows(part.effects, part.tried, plan, painter) if part.effects else ()
    ranking = (painter.ranking(), painter.gaps()), (ranking_grid(workload, suffix),), (pairs,)
    curves = (steps, seconds), (gradients, painter.targets()), (targets,)
    tuning = (best_of_figure(painter),), (tuning_grid(workload, suffix),), (spaces,)
    sections = [
        Section("ranking", "Ranking", _there(ranking)),
        Section("curves", "Curves", _there(curves)),
        Section("tuning", "What tuning did", _there(tuning)),
        Section("settings", "What each setting did", _there(did)),
    ]
    return [section for section in sections if section.rows]


def _there(rows: Sequence[Sequence[Block | None]]) -> tuple[tuple[Block, ...], ...]:
    """The rows without blocks that have nothing to show."""
    kept = (tuple(block for block in row if block is not None) for row in rows)
    return tuple(row for row in kept if row)


def _profiles(comparison: Comparison) -> list[Section]:
    figures = tuple(
        profile_figure(profile, comparison.plan, index)
        for index, profile in enumerate(comparison.profiles)
    )
    return [Section("profiles", "Over all models", (figures,))] if figures else []


def _columns(plan: Plan) -> tuple[str, ...]:
    """Columns of the table of runs: what differs between them."""
    model = ("model.name",) if len(plan.workloads) > 1 else ()
    return (OPTIMIZER, *model, *searched(plan))


def _winner(workload: Workload, runs: Sequence[Run], path: Path) -> Winner | None:
    """The leader's first completed repeat."""
    repeats = workload.standings[0].repeats if workload.standings else ()
    folder = next((t.folder for t in repeats if t.status == "completed"), "")
    run = next((run for run in runs if folder and run.path == path / folder), None)
    return winner_of(run) if run else None


def _whose(workload: Workload) -> str:
    return "The leader" if workload.verdict.winner is None else "The winner"


def _methods(comparison: Comparison) -> Methods:
    plan, around = comparison.plan, comparison.circumstances
    told = {
        "images": f"{around.data}: {around.classes} classes; {around.train_images:,} train, "
        f"{around.val_images:,} val, {around.test_images:,} test (fingerprint "
        f"{', '.join(f[:12] for f in around.fingerprints)})",
        "splits": around.validation,
        "base": plan.base + _laid_over(plan),
        "models": ", ".join(plan.workloads),
        "budget": f"{plan.budget} for every training, whose schedule ends there",
        "tuning": f"{plan.configs} configurations of each optimizer: the same points of the unit "
        "cube for all, in each optimizer's own space; chosen by accuracy on val",
        "repeats": f"the chosen configuration on seeds {', '.join(map(str, plan.seeds))}: equal "
        "initialization, data order and augmentation for all optimizers at a seed",
        "gradients": ", ".join(f"{c.optimizer} {c.gradients_per_step:g}" for c in plan.contestants)
        + " forward-backward passes a step",
        "hardware": f"{', '.join(around.devices)}: {', '.join(map(str, around.threads))} CPU "
        f"threads, {', '.join(around.precisions)}",
        "versions": ", ".join(f"{name} {number}" for name, number in around.versions.items()),
    }
    items = tuple(Method(what, (how,)) for what, how in told.items() if how)
    return Methods(items, plan.command)
