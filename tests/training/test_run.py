"""A run from one call: what it learns, what it leaves behind, how it ends."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_folders import flip_a_bit, measured

from fallline import resume, train
from fallline.config import RunConfig
from fallline.errors import ConfigError, RunError
from fallline.models import kernels as native
from fallline.models.convnet import Convnet
from fallline.models.kernels import Found
from fallline.records import Record, RunFolder
from fallline.training import checkpoint, life, watch
from fallline.training.progress import Clock


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    state = checkpoint.load_latest(folder.checkpoints).state
    return dict(state["model"])


def same_weights(one: RunFolder, other: RunFolder) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_learns_and_leaves_a_complete_folder(tmp_path: Path, small: dict[str, Any]) -> None:
    run = train(data="synthetic", settings=small | {"epochs": 4}, out=tmp_path, show="quiet")
    assert run.outcome.status == "completed"
    assert run.outcome.test_accuracy is not None
    assert run.outcome.test_accuracy > 0.8  # 0.25 is chance
    folder = run.folder
    config = RunConfig.model_validate(folder.read_config())
    assert config == run.config
    assert config.optim.lr is not None
    found = folder.read_environment()
    for fact in ("versions", "device", "cpu_flags", "command", "data", "origins"):
        assert found[fact] is not None, fact
    assert found["kernels"] is None or re.match(
        r"none|(amx|avx512) [0-9a-f]{8}$", found["kernels"]
    )
    assert "held out" in found["data"]["validation"]
    assert folder.read_outcome() == run.outcome
    predictions = np.load(folder.predictions)
    right = (predictions["predicted"] == predictions["labels"]).mean()
    assert right == pytest.approx(run.outcome.test_accuracy)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_run_that_lacks_the_kernels_of_its_cpu_says_so_and_trains(
    tmp_path: Path,
    small: dict[str, Any],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(native, "_found", lambda: Found(why="there is no compiler"))
    monkeypatch.setattr(life, "why_lacking", lambda: "there is no compiler")
    settings = small | {"train.max_steps": 2, "train.precision": precision}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert run.outcome.status == "completed"
    told = run.folder.read_environment()["kernels"], "no compiler" in capsys.readouterr().err
    assert told == (("none", True) if precision == "bf16" else (None, False))


@pytest.mark.parametrize(("steps", "waits"), [(40, True), (60, False)])
def test_measurements_of_a_short_run_wait_for_the_device(
    steps: int, waits: bool, tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Clock] = []
    monkeypatch.setattr(Clock, "wait", lambda clock: waited.append(clock))
    settings = small | {"train.max_steps": steps, "epochs": 1000, "track.every": 1}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert run.outcome.steps == steps
    assert (len(waited) >= steps) == waits  # the others at the ends of epochs only


def test_fitting_the_net_to_the_images_counts_as_training(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: real() + ahead[0])
    monkeypatch.setattr(Convnet, "calibrate", lambda self, images: ahead.append(ahead.pop() + 1e6))
    settings = small | {"train.max_steps": 1}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert 1e6 < run.outcome.train_seconds < 2e6
    assert run.folder.read_metrics()[0]["train_seconds"] > 1e6


def test_evaluating_and_saving_do_not_count_as_training(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: real() + ahead[0])

    def slow(does: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            ahead[0] += 1e6
            return does(*arguments, **more)

        return wrapped

    monkeypatch.setattr(watch, "evaluate_on", slow(watch.evaluate_on))
    monkeypatch.setattr(checkpoint, "save", slow(checkpoint.save))
    settings = small | {"train.checkpoint_seconds": 0}
    outcome = train(data="synthetic", settings=settings, out=tmp_path, show="quiet").outcome
    assert outcome.train_seconds < 1e6
    assert outcome.wall_seconds > 4e6  # two evaluations and as many checkpoints, at least


def test_the_metrics_hold_every_series_by_its_name(tmp_path: Path, small: dict[str, Any]) -> None:
    records = train(
        data="synthetic", settings=small, out=tmp_path, show="quiet"
    ).folder.read_metrics()
    epochs = [r for r in records if r["event"] == "epoch"]
    assert [r["epoch"] for r in epochs] == [1, 2]
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr", "batch_size"):
        assert math.isfinite(epochs[0][name]), name
    for name in ("weight_norm", "grad_norm", "images_per_second"):
        assert epochs[0][name] > 0, name
    assert epochs[0]["optimizer"] == "muon"
    batches = [r for r in records if r["event"] == "batch"]
    assert [r["step"] for r in batches if "train/batch_loss" in r] == [1, 4, 7, 10, 13, 16]
    assert [r["val/batch"] for r in batches if "val/batch_loss" in r] == [1, 2, 3, 4]
    assert 0 <= epochs[-1]["val/accuracy"] <= 1
    assert [r["test/accuracy"] for r in records if r["event"] == "test"]


def test_the_pace_of_an_epoch_is_that_of_all_its_steps(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_READINGS", 0.0)  # so there are readings within
    run = train(data="synthetic", settings=small, out=tmp_path, show="quiet")
    first, second = (r for r in run.folder.read_metrics() if r["event"] == "epoch")
    seconds = second["train_seconds"] - first["train_seconds"]
    images = run.outcome.images_seen / 2
    assert second["images_per_second"] == pytest.approx(images / seconds, rel=0.01)


def test_equal_configs_give_equal_weights_to_the_bit(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    runs = [
        train(data="synthetic", settings=small, out=tmp_path, name=name, show="quiet").folder
        for name in ("one", "two")
    ]
    other = train(
        data="synthetic", settings=small | {"seed": 1}, out=tmp_path, show="quiet"
    ).folder
    assert same_weights(*runs)
    assert measured(runs[0]) == measured(runs[1])
    assert not same_weights(runs[0], other)


class Unplugged(Exception):
    """Somebody pulls the plug."""


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "train.ema": 0.9},
        {"optimizer": "muon", "data.augment.mixup": 0.2, "data.augment.cutout": 4},
        {"optimizer": "sam", "optim.base": "adamw", "train.grad_clip": 1.0},
        {"model": {"name": "mlp", "dropout": 0.3}, "optimizer": "adam"},
        {"optimizer": "sgd", "train.hardest": 0.5},
    ],
    ids=["sgd with averaging", "muon with mixing", "sam with clipping", "dropout", "hardest half"],
)
def test_a_run_resumed_within_an_epoch_ends_as_if_never_stopped(
    tmp_path: Path,
    small: dict[str, Any],
    changes: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = small | changes
    whole = train(data="synthetic", settings=settings, out=tmp_path, name="whole", show="quiet")
    settings |= {"train.checkpoint_seconds": 0}  # after every step: it goes on within an epoch

    def fail(record: Record) -> None:
        raise Unplugged

    torn = tmp_path / "torn"
    with pytest.raises(Unplugged):
        train(
            data="synthetic",
            settings=settings,
            out=tmp_path,
            name="torn",
            show="quiet",
            on_eval=fail,
        )
    flip_a_bit(checkpoint.list_checkpoints(torn / "checkpoints")[-1])
    resumed = resume(torn, show="quiet")
    assert "is damaged" in capsys.readouterr().err
    assert same_weights(whole.folder, resumed.folder)
    assert measured(whole.folder) == measured(resumed.folder)
    assert resumed.outcome.val_accuracy == whole.outcome.val_accuracy


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged_and_keeps_weights_finite(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    late = {"optimizer": "sgd", "lr": 1e6, "schedule": "constant", "warmup": 1.0}
    often = {"train.checkpoint_seconds": 0, "model": "mlp", "epochs": 20}
    run = train(data="synthetic", settings=small | late | often, out=tmp_path, show="quiet")
    assert run.outcome.status == "diverged"
    assert "step" in run.outcome.reason
    assert len(checkpoint.list_checkpoints(run.folder.checkpoints)) == 2
    assert all(t.isfinite().all() for t in weights(run.folder).values() if t.is_floating_point())
    with pytest.raises(RunError, match="nothing to go on with"):
        resume(run.path)


def test_what_was_measured_before_a_run_diverged_is_on_record(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    late = {"optimizer": "sgd", "lr": 1e6, "schedule": "constant", "warmup": 1.0}
    settings = small | late | {"model": "mlp", "epochs": 20, "track.every": 1}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert run.outcome.status == "diverged"
    steps = [r["step"] for r in run.folder.read_metrics() if "train/batch_loss" in r]
    assert steps == list(range(1, run.outcome.steps + 1))
    assert steps


def test_an_optimizer_that_reads_its_rate_once_reads_the_whole_of_it(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    late = {"optimizer": "rprop", "lr": 1e-4, "warmup": 0.5, "max_steps": 4, "track.every": 1}
    run = train(data="synthetic", settings=small | late, out=tmp_path, show="quiet")
    rates = [record["lr"] for record in run.history if "lr" in record]
    assert set(rates) == {1e-4}


def test_validating_on_test_is_said_in_the_record_and_beside_the_accuracy(
    tmp_path: Path, small: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = small | {"data.validate_on": "test"}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert "val (the test split) " in capsys.readouterr().out
    assert run.outcome.test_accuracy is None
    validation = run.folder.read_environment()["data"]["validation"]
    assert validation == "validated on the test split"


def test_views_are_averaged_when_asked_and_reported_apart(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    settings = small | {"train.tta": "flip_shift"}
    outcome = train(data="synthetic", settings=settings, out=tmp_path, show="quiet").outcome
    assert outcome.val_accuracy_tta is not None
    assert outcome.test_accuracy_tta is not None


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "", ".hidden", "a/b", "x" * 200])
def test_a_run_name_cannot_leave_its_folder(
    tmp_path: Path, small: dict[str, Any], name: str
) -> None:
    with pytest.raises(RunError, match="cannot be a run's"):
        RunFolder.named(tmp_path, name)


def test_a_run_folder_that_exists_is_not_touched(tmp_path: Path, small: dict[str, Any]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("data")
    with pytest.raises(RunError, match="exists already"):
        train(data="synthetic", settings=small, out=tmp_path, name="mine", show="quiet")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious"]


@pytest.mark.parametrize("status", ["completed", "interrupted"])
def test_a_name_that_is_taken_is_gone_on_with_only_where_something_is_left(
    status: str, tmp_path: Path, small: dict[str, Any]
) -> None:
    again = partial(
        train,
        "steady",
        data="synthetic",
        settings=small | {"max_steps": 1},
        out=tmp_path,
        name="r",
    )
    folder = again(show="quiet").folder
    outcome = json.loads(folder.outcome.read_text())
    folder.outcome.write_text(json.dumps(outcome | {"status": status}))
    with pytest.raises(RunError, match="choose another --name") as refused:
        again(show="quiet")
    assert ("fallline resume" in str(refused.value)) == (status == "interrupted")


def test_a_changed_config_is_not_gone_on_with(tmp_path: Path, small: dict[str, Any]) -> None:
    def fail(record: Record) -> None:
        raise Unplugged

    settings = small | {"train.checkpoint_seconds": 0}
    with pytest.raises(Unplugged):
        train(
            data="synthetic", settings=settings, out=tmp_path, name="r", on_eval=fail, show="quiet"
        )
    folder = RunFolder.open(tmp_path / "r")
    assert (outcome := folder.read_outcome()) is not None
    assert outcome.status == "failed"
    config = folder.read_config()
    config["optim"]["lr"] *= 2
    folder.config.write_text(json.dumps(config))
    with pytest.raises(RunError, match="not what the run was started with"):
        resume(tmp_path / "r")


def test_faults_are_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        train(settings={"optimizer": "nope"}, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.json"):
        resume(tmp_path)
