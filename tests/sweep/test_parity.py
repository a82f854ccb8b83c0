"""Against W&B's own implementation: see reference/make.py for where its answers come from."""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fallline.sweep.file import SweepFile, read
from fallline.sweep.findings import Findings
from fallline.sweep.hyperband import Race, Stop
from fallline.sweep.parameter import parse
from fallline.sweep.points import draw
from fallline.sweep.schema import EarlyTerminate, Metric

VECTORS = Path(__file__).parent / "reference" / "vectors.json.gz"


@cache
def vectors() -> dict[str, list[dict[str, Any]]]:
    loaded: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress(VECTORS.read_bytes()))
    return loaded


def raced(moment: dict[str, Any]) -> Race:
    """All histories of a moment, taken value by value in turns, as they come in a sweep."""
    race = Race(
        EarlyTerminate.model_validate(moment["early_terminate"]).rule(),
        Metric.model_validate(moment["metric"]).goal,
    )
    for turn in range(max(map(len, moment["histories"]), default=0)):
        for run, history in enumerate(moment["histories"]):
            if turn < len(history):
                race.add(run, history[turn])
    return race


def test_no_decision_of_early_stopping_differs_from_wandbs_in_more_than_ten_thousand() -> None:
    decisions = 0
    for moment in vectors()["hyperband"]:
        race = raced(moment)
        stops = {run: race.judge(run) for run in moment["running"]}
        decisions += len(stops)
        assert sorted(run for run, stop in stops.items() if stop) == moment["stopped"]
    assert decisions > 10_000


def test_the_reference_tells_strict_from_lenient_and_one_goal_from_the_other() -> None:
    """A planted fault in either is found: else the agreement above would say nothing."""
    for planted in (_strictness_turned, _goal_turned):
        differ = 0
        for moment in vectors()["hyperband"]:
            race = raced(planted(moment))
            differ += [r for r in moment["running"] if race.judge(r)] != moment["stopped"]
        assert differ > 100


def _strictness_turned(moment: dict[str, Any]) -> dict[str, Any]:
    rule = moment["early_terminate"]
    return {**moment, "early_terminate": {**rule, "strict": not rule.get("strict", True)}}


def _goal_turned(moment: dict[str, Any]) -> dict[str, Any]:
    goal = "minimize" if moment["metric"].get("goal") == "maximize" else "maximize"
    return {**moment, "metric": {"name": "m", "goal": goal}}


def test_a_stop_names_the_band_and_the_threshold_that_wandb_names() -> None:
    seen = 0
    for moment in vectors()["hyperband"]:
        race, sign = raced(moment), -1 if moment["metric"].get("goal") == "maximize" else 1
        thresholds = dict(moment["thresholds"])
        for run in moment["stopped"]:
            stop = race.judge(run)
            assert isinstance(stop, Stop)
            assert stop.threshold == sign * thresholds[stop.band]
            assert sign * stop.value > sign * stop.threshold
            seen += 1
    assert seen > 3000


@pytest.mark.parametrize("case", range(8))
def test_a_grid_is_wandbs_point_by_point(case: int) -> None:
    reference = vectors()["grids"][case]
    sweep = grid_of(reference["parameters"])
    points = [sweep.nested(sweep.point(number)) for number in range(len(sweep.grid))]
    assert points == reference["points"]


def grid_of(parameters: dict[str, Any]) -> SweepFile:
    """As of a script's own parameters, whatever their names."""
    return read({"method": "grid", "program": "train.py", "parameters": parameters})


def test_there_is_a_test_for_each_grid_and_distribution_of_the_reference() -> None:
    assert (len(vectors()["grids"]), len(vectors()["distributions"])) == (8, 32)


@pytest.mark.parametrize("case", range(32))
def test_a_distribution_has_wandbs_value_at_each_place(case: int) -> None:
    reference = vectors()["distributions"][case]
    found = Findings()
    parameter = parse("p", reference["entry"], found)
    assert parameter, found.faults
    ours = [parameter.dimension.at(u) for u in reference["places"]]
    assert ours == pytest.approx(reference["values"], rel=1e-9, abs=1e-15)
    whole = [isinstance(value, int) for value in reference["values"]]
    assert [isinstance(value, int) for value in ours] == whole


@pytest.mark.parametrize("case", range(32))
def test_draws_are_distributed_as_wandbs(case: int) -> None:
    """The two-sample Kolmogorov-Smirnov test at a level of 0.1 %."""
    reference = vectors()["distributions"][case]
    parameter = parse("p", reference["entry"], Findings())
    assert parameter
    drawn = [draw({"p": parameter.dimension}, 0, number)["p"] for number in range(4000)]
    ours = np.sort([float(f"{value:.6g}") for value in drawn])
    theirs = np.array(reference["sample"])
    places = np.union1d(ours, theirs)
    gap = np.abs(
        np.searchsorted(ours, places, side="right") / len(ours)
        - np.searchsorted(theirs, places, side="right") / len(theirs)
    ).max()
    assert gap < 1.95 * math.sqrt(1 / len(ours) + 1 / len(theirs))


def test_a_parameter_is_taken_where_wandb_takes_it_and_refused_where_it_does_not() -> None:
    differ = []
    for verdict in vectors()["verdicts"]:
        found = Findings()
        taken = parse("p", verdict["entry"], found) is not None
        assert taken == (not found.faults)
        differ += [verdict["entry"]] if taken != verdict["taken"] else []
    assert differ == []
