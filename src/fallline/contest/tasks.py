"""From the plan of a comparison to the task of each training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.compare.evidence import Phase, folder_name
from fallline.compare.plan import Contestant, Plan
from fallline.contest import pace
from fallline.contest.budget import length
from fallline.contest.pace import Pace
from fallline.contest.recipe import Recipe
from fallline.sweep.backend import Share, Task
from fallline.training.layers import Layer
from fallline.training.resolve import resolve


@dataclass(frozen=True)
class Slate:
    """One training of a plan: who, in which phase, with which configuration and seed."""

    phase: Phase
    workload: str
    contestant: Contestant
    trial: int
    seed: int

    @property
    def key(self) -> str:
        """The name of its task and of its run folder."""
        who = (self.workload, self.contestant.optimizer)
        return folder_name(self.phase, *who, self.trial, self.seed)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The searched settings."""
        return self.contestant.configurations[self.trial]


@dataclass(frozen=True)
class TaskMaker:
    """Makes the tasks of one comparison, in the folder `out`."""

    plan: Plan
    recipe: Recipe
    out: Path

    def __call__(self, slate: Slate, seen: Pace | None = None) -> Task:
        """The task of a training; `seen` is how fast its configuration trains, if that is needed.

        Seeds are paired: one seed gives every optimizer the same initialization, data order and
        augmentation. Only repeats touch test.
        """
        optimizer = slate.contestant.optimizer
        resolved = resolve(
            [
                *self.recipe.layers(slate.workload, optimizer),
                Layer("the search", slate.parameters),
                Layer(f"the {slate.phase} phase", self._of_phase(slate, seen)),
            ]
        )
        return Task(
            key=slate.key,
            out=self.out,
            config=resolved.config.model_dump(mode="json"),
            origins=dict(resolved.origins),
            trial={
                "comparison": self.plan.name,
                "phase": slate.phase,
                "workload": slate.workload,
                "optimizer": optimizer,
                "trial": slate.trial,
                "seed": slate.seed,
                "parameters": dict(slate.parameters),
            },
        )

    def share(self, workload: str, contestant: Contestant) -> Share:
        """What a training is to have, as its settings say it: the same for all."""
        train = resolve(self.recipe.layers(workload, contestant.optimizer)).config.train
        return Share(device=train.device, threads=train.threads)

    def _of_phase(self, slate: Slate, seen: Pace | None) -> dict[str, Any]:
        """Length, seed, and whether test is touched."""
        common = {"seed": slate.seed, "data.test_at_end": slate.phase == "repeat"}
        if slate.phase == "calibrate":
            return common | pace.SETTINGS
        each = slate.contestant.gradients_per_step
        return common | length(self.plan.budget, each, seen)
