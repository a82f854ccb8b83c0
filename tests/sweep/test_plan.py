"""The plan of a sweep, and the examples that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sweep_samples import changed

from fallline.optim.schema import search_space
from fallline.space import Choice, Constant, LogUniform
from fallline.sweep.distribution import DISTRIBUTIONS
from fallline.sweep.file import read
from fallline.sweep.plan import plan
from fallline.sweep.pruner import PRUNERS
from fallline.sweep.schema import Budget, Extension
from fallline.sweep.script import MACROS
from fallline.sweep.wording import described

EXAMPLES = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
HYPERBAND = {"type": "hyperband", "min_iter": 2}


def test_a_plan_tells_points_trainings_runs_and_bands() -> None:
    told = plan(
        read(
            {
                "method": "grid",
                "metric": {"name": "val/accuracy", "goal": "maximize", "target": 0.9},
                "parameters": {
                    "optimizer": {"values": ["sgd", "adam"]},
                    "momentum": {"values": [0.8, 0.9]},
                    "epochs": {"values": [2, 20, 5]},
                },
                "early_terminate": HYPERBAND,
                "fallline": {"seeds": 3, "budget": {"time": "90m", "epochs": 99}},
            }
        )
    )
    assert (told.points, told.trainings) == (12, 9)
    assert told.bands == (2, 6, 18)
    assert told.objective == "maximize val/accuracy, until 0.9 is reached"
    assert told.limits == (
        "12 configurations",
        "1 h 30 min of wall time",
        "99 epochs over all runs",
        "a run whose val/accuracy reaches 0.9",
    )
    assert list(told.parameters) == ["epochs", "momentum", "optimizer"]
    assert told.configurations[1].values == {"epochs": 2, "momentum": 0.8, "optimizer": "adam"}
    assert told.configurations[1].idle == ("momentum",)


@pytest.mark.parametrize(
    "epochs",
    [{"values": [1, None]}, {"distribution": "log_normal", "mu": 0, "sigma": 90}],
    ids=["none", "infinite"],
)
def test_epochs_without_a_largest_number_have_a_plan(epochs: dict[str, Any]) -> None:
    stop = {"type": "hyperband", "min_iter": 5}
    parameters = {"epochs": epochs}
    metric = {"name": "val/loss"}
    sweep = changed(method="bayes", metric=metric, parameters=parameters, early_terminate=stop)
    assert plan(sweep).bands[0] == 5


def test_a_rule_that_stops_nobody_is_said() -> None:
    told = plan(
        read(
            {
                "method": "random",
                "metric": {"name": "val/loss"},
                "parameters": {"epochs": {"value": 3}, "lr": {"min": 0.1, "max": 0.2}},
                "early_terminate": {"type": "hyperband", "min_iter": 5},
            }
        )
    )
    assert told.bands == ()
    assert "stops nobody" in told.notes[-1]


def test_the_header_names_the_bands_that_runs_reach() -> None:
    def stops(least: int) -> str:
        stated = {"parameters": {"epochs": {"value": 3}, "lr": {"value": 0.1}}, "method": "random"}
        metric, rule = {"name": "val/loss"}, {"type": "hyperband", "min_iter": least, "eta": 2}
        file = read({**stated, "metric": metric, "early_terminate": rule})
        return next(line for line in described(file) if line.startswith("stops"))

    assert "at bands 1, 2, one in 2 passes" in stops(1)
    assert "whose first band no run reaches" in stops(4)


def test_a_script_has_a_plan_too() -> None:
    told = plan(read({"method": "grid", "program": "x.py", "parameters": {"a": {"values": [1]}}}))
    assert (told.points, told.trainings, told.objective[:4]) == (1, 1, "none")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_teaches_in_its_head_and_is_read_without_a_remark(path: Path) -> None:
    text = path.read_text()
    assert len(text.split("\n\n")[0]) > 200
    sweep = read(path)
    notes = [note for note in sweep.notes if "does nothing" not in note]
    assert not notes
    assert sweep.name == path.stem
    assert sweep.cap, "it ends"
    assert plan(sweep).configurations


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_examples_ranges_are_those_of_the_optimizers_own_space(path: Path) -> None:
    sweep = read(path)
    optimizers = sweep.space.get("optim.name", Constant("sgd"))
    names = optimizers.values if isinstance(optimizers, Choice) else (optimizers.at(0),)
    for key, ours in sweep.space.items():
        if not isinstance(ours, LogUniform) or path.stem == "hyperband":  # a wide one, on purpose
            continue
        owns = [search_space(name).get(key.removeprefix("optim.")) for name in names]
        for own in owns:
            if isinstance(own, LogUniform):
                assert own.low <= ours.low < ours.high <= own.high * 1.0001, (key, own)


def test_the_examples_show_every_method_and_every_family() -> None:
    sweeps = {path.stem: read(path) for path in EXAMPLES}
    assert {sweep.method for sweep in sweeps.values()} == {"grid", "random", "bayes"}
    for family in ("sgd", "adam", "adaptive", "muon", "sam", "hyperband", "seeds", "homework"):
        assert family in sweeps
    assert len(sweeps["homework"].grid) == 24
    assert isinstance(sweeps["muon"].space["optim.name"], Constant)


def test_every_file_in_the_documentation_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    files = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    assert len(files) == 4
    for text in files:
        assert read(YAML(typ="safe", pure=True).load(text)).searched


def test_the_documentation_names_every_distribution_key_and_pruner() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    known = (*DISTRIBUTIONS.names, *PRUNERS.names, *Extension.model_fields, *Budget.model_fields)
    assert not [name for name in (*known, *MACROS) if name not in page]
