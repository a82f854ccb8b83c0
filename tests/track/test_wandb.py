from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb_file
from sample_run import STEPS, batch_values, config, epoch_values

HERE = Path(__file__).parent


def play(out: Path, *scenes: str) -> list[dict[str, Any]]:
    """Plays scenes of wandb_scenes.py in a process of its own; what came of each."""
    environment = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    done = subprocess.run(
        [sys.executable, str(HERE / "wandb_scenes.py"), str(out), *scenes],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list((out / "cwd").iterdir()), "W&B wrote outside the run's folder"
    results = json.loads(done.stdout)
    return [results[scene] for scene in scenes]


def messages(out: Path) -> list[Any]:
    """The newest offline file's."""
    newest = sorted(out.glob("a-run/wandb/offline-run-*/*.wandb"))[-1]
    return list(wandb_file.messages(newest))


def test_an_offline_run_holds_every_measurement_config_outcome_and_picture(tmp_path: Path) -> None:
    """Though it was interrupted and resumed: the newest file alone is the whole run."""
    (played,) = play(tmp_path, "offline")
    found = messages(tmp_path / "offline")
    rows = wandb_file.rows(found)
    own = {"step", "epoch", "train_seconds"}
    assert [r["_step"] for r in rows] == list(range(16))
    batches = [r for r in rows if "train/batch_loss" in r]
    assert [r["step"] for r in batches] == list(range(1, STEPS + 1))
    assert batches[4]["train/batch_loss"] == batch_values(5)["train/batch_loss"]
    assert batches[4]["batch/lr"] == pytest.approx(batch_values(5)["lr"])
    assert [r["val/batch"] for r in rows if "val/batch_loss" in r] == [1, 2, 3, 4, 5, 6]
    epochs = [r for r in rows if "val/accuracy" in r]
    assert [r["epoch"] for r in epochs] == [1, 2]
    assert {k: epochs[0][k] for k in epoch_values(1)} == pytest.approx(epoch_values(1))
    assert epochs[1]["confusion/test/_type"] == "image-file"
    assert all(own <= set(row) for row in rows)

    stands_over = {
        m.metric.name: m.metric.step_metric
        for m in found
        if m.WhichOneof("record_type") == "metric"
    }
    assert stands_over["train/batch_loss"] == stands_over["batch/lr"] == "step"
    assert stands_over["val/batch_loss"] == "val/batch"
    assert stands_over["val/accuracy"] == stands_over["lr"] == "epoch"

    given = config(track_wandb="offline", track_wandb_group="g")
    assert {k: v for k, v in wandb_file.config(found).items() if k != "_wandb"} == given
    summary = wandb_file.summary(found)
    assert (summary["status"], summary["test_accuracy"]) == ("completed", 0.7)
    (run,) = [m.run for m in found if m.WhichOneof("record_type") == "run"]
    assert (run.display_name, run.project, run.run_group) == ("a-run", "fallline", "g")
    assert list(run.tags) == ["cifar10", "convnet", "sgd"]
    assert run.run_id == (tmp_path / "offline" / "a-run" / "wandb" / "run-id").read_text()
    *_, line = played["told"]
    assert f"wandb sync {tmp_path}/offline/a-run/wandb/offline-run-" in line


def test_an_online_run_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    (played,) = play(tmp_path, "online")
    assert played["preempting"]
    assert played["exit_codes"] == [1, 0]
    measured = [1, 2, 3, 4, 4, 4, 4, 4, 5, 6, 7, 8, 8, 8, 8, 8]
    assert played["rows"] == [[row, step] for row, step in enumerate(measured)]
    first, second = played["told"]
    assert first == second
    assert first.startswith("W&B: http://127.0.0.1:")


def test_a_run_that_cannot_be_online_says_so_in_one_line_and_goes_on_offline(
    tmp_path: Path,
) -> None:
    reasons = {
        "no_key": "no API key is set up; next: wandb login",
        "refused": "does not answer",
        "hanging": "does not answer",
        "hanging_after_the_greeting": "Timed out initializing run",
    }
    played = play(tmp_path, *reasons)
    for (scene, reason), result in zip(reasons.items(), played, strict=True):
        why, then = result["told"]
        assert why.startswith("W&B goes on offline: "), scene
        assert reason in why
        assert "wandb sync" in then
        assert result["seconds"] < 20
        assert len(wandb_file.rows(messages(tmp_path / scene))) == 16


def test_a_server_that_dies_midway_costs_a_line_and_the_seconds_of_finishing(
    tmp_path: Path,
) -> None:
    (played,) = play(tmp_path, "dies_midway")
    assert played["seconds_logging"] < 1
    assert played["seconds"] < 20
    _, line = played["told"]
    assert line.startswith("W&B took not everything in 2 s; send it: wandb sync ")
    folder = Path(line.split("wandb sync ")[1])
    (file,) = folder.glob("*.wandb")
    assert len(wandb_file.rows(list(wandb_file.messages(file)))) == 16
