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

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from fallline.compare.difference import Difference
from fallline.compare.evidence import Circumstances
from fallline.compare.plan import Plan
from fallline.compare.profile import Profile
from fallline.compare.standing import Standing
from fallline.compare.verdict import Verdict


@dataclass(frozen=True)
class Workload:
    """All optimizers on one model.

    Attributes:
        name: the model's.
        measure: what the ranking is of: on test, or on val where the image set has no test split.
        chance: what guessing scores, which is what a diverged training counts as.
        images: number of images in the scored split.
        verdict: who won.
        standings: the ranking, best first.
        differences: every pair, ordered as the ranking is.
        targets: validation accuracies the way to which was timed, ascending.
    """

    name: str
    measure: Literal["test/accuracy", "val/accuracy"]
    chance: float
    images: int
    verdict: Verdict
    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    targets: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything a report of a comparison says, as numbers and sentences.

    Attributes:
        answer: the verdicts in one sentence.
        complete: whether every planned training has come to an end.
        plan: how it was set up.
        circumstances: what it ran on.
        workloads: the results, in the plan's order.
        profiles: over the workloads; empty for one.
        format: of the file; grows when a field changes its meaning.
    """

    answer: str
    complete: bool
    plan: Plan
    circumstances: Circumstances
    workloads: tuple[Workload, ...]
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
