"""From what a user asks for to the plan of a comparison; every fault is found before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fallline.compare.plan import Contestant, Plan
from fallline.contest import budget
from fallline.contest.recipe import Recipe
from fallline.contest.space import axis_of, configurations, declared
from fallline.errors import ConfigError, Fault, unknown_name
from fallline.models.table import MODELS
from fallline.optim.table import row
from fallline.presets.table import PRESETS
from fallline.training.layers import preset_layer
from fallline.training.resolve import flatten, resolve

FEWEST_CONFIGS: Final = 3
FEWEST_SEEDS: Final = 2
OWN: Final = {
    "optim.name": "name the optimizers with --optimizers",
    "model.name": "name the model with --model, several with --workloads",
    "seed": "--seed is the first of a comparison's seeds",
    "train.epochs": "say how long each training is with --budget",
    "train.max_steps": "say how long each training is with --budget",
    "data.validate_on": "a comparison chooses on val and touches test once, at the end",
    "data.test_at_end": "a comparison chooses on val and touches test once, at the end",
}
"""Settings that are the comparison's own to decide, and what to do instead."""


@dataclass(frozen=True)
class Wish:
    """What is asked for; `contest.run.run` says what each field means."""

    optimizers: Sequence[str]
    data: str | None = None
    workloads: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    base: str = "neutral"
    configs: int = 12
    seeds: int = 5
    budget: str = "2ep"
    seed: int = 0
    targets: Sequence[float] = ()


def plan_of(wish: Wish, command: str) -> Plan:
    """The plan, its name still open. Raises ConfigError with every fault there is."""
    if faults := [*_number_faults(wish), *_name_faults(wish)]:
        raise ConfigError(faults)
    settings = dict(flatten(wish.settings))
    recipe = Recipe(wish.base, wish.data, settings)
    workloads = tuple(wish.workloads) or (PRESETS[wish.base].build().model.name,)
    if faults := _setting_faults(recipe, workloads, wish.optimizers):
        raise ConfigError(faults)
    plan = Plan(
        name="",
        command=command,
        base=wish.base,
        settings=settings,
        data=resolve(recipe.layers(workloads[0], wish.optimizers[0])).config.data.name,
        workloads=workloads,
        contestants=tuple(_contestant(recipe, workloads[0], o, wish) for o in wish.optimizers),
        budget=budget.parse(wish.budget),
        tuning_seed=wish.seed,
        seeds=tuple(range(wish.seed + 1, wish.seed + 1 + wish.seeds)),
        points_seed=wish.seed,
        targets=tuple(sorted(wish.targets)),
        base_settings=dict(flatten(preset_layer(wish.base).values)),
    )
    return Plan.from_json(plan.to_json())  # as whoever goes on with it will read it


def _contestant(recipe: Recipe, workload: str, optimizer: str, wish: Wish) -> Contestant:
    """What a user sets for all is not searched."""
    options = resolve(recipe.layers(workload, optimizer)).config.optim.model_dump(mode="json")
    space = {
        key: dimension
        for key, dimension in declared(optimizer, options).items()
        if key not in recipe.settings
    }
    if not space:
        raise ConfigError(
            f"nothing is left to search for {optimizer}",
            seen=f"its space is empty, or set: {', '.join(recipe.settings) or 'nothing is'}",
            next=f"see what a search tries with: fallline list optimizers {optimizer}",
        )
    fixed = {f"optim.{k}": v for k, v in options.items() if f"optim.{k}" not in space}
    return Contestant(
        optimizer=optimizer,
        space=tuple(axis_of(key, dimension) for key, dimension in space.items()),
        configurations=configurations(space, wish.configs, wish.seed),
        gradients_per_step=row(optimizer).gradients_per_step,
        defaults={k: v for k, v in fixed.items() if k != "optim.name"},
    )


def _number_faults(wish: Wish) -> Iterator[Fault]:
    if wish.configs < FEWEST_CONFIGS:
        yield Fault(
            "too few configurations: one or two compare guesses at settings, not optimizers",
            seen=f"--configs {wish.configs}",
            allowed=f"{FEWEST_CONFIGS} or more; 12 is a fair start",
        )
    if wish.seeds < FEWEST_SEEDS:
        yield Fault(
            "too few seeds: without a spread nothing can be told apart",
            seen=f"--seeds {wish.seeds}",
            allowed=f"{FEWEST_SEEDS} or more; 5 is a fair start",
        )
    if wish.seed < 0:
        yield Fault("a seed is negative", seen=str(wish.seed), allowed="0 or more")
    if bad := [target for target in wish.targets if not 0 < target < 1]:
        yield Fault("a target is no accuracy", seen=str(bad), allowed="between 0 and 1, like 0.7")
    try:
        budget.parse(wish.budget)
    except ConfigError as error:
        yield from error.faults


def _name_faults(wish: Wish) -> Iterator[Fault]:
    for optimizer in wish.optimizers:
        try:
            row(optimizer)
        except ConfigError as error:
            yield from error.faults
    if len(set(wish.optimizers)) < max(2, len(wish.optimizers)):
        yield Fault(
            "a comparison needs two optimizers or more, each once",
            seen=", ".join(wish.optimizers) or "none",
            next="for one alone: fallline sweep",
        )
    if wish.base not in PRESETS:
        yield unknown_name("preset", wish.base, PRESETS.names)
    for workload in wish.workloads:
        if workload not in MODELS:
            yield unknown_name("model", workload, MODELS.names)
    if len(set(wish.workloads)) < len(wish.workloads):
        yield Fault("a model is named twice", seen=", ".join(wish.workloads))


def _setting_faults(
    recipe: Recipe, workloads: Sequence[str], optimizers: Sequence[str]
) -> list[Fault]:
    """What is wrong with the user's settings, for any pair of model and optimizer."""
    own = recipe.settings.keys() & OWN.keys()
    faults = [Fault(f"{key} is the comparison's to decide", next=OWN[key]) for key in sorted(own)]
    pairs = [(workload, optimizer) for workload in workloads for optimizer in optimizers]
    idle = set(recipe.settings).intersection(*(recipe.idle(*pair) for pair in pairs))
    for pair in pairs:
        try:
            resolve([*recipe.layers(*pair), recipe.only(idle)])
        except ConfigError as error:
            faults += error.faults
    return list(dict.fromkeys(faults))
