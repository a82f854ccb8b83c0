"""A comparison's folder, of real trainings: three optimizers on digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep_folder import BASE

from fallline import train
from fallline.compare.comparison import comparison_of
from fallline.compare.evidence import Phase, chosen, folder_name
from fallline.compare.plan import Axis, Budget, Contestant, Plan

RANGES = {"sgd": (0.01, 1e4), "adamw": (3e-4, 0.1), "sam": (0.01, 1.0)}
DECAY = Axis("optim.weight_decay", "choice", values=(0.0, 0.0005))
CONFIGS, SEEDS = 3, (1, 2, 3)


def contestant(optimizer: str) -> Contestant:
    rate = Axis("optim.lr", "log", *RANGES[optimizer])
    low, high = RANGES[optimizer]
    configurations = tuple(
        {
            "optim.lr": low * (high / low) ** ((i + 0.5) / CONFIGS),
            "optim.weight_decay": DECAY.values[i % 2],
        }
        for i in range(CONFIGS)
    )
    return Contestant(optimizer, (rate, DECAY), configurations, 1.0 + (optimizer == "sam"), {})


def make_comparison(out: Path, workloads: tuple[str, ...] = ("mlp",)) -> Path:
    """Tunes and repeats, and writes plan.json and comparison.json."""
    plan = Plan(
        name="digits-compared",
        command="fallline compare --data digits --optimizers sgd,adamw,sam --configs 3 --seeds 3",
        base="neutral",
        settings={},
        data="digits",
        workloads=workloads,
        contestants=tuple(map(contestant, RANGES)),
        budget=Budget(3, "epochs"),
        tuning_seed=0,
        seeds=SEEDS,
    )
    folder = out / plan.name
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.to_json())
    for workload in workloads:
        for each in plan.contestants:
            for trial in range(CONFIGS):
                _train(folder, workload, each, ("tune", trial, plan.tuning_seed))
    tuned = comparison_of(folder)
    for told in tuned.workloads:
        for each in plan.contestants:
            standing = next(s for s in told.standings if s.optimizer == each.optimizer)
            best = chosen(standing.trials)
            for seed in SEEDS:
                _train(folder, told.name, each, ("repeat", best or 0, seed))
    (folder / "comparison.json").write_text(comparison_of(folder).to_json())
    return folder


def _train(folder: Path, workload: str, each: Contestant, which: tuple[Phase, int, int]) -> None:
    phase, trial, seed = which
    parameters = each.configurations[trial]
    settings: dict[str, Any] = (
        BASE | {"optimizer": each.optimizer, "seed": seed} | dict(parameters)
    )
    settings["model"] = {"name": workload, "widths": [32] if workload == "mlp" else [8, 8, 8]}
    settings["data"] = {"test_at_end": phase == "repeat"}
    name = folder_name(phase, workload, each.optimizer, trial, seed)
    run = train(data="digits", settings=settings, out=folder, name=name, show="quiet")
    told = {
        "comparison": "digits-compared",
        "phase": phase,
        "workload": workload,
        "optimizer": each.optimizer,
        "trial": trial,
        "seed": seed,
        "parameters": parameters,
    }
    run.folder.trial.write_text(json.dumps(told))
