"""All that a page says of a comparison of optimizers."""

from __future__ import annotations

from collections.abc import Sequence
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
from fallline.report.configuration import choice
from fallline.report.document import Document, winner_section
from fallline.report.methods import Method, Methods
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.runtable import run_table
from fallline.report.section import Block, Section
from fallline.report.tuning_figures import best_of_figure, learning_rate_figure
from fallline.report.winner import Winner, winner_of


def comparison_document(comparison: Comparison, runs: Sequence[Run], path: Path) -> Document:
    """Computes the report of a comparison.

    Args:
        comparison: its results.
        runs: its run folders; none where only comparison.json was kept.
        path: its folder.
    """
    plan, workloads = comparison.plan, comparison.workloads
    winner = _winner(comparison, runs, path)
    table = run_table(runs, _searched(plan), Metric())
    return Document(
        title=plan.name,
        subject=f"A comparison of {len(plan.contestants)} optimizers",
        answer=_answer(comparison),
        sections=(
            *_workload_sections(workloads, plan),
            *_profiles(comparison),
            *([Section("runs", "Every run", ((table,),))] if runs else []),
            *winner_section(winner, _whose(workloads)),
            Section("methods", "How it was done", ((_methods(comparison),),)),
        ),
        winner=winner,
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
    told = [
        f"{w.verdict.winner} wins on {w.name}" if w.verdict.winner else f"nobody on {w.name}"
        for w in workloads
    ]
    return wording.listed(told) + "."


def _laid_over(plan: Plan) -> str:
    settings = ", ".join(choice(key, value) for key, value in plan.settings.items())
    return f" with {settings}" if settings else ""


def _workload_sections(workloads: Sequence[Workload], plan: Plan) -> list[Section]:
    if len(workloads) == 1:
        return _sections(workloads[0], plan, "")
    found = []
    for workload in workloads:
        parts = _sections(workload, plan, f"-{workload.name}")
        rows = tuple(row for part in parts for row in part.rows)
        found.append(
            Section(workload.name, f"On {workload.name}", rows, workload.verdict.sentence)
        )
    return found


def _sections(workload: Workload, plan: Plan, suffix: str) -> list[Section]:
    painter = Painter(workload, plan, suffix)
    steps, seconds, gradients = painter.curves()
    ways = _there(painter.targets())
    tuning = _there(best_of_figure(painter), learning_rate_figure(painter))
    targets: tuple[Block, ...] = (targets_grid(workload, suffix),) if workload.targets else ()
    pairs: tuple[Block, ...] = (pairs_grid(workload, suffix),) if workload.differences else ()
    ranking = ((painter.ranking(), painter.gaps()), (ranking_grid(workload, suffix),), pairs)
    sections = [
        ("ranking", "Ranking", ranking),
        ("curves", "Curves", ((steps, seconds), (gradients, *ways), targets)),
        (
            "tuning",
            "What tuning did",
            (
                tuning,
                (tuning_grid(workload, suffix),),
                (spaces_grid(plan, workload, suffix),),
            ),
        ),
    ]
    return [
        Section(name, title, tuple(row for row in rows if row)) for name, title, rows in sections
    ]


def _there(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _profiles(comparison: Comparison) -> list[Section]:
    figures = tuple(
        profile_figure(profile, comparison.plan, index)
        for index, profile in enumerate(comparison.profiles)
    )
    return [Section("profiles", "Over all models", (figures,))] if figures else []


def _searched(plan: Plan) -> tuple[str, ...]:
    """Columns of the table of runs: what differs between them."""
    keys = dict.fromkeys(axis.key for each in plan.contestants for axis in each.space)
    model = ("model.name",) if len(plan.workloads) > 1 else ()
    return ("optim.name", *model, *keys)


def _winner(comparison: Comparison, runs: Sequence[Run], path: Path) -> Winner | None:
    """The leader's first completed repeat, on the first model."""
    standings = comparison.workloads[0].standings if comparison.workloads else ()
    repeats = standings[0].repeats if standings else ()
    folder = next((t.folder for t in repeats if t.status == "completed"), "")
    run = next((run for run in runs if folder and run.path == path / folder), None)
    return winner_of(run) if run else None


def _whose(workloads: Sequence[Workload]) -> str:
    is_won = bool(workloads) and workloads[0].verdict.winner is not None
    return "The winner" if is_won else "The leader"


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
