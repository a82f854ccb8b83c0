"""A plan is checked whole before any work, and what it declares is what is tried."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fallline.compare.plan import Budget, Plan
from fallline.config import RunConfig
from fallline.contest import budget
from fallline.contest.design import Wish, plan_of
from fallline.contest.dry_run import rehearse, seconds_of
from fallline.contest.ledger import extended, opened
from fallline.contest.pace import Pace, pace_of
from fallline.contest.recipe import Recipe
from fallline.contest.space import cube
from fallline.contest.tasks import Slate, TaskMaker
from fallline.errors import ConfigError, RunError
from fallline.optim.table import OPTIMIZERS
from fallline.records import Outcome, Record, RunFolder
from fallline.sweep.local import Local
from fallline.sweep.probe import Probe

WISH = Wish(("sgd", "adamw", "sam"), data="synthetic", configs=4, seeds=3)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(WISH, "fallline compare")


def faults(wish: Wish) -> str:
    with pytest.raises(ConfigError) as raised:
        plan_of(wish, "")
    return str(raised.value)


def test_fewer_than_three_configurations_are_refused_with_the_reason() -> None:
    assert "too few configurations" in faults(replace(WISH, configs=2))


def test_every_fault_is_found_at_once() -> None:
    told = faults(Wish(("sgd", "adamm"), base="neutrall", configs=1, seeds=1, budget="2 parsecs"))
    for word in ("adam", "neutral?", "too few configurations", "too few seeds", "2 parsecs"):
        assert word in told


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"epochs": 3}, "--budget"),
        ({"seed": 3}, "--seed"),
        ({"data.validate_on": "test"}, "touches test once"),
        ({"optimizer": "adam"}, "--optimizers"),
        ({"model": "mlp"}, "--model"),
        ({"train": {"max_steps": 5}}, "--budget"),
        ({"optim.momentun": 0.9}, "did you mean optim.momentum"),
        ({"batch_sise": 9}, "did you mean batch_size"),
    ],
)
def test_a_setting_that_is_not_the_users_is_refused(settings: dict[str, Any], word: str) -> None:
    assert word in faults(replace(WISH, settings=settings))


def test_what_the_user_sets_for_all_is_not_searched() -> None:
    found = plan_of(replace(WISH, settings={"momentum": 0.8}), "")
    keys = {c.optimizer: {axis.key for axis in c.space} for c in found.contestants}
    assert "optim.momentum" not in keys["sgd"] | keys["sam"]
    assert found.contestants[0].defaults["optim.momentum"] == 0.8
    assert "optim.momentum" not in found.contestants[1].defaults  # adamw takes none


def test_sam_searches_the_space_of_what_it_wraps(plan: Plan) -> None:
    sgd, _, sam = (tuple(axis.key for axis in c.space) for c in plan.contestants)
    assert sam == (*sgd, "optim.rho")
    assert sam[0] == "optim.lr"


@pytest.mark.parametrize("count", [3, 5, 12])
def test_each_part_of_every_axis_gets_one_point(count: int) -> None:
    points = cube(count, seed=7)
    for column in (points * count).astype(int).T:
        assert sorted(column) == list(range(count))
    assert (points == cube(count, seed=7)).all()
    assert (points != cube(count, seed=8)).any()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2ep", Budget(2, "epochs")),
        ("1.5 epochs", Budget(1.5, "epochs")),
        ("500steps", Budget(500, "steps")),
        ("1000grads", Budget(1000, "gradients")),
        ("30s", Budget(30, "seconds")),
        ("0.5min", Budget(30, "seconds")),
    ],
)
def test_a_budget_is_read(text: str, wanted: Budget) -> None:
    assert budget.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "2", "0ep", "ep", "-1ep", "2 parsecs", "1.5steps"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        budget.parse(text)


def test_a_budget_in_gradients_gives_sam_half_the_steps(plan: Plan, tmp_path: Path) -> None:
    counted = replace(plan, budget=Budget(100, "gradients"))
    make = TaskMaker(counted, Recipe("neutral", "synthetic", {}), tmp_path)
    steps = {
        c.optimizer: make(Slate("tune", "mlp", c, 0, 0)).config["train"]["max_steps"]
        for c in counted.contestants
    }
    assert steps == {"sgd": 100, "adamw": 100, "sam": 50}


def test_a_budget_in_seconds_is_as_many_steps_as_were_seen_to_fit(tmp_path: Path) -> None:
    """Ten warm steps in 5 s of start-up and all, then 0.1 s a step."""
    folder = RunFolder(tmp_path)
    marks = [(11, 5.1), (16, 5.6), (21, 6.1), (36, 7.6)]
    lines = [Record("batch", s, 1, t, {"train/batch_loss": 1.0}).as_json() for s, t in marks]
    folder.metrics.write_text("\n".join(lines) + "\n")
    folder.write_outcome(Outcome("completed", "", 1, 40, 8.0, 9.0, 40))
    seen = pace_of(folder)
    assert seen is not None
    assert seen.step_seconds == pytest.approx(0.1)
    assert seen.startup_seconds == pytest.approx(4.0)
    assert seen.steps_in(30) == 260
    length = budget.length(Budget(30, "seconds"), 1.0, seen)
    assert length["train.max_steps"] == 260
    assert Pace(4.0, 0.1).steps_in(1.0) == 1


def test_a_pace_is_measured_at_the_settings_it_is_for(plan: Plan, tmp_path: Path) -> None:
    make = TaskMaker(plan, Recipe("neutral", "synthetic", {}), tmp_path)
    config = make(Slate("calibrate", "mlp", plan.contestants[0], 1, 0)).config
    values = plan.contestants[0].configurations[1]
    assert config["optim"]["lr"] == values["optim.lr"]
    assert (config["train"]["max_steps"], config["data"]["test_at_end"]) == (40, False)
    assert config["schedule"]["warmup"] == 1.0


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_of_the_table_has_configurations_that_can_be_trained(
    name: str, tmp_path: Path
) -> None:
    other = "sgd" if name != "sgd" else "adam"
    found = plan_of(replace(WISH, optimizers=(name, other)), "")
    make = TaskMaker(found, Recipe("neutral", "synthetic", {}), tmp_path)
    contestant = found.contestants[0]
    assert contestant.space[0].key == "optim.lr"
    for trial, values in enumerate(contestant.configurations):
        config = make(Slate("tune", "mlp", contestant, trial, 0)).config
        assert config["optim"]["lr"] == values["optim.lr"]
        assert config["optim"]["lr_scale"] == RunConfig().optim.lr_scale.model_dump()


def test_a_plan_is_gone_on_with_by_the_same_plan_only(plan: Plan, tmp_path: Path) -> None:
    with opened(tmp_path, plan) as first:
        assert first == plan
    with opened(tmp_path, replace(plan, command="again")) as second:
        assert second.contestants == plan.contestants
    with (
        pytest.raises(RunError, match="begun with something else"),
        opened(tmp_path, replace(plan, budget=Budget(9, "epochs"))),
    ):
        pass


def test_a_plan_is_what_its_file_says(plan: Plan) -> None:
    found = plan_of(replace(WISH, settings={"model.widths": (8, 8, 8)}), "")
    assert Plan.from_json(found.to_json()) == found
    assert extended(found, found) == found


def test_a_base_that_has_changed_is_another_comparison(plan: Plan) -> None:
    assert plan.base_settings["model.whitening"] is False
    changed = replace(plan, base_settings={**plan.base_settings, "model.whitening": True})
    with pytest.raises(RunError, match="begun with something else"):
        extended(plan, changed)


def test_seeds_and_optimizers_may_be_added_and_a_look_is_remembered(plan: Plan) -> None:
    more = plan_of(replace(WISH, seeds=5, optimizers=(*WISH.optimizers, "muon")), "")
    found = extended(plan, more)
    assert (found.looks, found.joined) == ((3,), ("muon",))
    again = extended(found, more)
    assert (again.looks, again.joined) == ((3,), ("muon",))
    unseen = extended(plan, more, seen=False)
    assert (unseen.looks, unseen.joined) == ((), ())
    assert found.contestants[:3] == plan.contestants
    with pytest.raises(RunError):
        extended(more, plan)


def test_what_a_kill_left_half_written_is_no_obstacle(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / ".plan.json.x1").write_text("{")
    with opened(tmp_path, plan) as first:
        assert first == plan


def test_two_processes_do_not_work_on_one_comparison(plan: Plan, tmp_path: Path) -> None:
    with (
        opened(tmp_path, plan),
        pytest.raises(RunError, match="under way in another process"),
        opened(tmp_path, plan),
    ):
        pass


def test_a_folder_of_something_else_is_left_alone(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="something else"), opened(tmp_path, plan):
        pass


def test_a_dry_run_tells_every_configuration_and_the_time_and_keeps_nothing(
    tiny: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wish = replace(WISH, workloads=("mlp",), settings=tiny)
    rehearse(wish, out=tmp_path, name=None, on=Local(1), show="json")
    told = json.loads(capsys.readouterr().out)
    assert [len(each["configurations"]) for each in told["contestants"]] == [4, 4, 4]
    assert told["estimate"]["slots"] == 1
    assert told["estimate"]["seconds"] > 0
    rehearse(wish, out=tmp_path, name=None, on=Local(1), show="lines")
    printed = capsys.readouterr().out
    assert "1 at a time" in printed
    assert "for 21 trainings" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("amount", "seconds"),
    [
        (Budget(2, "epochs"), 200 * 0.2 + 2 * 3),
        (Budget(50, "steps"), 50 * 0.2 + 3),
        (Budget(50, "gradients"), 25 * 0.2 + 3),
        (Budget(40, "seconds"), 240 * 0.2 + 2.4 * 3),  # and the steps that measure the pace
    ],
    ids=str,
)
def test_the_time_of_a_training_is_that_of_its_gradients_and_its_evaluations(
    plan: Plan, amount: Budget, seconds: float
) -> None:
    sgd, _, sam = plan.contestants
    outcome = Outcome("completed", "", 0.4, 40, 4.0, 7.0, 4000)
    probed = Probe(outcome, {}, 1)
    assert seconds_of(probed, amount, sgd, sam) == pytest.approx(seconds)
    compiled = replace(outcome, wall_seconds=37.0, cold_start_seconds=30.0)  # once a training
    assert seconds_of(Probe(compiled, {}, 1), amount, sgd, sam) == pytest.approx(30 + seconds)
