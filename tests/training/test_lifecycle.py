"""A run from its first file to its last: refused, stopped, pruned, taken over, gone on with."""

from __future__ import annotations

import json
import os
import signal
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fallline import Pruned, resume, train
from fallline.errors import ConfigError, DataError, RunError, StorageError
from fallline.models import kernels as native
from fallline.models.kernels import Found
from fallline.records import Record, RunFolder
from fallline.track.lines import QuietTracker
from fallline.training import checkpoint, conclude, life, threads
from fallline.training.classifier import Classifier
from fallline.training.layers import Layer, preset_layer
from fallline.training.resolve import Resolved, read_config, resolve
from fallline.training.run import begin_or_resume
from fallline.training.session import Session
from fallline.training.signals import StopRequest, stop_on_signals
from fallline.training.state import config_digest


@pytest.fixture
def tiny(small: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run of two epochs that takes a tenth of a second."""
    return small | {"model": {"name": "mlp", "widths": [8]}}


def settled(settings: dict[str, Any]) -> Resolved:
    return resolve([preset_layer("steady"), Layer("test", {"data": "synthetic"} | settings)])


def saved_step(folder: RunFolder) -> int:
    return int(checkpoint.load_latest(folder.checkpoints).state["progress"]["counts"][0])


def status_of(path: Path) -> str:
    outcome = RunFolder.open(path).read_outcome()
    assert outcome is not None
    return outcome.status


def prune(record: Record) -> None:
    raise Pruned("the others are better")


# Signals


def broken_pipe() -> Any:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb", buffering=0)


@pytest.mark.parametrize("stderr", [broken_pipe, lambda: None], ids=["broken pipe", "closed"])
def test_a_signal_is_heard_where_nobody_reads_what_we_say(
    stderr: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = stderr()
    monkeypatch.setattr("sys.__stderr__", stream)
    with stop_on_signals() as stopping, stream or nullcontext():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopping.name == "SIGTERM"


def test_the_second_signal_stops_at_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    sent: list[int] = []
    with os.fdopen(writing, "w") as stream, stop_on_signals() as stopping:
        monkeypatch.setattr("sys.__stderr__", stream)
        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(os, "kill", lambda process, signum: sent.append(signum))
        stopping._receive(signal.SIGTERM, None)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        monkeypatch.undo()
    assert sent == [signal.SIGTERM]
    with os.fdopen(reading) as told:
        first, second = told.read().split("\n\n")
    assert "once more stops at once" in first
    assert "SIGTERM once more: stopped at once" in second


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals() as stopping:
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopping.by is None


@pytest.mark.parametrize(
    ("signum", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_while_trackers_finish_leaves_an_outcome_and_goes_on_up(
    tmp_path: Path,
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    signum: int,
    raised: type[BaseException],
) -> None:
    def finish(tracker: object, outcome: object) -> None:
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(QuietTracker, "finish", finish)
    with pytest.raises(raised):
        train(data="synthetic", settings=tiny, out=tmp_path, name="r", show="quiet")
    assert status_of(tmp_path / "r") == "completed"


def test_an_interrupt_from_whoever_watches_leaves_weights_and_an_outcome(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    def interrupt(record: Record) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            data="synthetic",
            settings=tiny,
            out=tmp_path,
            name="r",
            show="quiet",
            on_eval=interrupt,
        )
    assert status_of(tmp_path / "r") == "interrupted"
    assert saved_step(RunFolder(tmp_path / "r")) == 9
    assert resume(tmp_path / "r", show="quiet").outcome.status == "completed"


def test_whoever_starts_a_run_may_ask_it_to_stop(tmp_path: Path, tiny: dict[str, Any]) -> None:
    request = StopRequest()
    session = Session("silent", lambda record: request.ask("the caller"), stopping=request)
    run = begin_or_resume(settled(tiny), out=tmp_path, name="r", session=session)
    assert (run.outcome.status, run.outcome.reason) == ("interrupted", "stopped by the caller")
    assert saved_step(run.folder) == run.outcome.steps == 9


# Verdicts


def test_a_pruned_run_keeps_what_it_has_learned_and_may_go_on(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    run = train(data="synthetic", settings=tiny, out=tmp_path, show="quiet", on_eval=prune)
    assert (run.outcome.status, run.outcome.reason) == ("pruned", "the others are better")
    assert run.outcome.epochs == 1
    assert saved_step(run.folder) == run.outcome.steps == 9
    assert Classifier(run.path).config == run.config
    steps: list[int] = []
    resume(run.path, show="quiet", on_eval=lambda record: steps.append(record.step))
    assert steps == [9, 18]  # the one it knew is told again


def test_a_run_goes_on_where_there_are_fewer_cores_and_says_so(
    tmp_path: Path,
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    wide = {**tiny, "train": {**tiny["train"], "threads": 2}}
    run = train(settings=wide, data="synthetic", out=tmp_path, show="silent", on_eval=prune)
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    bound: list[int] = []

    def bind(count: int) -> AbstractContextManager[None]:
        bound.append(count)
        return nullcontext()

    monkeypatch.setattr(life, "on_own_cores", bind)
    assert resume(run.path, show="silent").outcome.status == "completed"
    assert torch.get_num_threads() == 1
    assert bound == [1]
    assert "CPU threads: 1, not 2 as before; rounding will differ" in capsys.readouterr().err


def test_a_run_that_goes_on_without_the_kernels_it_had_says_so(
    tmp_path: Path,
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {**tiny, "train.precision": "bf16", "train.batch_size": 32}
    run = train(settings=settings, data="synthetic", out=tmp_path, show="silent", on_eval=prune)
    told = run.folder.read_environment()
    run.folder.environment.write_text(json.dumps(told | {"kernels": "avx512 fed"}))
    monkeypatch.setattr(native, "_found", lambda: Found(why="there is no compiler"))
    assert resume(run.path, show="silent").outcome.status == "completed"
    said = capsys.readouterr().err
    assert "kernels for this CPU: none, not avx512 fed as before; rounding will differ" in said


def test_a_run_that_is_through_can_no_longer_be_pruned(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    settings = tiny | {"epochs": 1}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet", on_eval=prune)
    assert run.outcome.status == "completed"
    assert run.outcome.test_accuracy is not None


@pytest.mark.parametrize(("on_eval", "status"), [(None, "completed"), (prune, "pruned")])
def test_weights_are_kept_only_if_wanted(
    tmp_path: Path, tiny: dict[str, Any], on_eval: Any, status: str
) -> None:
    settings = tiny | {"train.keep_weights": False, "train.checkpoint_seconds": 0}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet", on_eval=on_eval)
    assert run.outcome.status == status
    assert not checkpoint.list_checkpoints(run.folder.checkpoints)


def test_a_picture_that_cannot_be_drawn_costs_the_picture(
    tmp_path: Path,
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr(conclude, "confusion_picture", fail)
    settings = tiny | {"track.tensorboard": True}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert run.outcome.status == "completed"
    assert run.outcome.test_accuracy is not None
    assert "no ink" in capsys.readouterr().err


def test_no_picture_is_drawn_for_nobody(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(conclude, "confusion_picture", lambda *arguments: drawn.append(arguments))
    train(data="synthetic", settings=tiny, out=tmp_path, show="quiet")
    assert drawn == []


# Folders


def test_what_is_refused_late_leaves_no_folder(tmp_path: Path, tiny: dict[str, Any]) -> None:
    settings = tiny | {"data.augment.cutout": 100}  # larger than the images, known from them alone
    with pytest.raises(ConfigError):
        train(data="synthetic", settings=settings, out=tmp_path, name="late", show="quiet")
    assert not (tmp_path / "late").exists()
    train(data="synthetic", settings=tiny, out=tmp_path, name="late", show="quiet")


def test_a_folder_that_never_became_a_run_is_taken_over(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    (tmp_path / "killed").mkdir()
    for name in (".lock", "environment.json"):
        (tmp_path / "killed" / name).touch()
    run = train(data="synthetic", settings=tiny, out=tmp_path, name="killed", show="quiet")
    assert run.outcome.status == "completed"


def test_a_folder_of_something_else_is_not_taken_over(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    (tmp_path / "sweep").mkdir()
    for name in (".lock", "sweep.json"):
        (tmp_path / "sweep" / name).touch()
    with pytest.raises(RunError, match="holds no run"):
        train(data="synthetic", settings=tiny, out=tmp_path, name="sweep", show="quiet")
    assert {path.name for path in (tmp_path / "sweep").iterdir()} == {".lock", "sweep.json"}


def test_a_lock_that_cannot_be_had_says_where(tmp_path: Path, tiny: dict[str, Any]) -> None:
    (tmp_path / "r" / ".lock").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"\.lock"):
        train(data="synthetic", settings=tiny, out=tmp_path, name="r", show="quiet")


def test_a_run_is_begun_gone_on_with_or_told_again(
    tmp_path: Path, tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[int] = []

    def stop(record: Record) -> None:
        steps.append(record.step)
        raise KeyboardInterrupt

    live = partial(begin_or_resume, settled(tiny), out=tmp_path, name="r", trial={"trial": 3})
    with pytest.raises(KeyboardInterrupt):
        live(session=Session("silent", stop))
    told = Session("silent", lambda record: steps.append(record.step))
    run = live(session=told)
    again = live(session=told)
    assert steps == [9, 9, 18, 9, 18]
    assert run == again == live(session=Session("silent", prune))
    assert run.outcome.status == "completed"
    assert json.loads(run.folder.trial.read_text()) == {"trial": 3}
    assert capsys.readouterr() == ("", "")
    assert len(run.folder.read_environment()["resumed"]) == 1


def test_two_names_of_the_same_second_differ(tmp_path: Path, tiny: dict[str, Any]) -> None:
    runs = [train(data="synthetic", settings=tiny, out=tmp_path, show="quiet") for _ in range(2)]
    one, other = (run.path.name.rpartition("-")[2] for run in runs)
    assert len(one) == len(other) == 8  # hex digits: 32 random bits
    assert one != other


def test_a_run_on_a_folder_of_images_is_used_and_gone_on_with_from_anywhere(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(40):
        path = tmp_path / "here" / "photos" / ("red" if index % 2 else "blue") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (6 * index, 0, 250 * (index % 2))).save(path)
    monkeypatch.chdir(tmp_path / "here")
    settings = tiny | {"batch_size": 8}
    run = train(data="photos", settings=settings, out=tmp_path, show="quiet", on_eval=prune)
    assert run.config.data.name == str(tmp_path / "here" / "photos")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(DataError):
        resume(run.path, show="quiet")
    moved = resume(run.path, data="there/photos", show="quiet")
    assert moved.outcome.status == "completed"
    assert read_config(moved.folder).data.name == str(tmp_path / "there" / "photos")


def test_a_run_without_a_checkpoint_goes_on_with_its_own_images_alone(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    run = train(data="synthetic", settings=tiny, out=tmp_path, show="quiet", on_eval=prune)
    for path in run.folder.checkpoints.glob("step*.pt"):
        path.unlink()
    with pytest.raises(RunError, match="the image set is not what the run was started with"):
        resume(run.path, data="digits", show="quiet")
    assert run.folder.read_outcome() is not None


def test_a_checkpoint_from_before_images_could_move_is_taken_up(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = partial(config_digest, with_name=True)
    monkeypatch.setattr("fallline.training.watch.config_digest", before)
    run = train(data="synthetic", settings=tiny, out=tmp_path, show="quiet", on_eval=prune)
    assert resume(run.path, show="quiet").outcome.status == "completed"


def test_what_a_kill_left_half_written_is_removed_and_a_lost_start_is_said(
    tmp_path: Path, tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(data="synthetic", settings=tiny, out=tmp_path, show="quiet", on_eval=prune)
    half = run.folder.checkpoints / ".step00000018-0123456789abcdef.pt.x7"
    half.write_bytes(b"half")
    for path in run.folder.checkpoints.glob("step*.pt"):
        path.unlink()
    capsys.readouterr()
    assert resume(run.path, show="quiet").outcome.status == "completed"
    assert not half.exists()
    assert "there is no checkpoint: the run begins anew" in capsys.readouterr().err


# Configs


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [("train", "from_the_future", 1), ("train", "epochs", -1), ("optim", "nesterov", "often")],
)
def test_a_config_that_does_not_fit_is_named_with_its_fault(
    tmp_path: Path, tiny: dict[str, Any], section: str, field: str, value: object
) -> None:
    settings = tiny | {"optimizer": "sgd"}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet", on_eval=prune)
    config = run.folder.read_config()
    config[section][field] = value
    run.folder.config.write_text(json.dumps(config))
    for use in (resume, Classifier):
        with pytest.raises(ConfigError) as caught:
            use(run.path)
        assert f"{section}.{field}" in str(caught.value)
        assert "config.json" in str(caught.value)


def test_a_setting_that_a_later_version_adds_does_not_end_older_runs(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    folder = RunFolder(tmp_path / "r")

    def written_before_there_was_gamma(record: Record) -> None:
        config = folder.read_config()
        del config["schedule"]["gamma"]
        folder.config.write_text(json.dumps(config))
        raise Pruned("enough")

    train(
        data="synthetic",
        settings=tiny,
        out=tmp_path,
        name="r",
        show="quiet",
        on_eval=written_before_there_was_gamma,
    )
    assert resume(folder.path, show="quiet").outcome.status == "completed"


@pytest.mark.parametrize(
    ("section", "field", "value", "bears"),
    [
        ("optim", "lr", 0.5, True),
        ("track", "every", 7, False),
        ("data", "name", "moved", False),
        ("data", "holdout", 7, True),
        ("train", "checkpoint_seconds", 1, False),
    ],
)
def test_only_what_bears_on_weights_is_in_the_digest(
    tmp_path: Path, section: str, field: str, value: object, bears: bool
) -> None:
    config = settled({}).config.model_dump(mode="json")
    folder = RunFolder(tmp_path)
    folder.config.write_text(json.dumps(config))
    before = config_digest(folder)
    config[section][field] = value
    folder.config.write_text(json.dumps(config))
    assert (config_digest(folder) != before) is bears


def test_a_checkpoint_of_another_format_is_not_taken_up(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    run = train(data="synthetic", settings=tiny, out=tmp_path, show="quiet", on_eval=prune)
    state = checkpoint.load_latest(run.folder.checkpoints).state | {"format": 99}
    checkpoint.save(run.folder.checkpoints, state, 10)
    with pytest.raises(RunError, match="another version"):
        resume(run.path, show="quiet")
