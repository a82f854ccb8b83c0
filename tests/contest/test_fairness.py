"""Each rule of a fair comparison, seen in what a real one leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fallline import compare
from fallline.compare.comparison import Comparison, comparison_of
from fallline.records import RunFolder

Whole = tuple[Path, Comparison]


def runs(whole: Whole, phase: str) -> list[RunFolder]:
    found = [RunFolder(path) for path in sorted(whole[0].glob(f"{phase}-*"))]
    assert found
    return found


def batches(run: RunFolder) -> list[dict[str, Any]]:
    return [record for record in run.read_metrics() if "train/batch_loss" in record]


def test_the_results_and_the_page_lie_in_its_folder(whole: Whole) -> None:
    folder, found = whole
    assert Comparison.from_json((folder / "comparison.json").read_bytes()) == found
    assert found.workloads[0].standings[0].optimizer in (folder / "report.html").read_text()


def test_every_optimizer_gets_the_same_number_of_configurations(whole: Whole) -> None:
    tried = [run.read_trial()["optimizer"] for run in runs(whole, "tune")]
    assert {name: tried.count(name) for name in tried} == {"sgd": 3, "adam": 3, "sam": 3}
    assert whole[1].complete


def test_configurations_lie_at_the_same_points_of_each_space(whole: Whole) -> None:
    plan = whole[1].plan
    points = {
        contestant.optimizer: [
            round(axis.position(values[axis.key]), 2)
            for values in contestant.configurations
            for axis in contestant.space
            if axis.key in ("optim.lr", "optim.weight_decay")
        ]
        for contestant in plan.contestants
    }
    assert points["sgd"] == points["adam"] == points["sam"]


def test_tuning_never_touches_test_and_each_repeat_does_once(whole: Whole) -> None:
    for run in runs(whole, "tune"):
        outcome = run.read_outcome()
        assert outcome is not None
        assert outcome.test_accuracy is None
        assert outcome.val_accuracy is not None
    for run in runs(whole, "repeat"):
        assert sum("test/accuracy" in record for record in run.read_metrics()) == 1


def test_the_best_on_val_is_repeated_on_seeds_that_tuning_did_not_use(whole: Whole) -> None:
    tuned = {run.read_config()["seed"] for run in runs(whole, "tune")}
    repeated = {run.read_config()["seed"] for run in runs(whole, "repeat")}
    assert tuned == {0}
    assert repeated == {1, 2, 3}
    for standing in whole[1].workloads[0].standings:
        vals = [training.val for training in standing.trials]
        assert standing.chosen is not None
        assert vals[standing.chosen] == max(v for v in vals if v is not None)
        chosen = standing.trials[standing.chosen].parameters
        assert all(repeat.parameters == chosen for repeat in standing.repeats)


def test_one_seed_is_one_initialization_and_one_data_order_for_all(whole: Whole) -> None:
    first: dict[int, set[float]] = {}
    for run in runs(whole, "repeat"):
        first.setdefault(run.read_config()["seed"], set()).add(batches(run)[0]["train/batch_loss"])
    assert all(len(losses) == 1 for losses in first.values())
    assert len(set.union(*first.values())) == 3


def test_schedules_come_to_their_end_within_the_budget(whole: Whole) -> None:
    for run in runs(whole, "tune"):
        rates = [record["lr"] for record in batches(run)]
        assert max(rates) == pytest.approx(run.read_config()["optim"]["lr"])
        assert rates[-1] < 0.1 * max(rates)


def test_what_is_not_searched_is_the_same_for_all(whole: Whole) -> None:
    parts = [
        {k: v for k, v in run.read_config().items() if k not in ("optim", "seed")}
        for run in runs(whole, "repeat")
    ]
    assert all(part == parts[0] for part in parts)


def test_sam_is_charged_two_gradients_a_step(whole: Whole) -> None:
    for standing in whole[1].workloads[0].standings:
        assert standing.cost is not None
        each = 2 if standing.optimizer == "sam" else 1
        assert standing.cost.gradients.mean == each * standing.cost.steps.mean


def test_a_run_folder_says_what_it_is_in_the_comparison(whole: Whole) -> None:
    told = RunFolder(whole[0] / "repeat-mlp-sgd-00-seed1").path.parent
    told = next(told.glob("repeat-mlp-sgd-*-seed1"))
    trial = RunFolder(told).read_trial()
    assert {k: trial[k] for k in ("comparison", "phase", "workload", "optimizer", "seed")} == {
        "comparison": "whole",
        "phase": "repeat",
        "workload": "mlp",
        "optimizer": "sgd",
        "seed": 1,
    }
    assert set(trial["parameters"]) == {"optim.lr", "optim.weight_decay", "optim.momentum"}


def test_the_results_are_a_function_of_the_folder(whole: Whole) -> None:
    kept = (whole[0] / "comparison.json").read_text()
    assert comparison_of(whole[0]).to_json() == kept
    assert Comparison.from_json(kept) == whole[1]
    assert compare.read(whole[0]) == whole[1]
    assert json.loads(kept)["plan"]["base"] == "neutral"
