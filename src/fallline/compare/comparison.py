"""A whole comparison: the content of comparison.json.

The file is this module's `Comparison` as JSON, field by field: dataclasses are objects, tuples are
lists, what is not known is null. Accuracies are fractions, seconds are of the training clock.
`comparison_of(folder)` makes it from the folder of a comparison alone:

    <out>/<name>/plan.json            what was set out to do (`plan.Plan`)
    <out>/<name>/<run folder>/        one for each training; its trial.json holds
        {"comparison": name, "phase": "calibrate" | "tune" | "repeat", "workload": model,
         "optimizer": name, "trial": number, "seed": seed, "parameters": {dotted key: value}}
    <out>/<name>/comparison.json      this
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

from fallline.compare.circumstances import Circumstances, circumstances_of
from fallline.compare.evidence import Evidence
from fallline.compare.plan import Plan
from fallline.compare.profile import Profile, profile_of
from fallline.compare.standing import Standing
from fallline.compare.target import Attempt
from fallline.compare.workload import Workload, workload_of

COMPARISON: Final = "comparison.json"


@dataclass(frozen=True)
class Comparison:
    """Everything a report of a comparison says, as numbers and sentences.

    Attributes:
        answer: the verdicts in words.
        complete: whether every planned training has come to an end.
        plan: how it was set up.
        circumstances: what it ran on.
        workloads: the results, in the plan's order.
        warnings: what makes all this less certain than it says.
        profiles: over the workloads; empty for one.
        format: of the file; grows when a field changes its meaning.
    """

    answer: str
    complete: bool
    plan: Plan
    circumstances: Circumstances
    workloads: tuple[Workload, ...]
    warnings: tuple[str, ...] = ()
    profiles: tuple[Profile, ...] = ()
    format: Literal[1] = 1

    def to_json(self) -> str:
        """The text of comparison.json."""
        return _ADAPTER.dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Comparison:
        """Reads comparison.json. Raises ValueError for what is none."""
        return _ADAPTER.validate_json(text)


_ADAPTER: TypeAdapter[Comparison] = TypeAdapter(Comparison)


def comparison_of(path: str | Path) -> Comparison:
    """The results that a comparison's folder holds, complete or not. Raises RunError for no such.

    It reads the plan and the run folders, and nothing else.
    """
    evidence = Evidence.read(Path(path))
    circumstances = circumstances_of(evidence.folders.values())
    workloads = tuple(workload_of(evidence, w, circumstances) for w in evidence.plan.workloads)
    return Comparison(
        answer=_answer(workloads),
        complete=not any(s.open for w in workloads for s in w.standings),
        plan=evidence.plan,
        circumstances=circumstances,
        workloads=workloads,
        warnings=(
            *circumstances.warnings,
            *_looks(evidence.plan),
            *_flattery(workloads),
        ),
        profiles=_profiles(workloads) if len(workloads) > 1 else (),
    )


def _looks(plan: Plan) -> Iterator[str]:
    if plan.looks:
        counts = ", ".join(map(str, plan.looks))
        yield (
            f"seeds were added after a look at the results ({counts}, then {len(plan.seeds)}): "
            "each further look adds to the 5 % of false winners"
        )
    if plan.joined:
        yield (
            f"{', '.join(plan.joined)} joined after a look at the results of the others: "
            "who adds optimizers until one wins finds one by chance"
        )


def _flattery(workloads: Sequence[Workload]) -> Iterator[str]:
    """Where there is no test split, the judge of the ranking made the choices too."""
    if any(w.scoring.split == "val" and any(s.score for s in w.standings) for w in workloads):
        yield (
            "there is no test split, so the ranking is on the very val images that chose the "
            "configurations: scores come out too high, most where many configurations were close"
        )


def _answer(workloads: Sequence[Workload]) -> str:
    if len(workloads) == 1:
        return workloads[0].verdict.sentence
    return " ".join(f"{each.name}: {each.verdict.sentence}" for each in workloads)


def _profiles(workloads: Sequence[Workload]) -> tuple[Profile, ...]:
    names = [workload.name for workload in workloads]
    return (
        profile_of("errors", names, _by_optimizer(workloads, _error)),
        profile_of("gradients to the target", names, _by_optimizer(workloads, _gradients)),
    )


def _by_optimizer(
    workloads: Sequence[Workload], cost: Callable[[Workload, Standing], float | None]
) -> dict[str, list[float | None]]:
    """The cost of every optimizer on every workload."""
    found: dict[str, list[float | None]] = {}
    for workload in workloads:
        for standing in workload.standings:
            found.setdefault(standing.optimizer, []).append(cost(workload, standing))
    return found


def _error(workload: Workload, standing: Standing) -> float | None:
    """The share of wrong answers; none wrong counts as half an image."""
    if standing.score is None:
        return None
    return max(1 - standing.score.mean, workload.scoring.resolution / 2)


def _gradients(workload: Workload, standing: Standing) -> float | None:
    """The median way to the highest target that half of some optimizer's repeats reached."""
    ways = [[_median(attempt) for attempt in s.attempts] for s in workload.standings]
    for place in reversed(range(len(workload.targets))):
        if any(way[place] is not None for way in ways):
            return _median(standing.attempts[place])
    return None


def _median(attempt: Attempt) -> float | None:
    return next((s.median for s in attempt.spent if s.unit == "gradients"), None)
