"""The order of a comparison's trainings, and what a board shows of them; nothing is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planted_comparison import Fate, Fates, plan, plant
from rich.console import Console

from fallline.compare.comparison import comparison_of
from fallline.compare.plan import Budget, Plan
from fallline.contest.boards import BOARDS, Scene
from fallline.contest.lane import lanes_of, leaders_of
from fallline.contest.race import grid
from fallline.contest.recipe import Recipe
from fallline.contest.search import ContestSearch
from fallline.contest.tasks import TaskMaker
from fallline.contest.wording import summary
from fallline.records import Record, RunFolder
from fallline.sweep.backend import Ended, Failed, Lost
from fallline.sweep.coordinator import Began, Evaluated, Note, Over
from fallline.sweep.trial import carry_out

SGD = {"sgd": 0.70, "rmsprop": 0.68}


def search(path: Path, fates: Fates, wanted: Plan | None = None) -> ContestSearch:
    wanted = wanted or plan(("sgd", "rmsprop"), configs=3, seeds=(1, 2))
    folder = plant(path / "planted", wanted, fates)
    return ContestSearch(TaskMaker(wanted, Recipe("neutral", "digits", {}), folder))


def asked(found: ContestSearch) -> list[str]:
    keys = []
    while (task := found.ask()) is not None:
        keys.append(task.key)
    return keys


def nothing(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    return None


def tuned(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    """Tuning is done but for rmsprop's last configuration, whose second is the best."""
    if phase == "repeat" or (optimizer == "rmsprop" and trial == 2):
        return None
    level = SGD[optimizer] - 0.1 * abs(trial - 1)
    return Fate((level / 2, level))


def repeated(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    """All is done but sgd's second repeat; one of rmsprop's configurations diverged."""
    if optimizer == "rmsprop" and phase == "tune" and trial == 2:
        return Fate((), status="diverged")
    if phase == "tune":
        return tuned(workload, optimizer, phase, trial, seed)
    if trial != 1 or (optimizer == "sgd" and seed == 2):
        return None
    return Fate((0.3, SGD[optimizer] + seed / 1000), test=SGD[optimizer])


def done(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    """Every training completes."""
    return Fate((0.3, 0.7), test=0.7 if phase == "repeat" else None)


def test_optimizers_take_turns(tmp_path: Path) -> None:
    assert asked(search(tmp_path, nothing)) == [
        "tune-mlp-sgd-00-seed0",
        "tune-mlp-rmsprop-00-seed0",
        "tune-mlp-sgd-01-seed0",
        "tune-mlp-rmsprop-01-seed0",
        "tune-mlp-sgd-02-seed0",
        "tune-mlp-rmsprop-02-seed0",
    ]


def test_an_optimizer_is_repeated_once_all_its_configurations_have_ended(tmp_path: Path) -> None:
    assert asked(search(tmp_path, tuned)) == [
        "tune-mlp-rmsprop-02-seed0",
        "repeat-mlp-sgd-01-seed1",
        "repeat-mlp-sgd-01-seed2",
    ]


def test_what_has_ended_is_not_asked_for_again(tmp_path: Path) -> None:
    found = search(tmp_path, repeated)
    assert asked(found) == ["repeat-mlp-sgd-01-seed2"]
    assert found.left() == 1


def test_what_failed_gets_another_try_until_its_optimizer_was_repeated(tmp_path: Path) -> None:
    def one_failed(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if phase == "tune" and name == "rmsprop" and trial == 0:
            return Fate((), status="failed")
        return tuned(workload, name, phase, trial, seed)

    assert asked(search(tmp_path / "open", one_failed))[:2] == [
        "tune-mlp-rmsprop-00-seed0",
        "tune-mlp-rmsprop-02-seed0",
    ]

    def all_ended(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        failed = one_failed(workload, name, phase, trial, seed)
        return failed or done(workload, name, phase, trial, seed)

    assert asked(search(tmp_path / "ended", all_ended)) == []


def test_an_optimizer_of_which_every_configuration_failed_gets_another_try(tmp_path: Path) -> None:
    def none_of_one(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if name == "rmsprop":
            return Fate((), status="failed") if phase == "tune" else None
        return done(workload, name, phase, trial, seed)

    assert asked(search(tmp_path, none_of_one)) == [
        f"tune-mlp-rmsprop-{trial:02d}-seed0" for trial in range(3)
    ]


def test_a_configuration_gets_no_other_try_once_its_optimizer_has_been_repeated(
    tmp_path: Path,
) -> None:
    def later(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if phase == "tune" and trial == 0:
            return Fate((), status="failed")
        if phase == "tune":
            return tuned(workload, "sgd", phase, trial, seed)
        is_begun = name == "sgd" and trial == 1 and seed == 1
        return Fate((0.3, 0.7), test=0.7) if is_begun else None

    assert asked(search(tmp_path, later)) == [
        "tune-mlp-rmsprop-00-seed0",  # but not sgd's: seed 1 of its second has touched test
        "repeat-mlp-sgd-01-seed2",
    ]


@pytest.mark.parametrize("begun", [False, True])
def test_a_training_given_up_has_failed_and_the_command_ends(
    tmp_path: Path, *, begun: bool
) -> None:
    found, folder = search(tmp_path, repeated), tmp_path / "planted"
    task = found.ask()
    assert task is not None
    run = RunFolder(folder / task.key)
    if begun:
        run.path.mkdir()
        run.config.write_text("{}")
        run.trial.write_text(json.dumps(task.trial))
        values = {"val/accuracy": 0.5, "gradients": 8.0}
        run.metrics.write_text(Record("epoch", 4, 1, 1.5, values).as_json() + "\n")
    found.tell(task, Lost(task.key, "its node went"))
    results = comparison_of(folder)
    given_up = results.workloads[0].standings[0].repeats[1]  # sgd's
    assert (given_up.status, given_up.reason) == ("failed", "its node went")
    assert (given_up.steps, given_up.gradients) == ((4, 8) if begun else (0, 0))
    assert found.left() == 0
    assert "Not all is done, 1 repeat failed: so far" in results.answer
    assert not results.complete
    assert asked(search(tmp_path / "again", repeated)) == [task.key]


def test_a_training_whose_folder_cannot_be_read_is_tried_and_given_up(tmp_path: Path) -> None:
    wanted = plan(("sgd", "rmsprop"), configs=3, seeds=(1, 2))
    folder = plant(tmp_path / "planted", wanted, done)
    run = RunFolder(folder / "repeat-mlp-rmsprop-00-seed2")
    for file in (run.outcome, run.metrics):
        file.write_bytes(b"{[\xff")
    found = ContestSearch(TaskMaker(wanted, Recipe("neutral", "digits", {}), folder))
    task = found.ask()
    assert task is not None
    assert task.key == run.path.name
    found.tell(task, Failed(task.key, "user", "cannot read it", ""))
    outcome = run.read_outcome()
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("failed", "cannot read it")
    assert not comparison_of(folder).complete


def test_a_training_that_failed_before_it_was_a_run_begins_anew(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    wanted = plan(("sgd", "adam"), configs=3, seeds=(1, 2))
    folder = plant(tmp_path / "planted", wanted, nothing)
    tasks = TaskMaker(wanted, Recipe("neutral", "synthetic", tiny), folder)
    first = ContestSearch(tasks)
    task = first.ask()
    assert task is not None
    first.tell(task, Failed(task.key, "memory", "no room for the model", ""))
    assert first.training(first.slate(task)).status == "failed"
    again = ContestSearch(tasks).ask()
    assert again == task
    ended = carry_out(again, lambda record: None)
    assert isinstance(ended, Ended), ended
    assert ended.outcome.status == "completed"


def test_a_ranking_on_the_images_that_chose_says_so(tmp_path: Path) -> None:
    def untested(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        fate = repeated(workload, name, phase, trial, seed)
        return fate and replace(fate, test=None)

    folder = plant(tmp_path / "planted", plan(("sgd", "rmsprop"), configs=3), untested)
    assert "very val images" in comparison_of(folder).warnings[0]
    assert not comparison_of(plant(tmp_path / "tested", plan(configs=3), done)).warnings


def test_a_budget_in_seconds_is_paced_before_each_training(tmp_path: Path) -> None:
    wanted = replace(
        plan(("sgd", "rmsprop"), configs=3, seeds=(1, 2)), budget=Budget(5, "seconds")
    )
    keys = asked(search(tmp_path, nothing, wanted))
    assert keys[:2] == ["calibrate-mlp-sgd-00-seed0", "calibrate-mlp-rmsprop-00-seed0"]
    assert not any(key.startswith("tune") for key in keys)  # until a pace is known


def test_without_a_pace_a_configuration_fails_and_both_get_another_try(tmp_path: Path) -> None:
    wanted = replace(
        plan(("sgd", "rmsprop"), configs=3, seeds=(1, 2)), budget=Budget(5, "seconds")
    )
    found, folder = search(tmp_path, nothing, wanted), tmp_path / "planted"
    pacer = found.ask()
    assert pacer is not None
    found.tell(pacer, Failed(pacer.key, "user", "the disk is full", ""))
    first = found.training(found.tuning(found.pairs[0])[0])
    assert (first.status, first.reason) == ("failed", "the disk is full")
    assert not any("sgd-00" in key for key in asked(found))
    again = ContestSearch(TaskMaker(wanted, Recipe("neutral", "digits", {}), folder))
    assert asked(again)[0] == pacer.key


def test_a_repeat_that_failed_gets_another_try_also_where_it_was_the_last(tmp_path: Path) -> None:
    def all_ended(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        fate = done(workload, name, phase, trial, seed)
        is_last = name == "rmsprop" and phase == "repeat" and seed == 2
        return fate and replace(fate, status="failed") if is_last else fate

    assert asked(search(tmp_path, all_ended)) == ["repeat-mlp-rmsprop-00-seed2"]


def test_lanes_say_where_each_optimizer_is(tmp_path: Path) -> None:
    found = search(tmp_path, repeated)
    task = found.ask()
    assert task is not None
    for accuracy in (0.2, 0.9):
        found.keep(task, Record("epoch", 1, 1, 1.0, {"val/accuracy": accuracy}))
    sgd, rmsprop = lanes_of(found)
    assert (sgd.phase, sgd.ended, sgd.planned, sgd.lost) == ("repeating", 4, 5, 0)
    assert (rmsprop.phase, rmsprop.ended, rmsprop.planned, rmsprop.lost) == ("done", 5, 5, 1)
    assert sgd.curve == (0.2, 0.9)  # the best so far, though under way
    assert rmsprop.value is not None
    assert rmsprop.value.n == 2
    assert rmsprop.value.low is not None
    assert leaders_of([sgd, rmsprop]) == {"mlp": sgd}


def test_the_race_shows_a_lane_for_each_optimizer(tmp_path: Path) -> None:
    console = Console(width=120, record=True, force_terminal=False)
    console.print(grid(lanes_of(search(tmp_path, repeated))))
    _, sgd, rmsprop = console.export_text().splitlines()
    assert "▁█" in sgd
    assert "70.10% (n = 1)" in sgd
    assert "4/5" in sgd
    assert "1 lost" in rmsprop
    assert "±" in rmsprop


def test_a_summary_says_what_is_left_to_do(tmp_path: Path) -> None:
    found = search(tmp_path, repeated)
    folder = tmp_path / "planted"
    text = "\n".join(summary(comparison_of(folder), folder))
    assert "not all is done" in text
    assert "rmsprop: 1 of 3 configurations diverged" in text
    assert found.left() == 1


def test_a_name_that_is_not_plain_does_no_harm(tmp_path: Path) -> None:
    wanted = replace(plan(("sgd",), configs=3, seeds=(1, 2)), data="\x1b[2Jevil")
    folder = plant(tmp_path / "planted", wanted, nothing)
    assert "\x1b" not in "".join(summary(comparison_of(folder), folder))


@pytest.mark.parametrize("name", BOARDS.names)
def test_every_board_shows_a_comparison_to_its_end(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, folder = search(tmp_path, repeated), tmp_path / "planted"
    task = found.ask()
    assert task is not None
    board = BOARDS[name].build(Scene(found, folder, slots=2))
    record = Record("epoch", 1, 1, 1.0, {"val/accuracy": 0.5})
    board(Began(task))
    found.keep(task, record)
    board(Evaluated(task, record))
    board(Note("a note"))
    found.tell(task, Lost(task.key, "its node went"))
    board(Over(task, Lost(task.key, "its node went")))
    results = comparison_of(folder)
    board.finish(results, folder / "report.html")
    board.close()
    printed = capsys.readouterr()
    assert "its node went" in (folder / task.key / "outcome.json").read_text()
    assert json.dumps(results.answer)[1:-1] in printed.out or results.answer in printed.out
    assert "a note" in printed.out + printed.err
    if name == "json":
        events = [json.loads(line)["event"] for line in printed.out.splitlines()]
        assert events == ["evaluated", "ended", "result"]
