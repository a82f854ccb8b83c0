"""A sweep from one call: its folder, what is refused, what its budgets end."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML
from scripted import End, Plot, Scripted, ended, failed, lost
from typer.testing import CliRunner

from fallline import sweep
from fallline.cli.app import app
from fallline.errors import ConfigError, RunError, StorageError
from fallline.lock import LOCK
from fallline.machine import usable_cores
from fallline.records import Record
from fallline.sweep import slots
from fallline.sweep.backend import Event, Reported, Share, Task
from fallline.sweep.dry_run import estimate, rehearse
from fallline.sweep.extension import FOR_TRIALS
from fallline.sweep.file import read
from fallline.sweep.folder import taken_back
from fallline.sweep.local import Local
from fallline.sweep.ray_place import RayCluster
from fallline.sweep.session import share_of
from fallline.sweep.slots import Slot, plan
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.trial import carry_out
from fallline.training.layers import Layer

EXAMPLES = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


@dataclass
class Stage:
    """A place where plots are played instead of trainings run."""

    slots: int = 2
    epochs: float = 2.0
    backends: list[Scripted] = field(default_factory=list)
    takes_programs = True

    def open(self, folder: Path, share: Share) -> Scripted:
        plot = lambda number, seed: Plot([0.1, 0.5 + number / 100], ended(epochs=self.epochs))  # noqa: E731
        self.backends.append(Scripted(plot, self.slots))
        return self.backends[-1]


@dataclass
class Here:
    """This process as a place: one training at a time, really trained."""

    slots: int = 1
    _waiting: list[Task] = field(default_factory=list)
    takes_programs = True

    def open(self, folder: Path, share: Share) -> Here:
        return self

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def poll(self, timeout: float) -> list[Event]:
        if not self._waiting:
            return []
        task, records = self._waiting.pop(), list[Record]()
        done = carry_out(replace(task, obeys=False), records.append)
        return [*(Reported(task.key, record) for record in records), done]

    def answer(self, key: str, prune: str | None) -> None:
        """It has ended already."""

    def close(self, *, save: bool) -> None:
        """Nothing is under way."""


def run(source: Any, out: Path, **more: Any) -> sweep.Result:
    return sweep.run(source, out=out, **{"on": Stage(), "show": "quiet", **more})


def test_a_sweep_leaves_a_folder_that_says_what_it_is(
    small: dict[str, Any], tmp_path: Path
) -> None:
    result = run({**small, "name": "first try/2"}, tmp_path)
    assert result.path == tmp_path / "first-try-2"
    assert result.kind == "finished"
    assert result.best is not None
    assert (result.best.number, result.best.values) == (3, {0: 0.53})
    assert result.best.path == result.path / "trial-0003-seed0"
    about = json.loads((result.path / "sweep.json").read_text())
    assert about["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert about["space"]["learning_rate"] == "0.003 to 0.3, by logarithm"
    assert "run_cap: 4" in about["file"]


def test_a_finished_sweep_is_told_again_and_trains_nothing(
    small: dict[str, Any], tmp_path: Path
) -> None:
    first = run(small, tmp_path)
    again = run(small, tmp_path, on=(stage := Stage()))
    assert not stage.backends[0].submitted
    assert [t.values for t in again.trials] == [t.values for t in first.trials]


def test_a_changed_file_is_refused_unless_told_to_begin_anew(
    small: dict[str, Any], tmp_path: Path
) -> None:
    run(small, tmp_path)
    with pytest.raises(RunError, match="begun with something else"):
        run(small, tmp_path, settings={"weight_decay": 0.1})
    with pytest.raises(RunError, match="begun with something else"):
        run(small, tmp_path, data="digits")
    with pytest.raises(RunError, match="begun with something else"):
        run(small, tmp_path, seed=1)
    other = run(small, tmp_path, data="digits", new=True)
    assert other.path.name == "sweep-2"


def test_a_sweep_begun_anew_goes_on_by_the_same_command_without_new(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(small, tmp_path)
    changed = {**small, "fallline": {"data": "synthetic", "seed": 7, "budget": {"epochs": 4}}}
    first = run(changed, tmp_path, new=True, show="lines")
    assert (first.kind, first.path.name) == ("budget", "sweep-2")
    assert "the same command without --new goes on from here" in capsys.readouterr().out
    assert run(changed, tmp_path).path == first.path
    assert run(small, tmp_path).path.name == "sweep"


def test_a_folders_runs_are_never_credited_to_a_study_elsewhere(
    small: dict[str, Any], tmp_path: Path
) -> None:
    run(small, tmp_path, storage=f"journal:{tmp_path}/study.log")
    changed = {**small, "parameters": {**small["parameters"], "epochs": {"value": 1}}}
    with pytest.raises(RunError, match="begun with another storage") as caught:
        run(changed, tmp_path)
    assert f"journal:{tmp_path}/study.log" in str(caught.value)
    (tmp_path / "study.log").unlink()
    with pytest.raises(RunError, match="begun with another fingerprint"):
        run(changed, tmp_path, storage=f"journal:{tmp_path}/study.log")


def test_two_sweeps_of_one_name_in_one_storage_do_not_mix(
    small: dict[str, Any], tmp_path: Path
) -> None:
    shared = f"journal:{tmp_path}/study.log"
    first = run(small, tmp_path / "one", storage=shared)
    with pytest.raises(RunError, match="another sweep by the name of sweep is in that storage"):
        run(small, tmp_path / "two", storage=shared)
    assert not (tmp_path / "two" / "sweep").exists()
    assert run(small, tmp_path / "one", storage=shared).path == first.path


@pytest.mark.parametrize("held", [False, True])
def test_a_folder_that_another_process_has_made_meanwhile_is_not_removed(
    tmp_path: Path, *, held: bool
) -> None:
    folder = tmp_path / "sweep"
    other = FileLock(folder / LOCK)

    def begin() -> None:
        with taken_back(folder):
            folder.mkdir()
            if held:
                other.acquire()
            raise RunError("it is under way in another process")

    with pytest.raises(RunError, match="under way"):
        begin()
    assert folder.exists() == held
    other.release()


def test_a_folder_of_something_else_is_left_alone(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="holds something else"):
        run(small, tmp_path)


@pytest.mark.parametrize(
    "left",
    ["study.db", "study.db-journal", "study.db-wal", "wandb.json", ".sweep.json.x1", ".lock"],
)
def test_what_a_kill_at_the_very_beginning_leaves_is_no_obstacle(
    small: dict[str, Any], tmp_path: Path, left: str
) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / left).write_text("")
    assert run(small, tmp_path).kind == "finished"


def test_budgets_end_a_sweep_and_a_larger_one_goes_on(
    small: dict[str, Any], tmp_path: Path
) -> None:
    values = {**small, "run_cap": 30}
    first = run(values | {"fallline": {"data": "synthetic", "budget": {"epochs": 8}}}, tmp_path)
    assert (first.kind, first.ending) == ("budget", "the epochs are used up: 8")
    assert 2 <= sum(trial.status == "completed" for trial in first.trials) <= 5
    larger = {"data": "synthetic", "budget": {"epochs": 20}}
    second = run(values | {"fallline": larger}, tmp_path)
    assert len(first.trials) < len(second.trials) < 14
    timed = {"data": "synthetic", "budget": {"time": 0.0001}}
    assert run(values | {"fallline": timed}, tmp_path).ending.startswith("the time is used up")


@pytest.mark.parametrize("begin", [sweep.run, rehearse])
def test_a_program_is_refused_on_ray_before_ray_is_started(
    begin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = {"program": "theirs.py", "method": "grid", "parameters": {"lr": {"values": [1, 2]}}}
    with pytest.raises(ConfigError, match="a program of your own runs on this machine only"):
        begin(script, on=RayCluster("127.0.0.1:9"))


def test_a_program_that_is_not_there_is_refused_and_one_beside_its_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside").mkdir()
    script = {"program": "mine.py", "method": "grid", "parameters": {"a": {"values": [1]}}}
    with pytest.raises(ConfigError, match=r"program: mine\.py") as caught:
        rehearse(script, on=Stage())
    assert "next: write the path" in str(caught.value)
    (tmp_path / "beside" / "mine.py").write_text("")
    path = tmp_path / "beside" / "sweep.yaml"
    with path.open("w") as file:
        YAML().dump(script, file)
    with pytest.raises(ConfigError, match=f"next: it is beside the file: cd {path.parent}"):
        run(path, tmp_path)
    assert not (tmp_path / "sweep").exists()


def test_settings_of_ours_are_nothing_to_a_program(tmp_path: Path) -> None:
    script = {"program": __file__, "method": "grid", "parameters": {"a": {"values": [1]}}}
    with pytest.raises(ConfigError, match="settings and data: nothing to a program of your own"):
        run(script, tmp_path, data="digits", settings={"epochs": 1})


def test_a_dry_run_says_what_a_trial_of_a_program_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = {"program": __file__, "method": "grid", "parameters": {"a": {"values": [1]}}}
    rehearse(script, on=Stage())
    assert f"{__file__} --a=1" in capsys.readouterr().out
    rehearse(script, on=Stage(), show="json")
    assert __file__ in json.loads(capsys.readouterr().out)["argv"]


def test_a_dry_run_is_one_object_with_the_estimate_for_programs(
    small: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rehearse(small, data="digits", settings={"train.threads": 1}, on=Here(), show="json")
    told = json.loads(capsys.readouterr().out)
    assert told["event"] == "plan"
    assert told["configurations"]
    assert told["estimate"]["slots"] == 1
    assert told["estimate"]["seconds"] > 0


def test_batches_larger_than_the_set_are_mentioned(
    small: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"values": [64, 2000, 4000]}
    file = {**small, "parameters": {**small["parameters"], "batch_size": sizes}}
    rehearse(file, data="digits", settings={"train.threads": 1}, on=Here(), show="json")
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "batch_size 2000, 4000: a step takes all 1,294 training images, no more" in notes


@pytest.mark.parametrize("refused", ["storage", "place"])
def test_what_is_refused_leaves_no_folder(
    small: dict[str, Any], tmp_path: Path, refused: str
) -> None:
    class Nowhere(Stage):
        def open(self, folder: Path, share: Share) -> Scripted:
            raise RunError("nobody answers")

    wrong: dict[str, Any] = {
        "storage": {"storage": "sqlite:study.db"},
        "place": {"on": Nowhere()},
    }
    with pytest.raises((ConfigError, RunError)):
        run(small, tmp_path, **wrong[refused])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        run(small, tmp_path / "file")


def test_a_sweep_whose_every_trial_fails_came_to_nothing(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Stage):
        def open(self, folder: Path, share: Share) -> Scripted:
            return Scripted(lambda number, seed: Plot([], failed()))

    result = run({**small, "run_cap": 2}, tmp_path, on=Broken())
    assert (result.kind, result.in_vain) == ("finished", True)
    assert not run(small, tmp_path / "other").in_vain
    monkeypatch.setattr(Local, "open", Broken.open)
    path = tmp_path / "s.yaml"
    with path.open("w") as file:
        YAML().dump({**small, "run_cap": 2}, file)
    done = CliRunner().invoke(app, ["sweep", str(path), "--out", str(tmp_path / "third")])
    assert done.exit_code == 1


def test_a_set_value_of_a_searched_setting_is_refused(
    small: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="both set and searched"):
        run(small, tmp_path, settings={"batch_size": 20})


def test_test_stays_untouched_unless_the_user_says_otherwise(
    small: dict[str, Any], tmp_path: Path
) -> None:
    run(small, tmp_path, on=(stage := Stage()))
    assert all(not t.config["data"]["test_at_end"] for t in stage.backends[0].submitted)
    assert all(t.config["track"]["wandb_group"] == "sweep" for t in stage.backends[0].submitted)
    mine = {"data.test_at_end": True}
    run(small, tmp_path, on=stage, settings=mine, new=True)
    assert all(t.config["data"]["test_at_end"] for t in stage.backends[1].submitted)


def test_no_tracker_hears_of_a_probe(small: dict[str, Any]) -> None:
    stage = Stage()
    settings = Layer("settings", {"track.wandb": "online"})
    with suppress(RunError, AssertionError):  # nothing is trained on a stage
        estimate(read(small, layers=[FOR_TRIALS, settings]), stage)
    (task,) = stage.backends[0].submitted
    assert (task.config["track"]["wandb"], task.config["track"]["tensorboard"]) == ("off", False)


@pytest.mark.parametrize("end", [lost(), failed(), ended("diverged")])
def test_a_probe_that_comes_to_nothing_is_told(small: dict[str, Any], end: End) -> None:
    class Place(Stage):
        def open(self, folder: Path, share: Share) -> Scripted:
            return Scripted(lambda number, seed: Plot([], end))

    with pytest.raises(RunError, match="first configuration fails"):
        estimate(read(small, layers=[FOR_TRIALS]), Place())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_run(path: Path, tmp_path: Path) -> None:
    values = {**YAML(typ="safe", pure=True).load(path), "run_cap": 2}
    short = {"max_steps": 2, "train.threads": 1, "track.tensorboard": False}
    result = run(values, tmp_path, data="digits", settings=short, on=Here())
    assert result.kind == "finished"
    assert [trial.status for trial in result.trials] == ["completed", "completed"]
    seeds = values["fallline"].get("seeds", 1)
    assert result.best is not None
    assert sorted(result.best.values) == list(range(seeds))


def test_as_many_run_as_the_machine_has_cores_or_as_one_says() -> None:
    with pytest.raises(ConfigError, match="no trainings at a time"):
        Local(workers=0)
    assert [slot.threads for slot in plan(usable_cores(), Share())] == [1] * usable_cores()
    assert len(plan("auto", Share(device="cpu"))) <= usable_cores()
    (alone,) = plan(1, Share())
    assert alone.threads == usable_cores()
    assert alone.environment == {"OMP_NUM_THREADS": str(usable_cores())}


def test_trainings_that_ask_for_threads_are_as_many_as_there_are_cores_for(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 8)
    monkeypatch.setattr(slots, "free_memory", lambda: 2.0**40)
    counts = {n: len(plan("auto", Share(device="cpu", threads=n))) for n in (0, 1, 3, 8, 64)}
    assert counts == {0: 8, 1: 8, 3: 2, 8: 1, 64: 1}
    settings = Layer("settings", {"train.device": "cpu", "train.threads": 4})
    assert share_of(read(small, layers=[settings])) == Share(device="cpu", threads=4)


def test_trainings_take_turns_on_the_one_gpu_of_an_apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr(slots, "_gpus", dict)
    assert [len(plan("auto", Share(device=device))) for device in ("auto", "mps")] == [1, 1]
    assert len(plan("auto", Share(3))) == 3
    assert len(plan("auto", Share(device="cpu"))) == len(plan(usable_cores(), Share()))


def test_a_gpu_chosen_by_number_is_the_only_one_its_training_sees(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_gpus", lambda: {1: "1", 2: "2"})  # torch has no code for 0
    settings = Layer("settings", {"train.device": "cuda:1"})
    file = read(small, layers=[settings])
    task = TaskMaker(file, "sweep", tmp_path)(0, file.point(0), 0)
    (slot,) = plan("auto", Share(device="cuda:1"))
    assert slot.environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert slot.fit(task).config["train"]["device"] == "cuda"
    assert Slot(1).fit(task).config["train"]["device"] == "cuda:1"


def test_the_command_line_names_what_it_cannot_take(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("method: gird\nparameters: {lr: {values: [0.1]}}\n")
    result = CliRunner().invoke(app, ["sweep", str(path)])
    assert isinstance(result.exception, ConfigError)
    assert "did you mean grid?" in str(result.exception)
    result = CliRunner().invoke(app, ["sweep", str(path), "--workers", "many"])
    assert "1, 2, ... or auto" in str(result.exception)
