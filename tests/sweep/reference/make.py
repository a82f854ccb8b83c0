"""Makes vectors.json.gz: what W&B's own implementation of sweeps answers, for the tests to hold.

It needs the package `sweeps`, which pins numpy < 2, so it runs in an environment of its own:

    python3.11 -m venv /tmp/sweeps
    /tmp/sweeps/bin/pip install 'sweeps==0.3.0' 'numpy<2'
    /tmp/sweeps/bin/python tests/sweep/reference/make.py
"""

from __future__ import annotations

import gzip
import json
import math
import random
from importlib import import_module
from pathlib import Path
from typing import Any

sweeps: Any = import_module("sweeps")
hyperband: Any = import_module("sweeps.hyperband_stopping")
params: Any = import_module("sweeps.params")
schema: Any = import_module("sweeps.config")
grid_search: Any = import_module("sweeps.grid_search")

SCENARIOS = 1900
SAMPLES = 1000
STATES = (
    "running",
    "running",
    "running",
    "running",
    "running",
    "finished",
    "crashed",
    "killed",
    "failed",
    "pending",
)

DISTRIBUTIONS: list[dict[str, Any]] = [
    {"value": 7},
    {"values": [1, 2, 3]},
    {"values": [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4]},
    {"values": [1, 2, 3], "probabilities": [0.2, 0.5, 0.3]},
    {"values": [1, 2, 3, 4], "probabilities": [0.0, 0.9, 0.1, 0.0]},
    {"min": 1, "max": 10},
    {"min": -3, "max": 3},
    {"min": 0.5, "max": 2.5},
    {"min": -1.0, "max": 1},
    {"distribution": "uniform", "min": 1, "max": 4},
    {"distribution": "q_uniform", "min": 0, "max": 10},
    {"distribution": "q_uniform", "min": 0, "max": 10, "q": 3},
    {"distribution": "q_uniform", "min": 0.05, "max": 0.95, "q": 0.1},
    {"distribution": "log_uniform", "min": -7, "max": 0.5},
    {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    {"distribution": "log_uniform_values", "min": 0.5, "max": 3},
    {"distribution": "q_log_uniform", "min": 0, "max": 5},
    {"distribution": "q_log_uniform", "min": 0.5, "max": 4, "q": 0.25},
    {"distribution": "q_log_uniform_values", "min": 16, "max": 512, "q": 16},
    {"distribution": "q_log_uniform_values", "min": 0.1, "max": 20, "q": 0.5},
    {"distribution": "inv_log_uniform", "min": 1, "max": 6},
    {"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1e-1},
    {"distribution": "normal"},
    {"distribution": "normal", "mu": 5, "sigma": 0.1},
    {"distribution": "q_normal", "mu": 10, "sigma": 4, "q": 2},
    {"distribution": "q_normal", "sigma": 0.3, "q": 0.1},
    {"distribution": "log_normal", "mu": -6, "sigma": 1.5},
    {"distribution": "q_log_normal", "mu": 3, "sigma": 0.5, "q": 8},
    {"distribution": "beta"},
    {"distribution": "beta", "a": 2, "b": 5},
    {"distribution": "beta", "a": 0.5, "b": 0.5},
    {"distribution": "q_beta", "a": 2, "b": 2, "q": 0.05},
]

GRIDS: list[dict[str, Any]] = [
    {
        "optimizer": {"values": ["sgd", "adam"]},
        "learning_rate": {"values": [0.1, 0.01]},
        "batch_size": {"values": [32, 64, 128]},
        "epochs": {"value": 5},
    },
    {"b": {"min": 1, "max": 4}, "a": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}},
    {"x": {"distribution": "q_uniform", "min": 1, "max": 7}, "Y": {"values": [True, False, None]}},
    {"d": {"values": [1, 1.0, 2, 2, "1", "a", "a"]}, "c": {"values": [64.0, 64, 32]}},
    {
        "zeta": {"values": [1, 2]},
        "group": {
            "parameters": {
                "b": {"values": ["x", "y"]},
                "a": {"values": [[1, 2], [3]]},
                "deep": {"parameters": {"k": {"min": 0, "max": 2}}},
            }
        },
        "alpha": {"values": [0.5, 0.25]},
    },
    {"optim.lr": {"values": [1, 2]}, "optim_": {"values": [3, 4]}, "Optim": {"values": [5, 6]}},
    {"dicts": {"values": [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2}]}, "n": {"values": [None]}},
    {"only": {"value": "constant"}},
]

ENTRIES: list[Any] = [  # parameters that may or may not be right
    {"value": None},
    {"value": 3, "distribution": "constant"},
    {"value": 3, "distribution": "categorical"},
    {"value": 3, "values": [1]},
    {"values": []},
    {"values": "abc"},
    {"values": [1], "distribution": "categorical"},
    {"values": [1], "distribution": "uniform"},
    {"values": [1, 2], "probabilities": [0.5, 0.5], "distribution": "categorical"},
    {"values": [1, 2], "probabilities": [0.5, 0.5], "distribution": "categorical_w_probabilities"},
    {"values": [1, 2], "probabilities": [0.5, 0.6]},
    {"values": [1, 2], "probabilities": [1.0]},
    {"values": [1, 2], "probabilities": [1.5, -0.5]},
    {"probabilities": [0.5, 0.5]},
    {"min": 1, "max": 2},
    {"min": 2, "max": 1},
    {"min": 1, "max": 1},
    {"min": 1.0, "max": 1.0},
    {"min": 0, "max": 1.0},
    {"min": 0.0, "max": 1},
    {"min": 1},
    {"max": 1},
    {"min": 1, "max": 5, "q": 2},
    {"min": True, "max": 5},
    {"min": "a", "max": 5},
    {"min": None, "max": 5},
    {"min": 0.5, "max": 5, "distribution": "int_uniform"},
    {"min": 0, "max": 5, "distribution": "uniform"},
    {"min": 0, "max": 5, "distribution": "uniform", "mu": 1},
    {"min": 1, "max": 5, "distribution": "q_uniform", "q": 0},
    {"min": 1, "max": 5, "distribution": "q_uniform", "q": -1},
    {"min": 0, "max": 5, "distribution": "log_uniform_values"},
    {"min": -1, "max": 5, "distribution": "log_uniform_values"},
    {"min": 0.1, "max": 5, "distribution": "log_uniform_values", "q": 1},
    {"min": 0.1, "distribution": "log_uniform_values"},
    {"min": -5, "max": 1, "distribution": "inv_log_uniform_values"},
    {"mu": 0, "sigma": 1},
    {"distribution": "normal", "mu": 0, "sigma": -1},
    {"distribution": "normal", "mean": 0},
    {"distribution": "lognormal"},
    {"distribution": "log_normal", "mu": 1},
    {"distribution": "beta", "a": -1},
    {"distribution": "q_beta", "q": 0.1},
    {"distribution": "gauss"},
    {"distribution": "constant"},
    {"distribution": "int_uniform"},
    {"valus": [1]},
    {},
]


def plain(value: Any) -> Any:
    """Numpy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else value


def distribution(entry: dict[str, Any]) -> dict[str, Any]:
    """The values at 199 places that avoid ties, and a sorted random sample."""
    parameter = params.HyperParameter("p", entry)
    places = [(i + 0.37) / 199 for i in range(199)]
    sample = sorted(float(plain(parameter.sample())) for _ in range(SAMPLES))
    return {
        "entry": entry,
        "places": places,
        "values": [plain(parameter.ppf(u)) for u in places],
        "sample": [float(f"{value:.6g}") for value in sample],
    }


def verdict(entry: Any) -> dict[str, Any]:
    """Whether W&B takes a parameter."""
    config = {"method": "random", "parameters": {"p": entry}}
    try:
        violations = schema.schema_violations_from_proposed_config(config)
    except Exception as error:
        violations = [str(error)]
    return {"entry": entry, "taken": not violations}


def nested(config: dict[str, Any]) -> dict[str, Any]:
    return {name: part["value"] for name, part in config.items()}


def grid(parameters: dict[str, Any]) -> dict[str, Any]:
    config = {"method": "grid", "parameters": parameters}
    runs = grid_search.grid_search_next_runs([], config, n=100_000)
    return {"parameters": parameters, "points": [nested(r.config) for r in runs if r is not None]}


def history(chance: random.Random) -> list[Any]:
    """Values with ties, some not finite, in one of three scales."""
    length = chance.choice([0, 1, 2, 3, 5, 8, 13, 30])
    kind = chance.randrange(3)
    values: list[Any] = []
    for _ in range(length):
        if chance.random() < 0.06:
            values.append(chance.choice([math.nan, math.inf, -math.inf]))
        elif kind == 0:
            values.append(chance.randrange(-3, 8))
        elif kind == 1:
            values.append(round(chance.random(), 2))
        else:
            values.append(round(chance.gauss(0, 1), 4))
    return values


def rule(chance: random.Random) -> dict[str, Any]:
    stop: dict[str, Any] = {"type": "hyperband"}
    if chance.random() < 0.5:
        stop["min_iter"] = chance.choice([1, 1, 2, 3, 5])
    else:
        stop |= {"max_iter": chance.choice([4, 9, 10, 27, 30]), "s": chance.choice([1, 2, 3, 5])}
    if chance.random() < 0.7:
        stop["eta"] = chance.choice([2, 3, 4, 1.2, 1.5, 2.5, 3.0])
    if chance.random() < 0.7:
        stop["strict"] = chance.random() < 0.5
    return stop


def decisions(seed: int) -> dict[str, Any]:
    """One sweep at one moment: its histories and states, and the runs that W&B stops."""
    chance = random.Random(seed)
    metric = {"name": "m"}
    if chance.random() < 0.8:
        metric["goal"] = chance.choice(["minimize", "maximize"])
    config = {
        "method": "random",
        "metric": metric,
        "early_terminate": rule(chance),
        "parameters": {"a": {"values": [1]}},
    }
    runs = [
        (history(chance), chance.choice(STATES)) for _ in range(chance.choice([1, 2, 5, 20, 40]))
    ]
    made = [
        sweeps.SweepRun(name=str(i), state=state, history=[{"m": value} for value in values])
        for i, (values, state) in enumerate(runs)
    ]
    stopped = hyperband.hyperband_stop_runs(made, config)
    running = [run for run in made if run.state == "running"]
    info = running[0].early_terminate_info if running else {"bands": [], "thresholds": []}
    reached = [
        (band, plain(threshold))
        for band, threshold in zip(info["bands"], info["thresholds"], strict=True)
        if math.isfinite(threshold)
    ]
    return {
        "metric": metric,
        "early_terminate": config["early_terminate"],
        "histories": [values for values, _ in runs],
        "running": [i for i, (_, state) in enumerate(runs) if state == "running"],
        "stopped": sorted(int(run.name) for run in stopped),
        "thresholds": reached,
    }


def main() -> None:
    random.seed(2026)
    vectors = {
        "distributions": [distribution(entry) for entry in DISTRIBUTIONS],
        "grids": [grid(parameters) for parameters in GRIDS],
        "verdicts": [verdict(entry) for entry in ENTRIES],
        "hyperband": [decisions(seed) for seed in range(SCENARIOS)],
    }
    text = json.dumps(vectors, separators=(",", ":"))
    packed = gzip.compress(text.encode(), mtime=0)
    (Path(__file__).parent / "vectors.json.gz").write_bytes(packed)
    told = sum(len(moment["running"]) for moment in vectors["hyperband"])
    stops = sum(len(moment["stopped"]) for moment in vectors["hyperband"])
    print(f"{told} decisions, {stops} stops, {len(packed) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
