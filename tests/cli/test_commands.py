"""The command line as a person meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from command_line import SMALL, run
from PIL import Image

from fallline.cli.app import app
from fallline.data import cache
from fallline.errors import ConfigError, RunError
from fallline.records import RunFolder
from fallline.sweep.document import read_document


def test_a_comparison_can_be_seen_before_it_is_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["compare", "--data", "digits", "--optimizers", "sgd,sam", "--configs", "3"]
    assert run(monkeypatch, *words, "--dry-run", "--out", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("sam") for line in lines) == 1 + 3  # its space and configurations
    assert run(monkeypatch, *words, "--dry-run", "--json", "--out", str(tmp_path)) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["event"] == "plan"
    assert [one["optimizer"] for one in planned["contestants"]] == ["sgd", "sam"]
    assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"fallline {version('fallline')}\n"


COMMANDS = [
    command.name or (command.callback or run).__name__ for command in app.registered_commands
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_it_at_work_and_no_type_of_python(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    told = capsys.readouterr().out
    assert f"\n  fallline {command} " in told
    assert not re.search(r"--[a-z-]+ <", told)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train", "--set", "optimizer=adamm"], ["unknown optimizer", "did you mean adam"]),
        (["train", "--set", "lr=-1", "--set", "modle=x"], ["2 faults", "optim.lr", "model"]),
        (["train", "fast_please"], ["unknown preset", "steady"]),
        (["train", "--data", "nowhere.zip"], ["no such file", "nowhere.zip"]),
        (["train", "--config", "none.yaml"], ["cannot read the config", "none.yaml"]),
        (["train", "--set", "lr"], ["cannot read --set", "key=value"]),
        (["list", "optimisers"], ["optimizers"]),
        (["list", "optimizers", "adamm"], ["unknown optimizer", "did you mean adam"]),
        (["list", "models", "convnett"], ["unknown model", "did you mean convnet"]),
        (["train", "--set", "train=5"], ["train is a section", "train.epochs"]),
        (["compare", "--configs", "2"], ["too few configurations", "--configs 2", "3 or more"]),
        (["compare", "--optimizers", "sgd,adamm", "--seeds", "1"], ["2 faults", "adam?"]),
        (["compare", "--budget", "2 parsecs"], ["budget", "2ep", "500steps", "1000grads", "30s"]),
        (["compare", "--set", "epochs=3"], ["train.epochs", "--budget"]),
        (["compare", "--model", "mlp", "--workloads", "mlp"], ["--model and --workloads"]),
        (["compare", "--targets", "0.6,x"], ["--targets", "0.6,0.7"]),
        (["compare", "--on", "wandb", "--data", "digits"], ["chooses its configurations itself"]),
        (["trian"], ["unknown command", "did you mean train?"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "--" not in value else None,
)
def test_a_mistake_is_answered_with_what_to_do_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    parts: list[str],
) -> None:
    assert run(monkeypatch, *words) == 2
    errors = capsys.readouterr().err
    for part in parts:
        assert part in errors
    assert "Traceback" not in errors


def test_a_report_is_written_beside_its_run_and_a_path_without_runs_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "report", str(tmp_path)) == 2
    assert "there is no run to report on" in capsys.readouterr().err
    words = ["train", "--data", "digits", *SMALL, "--name", "one", "--out", str(tmp_path), "-q"]
    assert run(monkeypatch, *words) == 0
    assert run(monkeypatch, "report", str(tmp_path / "one")) == 0
    page = tmp_path / "one" / "report.html"
    assert str(page) in capsys.readouterr().out
    assert "test images of digits right" in page.read_text()


def test_a_device_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["train", "--data", "synthetic", "--device", "cuda:97", "--out", str(tmp_path)]
    assert run(monkeypatch, *words) == 2
    assert "cuda:97 is not there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, wherever this runs, and nothing in the cache."""
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:1")  # closed


@pytest.mark.usefixtures("offline")
def test_cifar10_asked_for_and_not_to_be_had_is_an_error_naming_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "train", "--data", "cifar10", "--out", str(tmp_path / "runs")) == 2
    errors = capsys.readouterr().err
    assert "cifar10 is not on this machine" in errors
    assert "--data digits" in errors


@pytest.mark.usefixtures("offline")
def test_without_data_and_network_digits_are_taken_and_the_run_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["train", "--out", str(tmp_path / "runs"), "--name", "r", "--quiet"]
    assert run(monkeypatch, *words, *SMALL, "--set", "max_steps=3") == 0
    assert "trains on digits instead" in capsys.readouterr().err
    environment = json.loads((tmp_path / "runs" / "r" / "environment.json").read_text())
    assert environment["data"]["name"] == "digits"
    assert "could not be downloaded" in environment["origins"]["data.name"]
    assert "these are digits" in environment["data"]["notes"][-1]


@pytest.mark.usefixtures("offline")
def test_settings_for_larger_images_are_not_put_upon_digits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "train", "best", "--out", str(tmp_path / "runs"), "--name", "r") == 2
    errors = capsys.readouterr().err
    assert "cifar10 is not on this machine" in errors
    assert "trains on digits instead" not in errors
    assert not (tmp_path / "runs" / "r").exists()


def test_from_training_to_using_what_was_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs, folder = str(tmp_path), str(tmp_path / "r")
    words = ["train", "--data", "synthetic", "--out", runs, "--name", "r"]
    assert run(monkeypatch, *words, "--json", *SMALL) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record.get("event") for record in records} >= {"batch", "epoch"}
    test_accuracy = json.loads((tmp_path / "r" / "outcome.json").read_text())["test_accuracy"]

    assert run(monkeypatch, "list", "runs", "--out", runs) == 0
    assert "completed" in capsys.readouterr().out

    assert run(monkeypatch, "evaluate", folder) == 0
    assert f"{test_accuracy:.2%}" in capsys.readouterr().out

    picture = tmp_path / "picture.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(picture)
    assert run(monkeypatch, "predict", folder, str(picture), "--top", "2") == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "1.", "2."]
    assert line.count("%") == 2
    (tmp_path / "more").mkdir()
    picture.rename(tmp_path / "more" / "a.png")
    Image.fromarray(np.ones((16, 16, 3), np.uint8)).save(tmp_path / "more" / "b.png")
    assert run(monkeypatch, "predict", folder, str(tmp_path / "more")) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0].endswith(".png") for line in printed.splitlines()[1:]] == [True, True]
    assert run(monkeypatch, "predict", folder, str(tmp_path / "more"), "--top", "0") == 2
    capsys.readouterr()
    assert run(monkeypatch, "predict", folder) == 2
    assert f"next: fallline predict {folder} IMAGE" in capsys.readouterr().err
    (tmp_path / "text.png").write_text("no image")
    assert run(monkeypatch, "predict", folder, str(tmp_path / "text.png")) == 2
    both = [str(tmp_path / "text.png"), str(tmp_path / "more" / "a.png")]
    capsys.readouterr()
    assert run(monkeypatch, "predict", folder, *both) == 2
    told = capsys.readouterr()
    assert both[1] in told.out
    assert both[0] in told.err

    assert run(monkeypatch, "resume", folder) == 2
    assert "nothing to go on with" in capsys.readouterr().err


def test_a_run_is_not_scored_on_splits_of_images_that_have_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos, runs = tmp_path / "photos", tmp_path / "runs"
    paint(photos, range(60))
    words = ["train", "--data", str(photos), "--out", str(runs), "--name", "r", "--quiet"]
    assert run(monkeypatch, *words, *SMALL, "--set", "max_steps=2") == 0
    assert run(monkeypatch, "evaluate", str(runs / "r")) == 0
    paint(photos, range(60, 80))
    capsys.readouterr()
    assert run(monkeypatch, "evaluate", str(runs / "r")) == 2
    refusal = capsys.readouterr().err
    assert "not those the run was trained on" in refusal
    assert "--data PATH" in refusal
    assert run(monkeypatch, "evaluate", str(runs / "r"), "--data", str(photos)) == 0
    assert "80" in capsys.readouterr().out


def paint(folder: Path, indices: range) -> None:
    for index in indices:
        path = folder / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (index, 100 * (index % 2), 0)).save(path)


def test_the_cache_can_be_shown_and_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    assert run(monkeypatch, "data", "check") == 0
    assert "no set has been decoded yet" in capsys.readouterr().out
    assert run(monkeypatch, "data", "fetch", "synthetic") == 0
    assert run(monkeypatch, "data", "show") == 0
    assert "synthetic" in capsys.readouterr().out
    assert run(monkeypatch, "data", "check") == 0
    (file,) = (path for path in tmp_path.rglob("synthetic*.images"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert run(monkeypatch, "data", "check") == 1
    assert "DAMAGED" in capsys.readouterr().out


def test_a_cache_file_of_another_version_is_old_and_not_damaged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    assert run(monkeypatch, "data", "fetch", "synthetic") == 0
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert run(monkeypatch, "data", "check") == 0
    told = capsys.readouterr().out
    assert "old " in told
    assert "another version" in told


def test_names_that_would_command_a_terminal_are_shown_without_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../\x1b]0;evil\x07.png", b"")
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "cache"))
    assert run(monkeypatch, "data", "fetch", str(path)) == 2
    told = capsys.readouterr().err
    assert "evil" in told
    assert not {"\x1b", "\x07"} & set(told)


def test_a_reader_that_has_seen_enough_causes_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fallline", "list", "settings"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before there is anything to read
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_sweep_where_one_run_is_asked_for_names_a_run(tmp_path: Path) -> None:
    (tmp_path / "trial-0000").mkdir()
    (tmp_path / "trial-0000" / "config.json").write_text("{}")
    with pytest.raises(RunError, match="folder of runs") as raised:
        RunFolder.open(tmp_path)
    assert str(tmp_path / "trial-0000") in str(raised.value)


def test_a_run_named_without_its_folder_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "config.json").write_text("{}")
    assert run(monkeypatch, "resume", "mine") == 2
    assert "did you mean runs/mine?" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seen"), [(None, "No such file"), ("", "nothing")])
def test_a_sweep_file_that_says_nothing_is_told_in_words(
    tmp_path: Path, text: str | None, seen: str
) -> None:
    path = tmp_path / "sweep.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_document(path)
    assert f"seen: {seen}" in str(raised.value)
    assert "Errno" not in str(raised.value)
