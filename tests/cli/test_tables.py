"""What `fallline list` and `fallline data show` print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import SMALL, run
from PIL import Image

from fallline.cli.tables import print_grid
from fallline.config import declared_fields


class Show:
    """Runs words that must succeed; gives back what is printed."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> str:
        self._capsys.readouterr()
        assert run(self._monkeypatch, *words) == 0
        return self._capsys.readouterr().out


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Show(monkeypatch, capsys)


@pytest.mark.parametrize(
    "what", ["optimizers", "models", "data", "presets", "schedules", "settings", "runs"]
)
def test_every_table_can_be_listed(show: Show, tmp_path: Path, what: str) -> None:
    assert len(show("list", what, "--out", str(tmp_path)).splitlines()) > 1


def line_of(printed: str, first: str) -> str:
    (line,) = (line for line in printed.splitlines() if line.split()[:1] == [first])
    return line


def test_the_settings_show_what_a_plain_run_gets_and_every_short_name(show: Show) -> None:
    printed = show("list", "settings")
    assert "0.1 " in line_of(printed, "train.label_smoothing")
    assert "0.05" in line_of(printed, "schedule.warmup")
    assert "lr, learning_rate" in line_of(printed, "optim.lr")
    assert "cross_entropy or squared_error" in line_of(printed, "train.loss")


def test_every_setting_says_what_it_means() -> None:
    assert not [name for name, field in declared_fields().items() if not field.description]


def test_a_narrow_terminal_breaks_no_word(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = show("list", "settings")
    assert "augmentation" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "takes" in show("list", "optimizers", "sam")  # where it is what one came for


def test_sweeps_and_comparisons_are_listed_among_the_runs(show: Show, tmp_path: Path) -> None:
    for folder, mark, held in (("homework", "sweep.json", 2), ("seven", "plan.json", 1)):
        for number in range(held):
            (tmp_path / folder / f"trial-{number}").mkdir(parents=True)
            (tmp_path / folder / f"trial-{number}" / "config.json").write_text("{}")
        (tmp_path / folder / mark).write_text("{}")
    printed = show("list", "runs", "--out", str(tmp_path))
    assert "a sweep, 2 runs" in line_of(printed, "homework")
    assert "a comparison, 1 run" in line_of(printed, "seven")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["optimizers", "sam"], ["optim.rho", "a number above 0", "0.01 to 1, by logarithm"]),
        (["optimizers", "adamw"], ["1 gradient per step", "from 0 to below 1", "[0.9, 0.999]"]),
        (["optimizers", "muon"], ["optim.rest_lr", "adamw or sgd", "0.0003 to 0.03"]),
        (["models", "mlp"], ["model.widths", "[1024, 512]", "units of each hidden layer"]),
        (["models", "convnet"], ["model.convs", "2 or 3", "3x3 convolutions per group"]),
        (["presets", "steady"], ["train.label_smoothing", "0.1", "schedule.warmup", "n = 5"]),
        (["schedules", "step"], ["schedule.milestones", "[0.5, 0.75]", "where it drops"]),
        (["data", "digits"], ["1,437 train, 360 test", "8 x 8 x 1", "a flip changes"]),
        (["settings", "warmup"], ["schedule.warmup", "a number from 0 to 1", "0.05"]),
        (["settings", "optim.rho"], ["adadelta", "sam", "a number above 0"]),
    ],
    ids=lambda value: " ".join(value) if len(value) == 2 else "",
)
def test_one_row_is_shown_whole(show: Show, words: list[str], parts: list[str]) -> None:
    shown = show("list", *words)
    for part in parts:
        assert part in shown


@pytest.mark.parametrize("what", ["optimizers", "models", "data", "presets", "schedules", "runs"])
def test_a_row_that_is_none_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert run(monkeypatch, "list", what, "zzz") == 2
    said = capsys.readouterr().err
    assert "zzz" in said
    assert f"fallline list {what}" in said
    assert run(monkeypatch, "list", "settings", "zzz") == 2
    assert len(capsys.readouterr().err) < 250


def test_a_folder_of_runs_that_does_not_exist_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "list", "runs", "--out", "/nowhere") == 2
    assert "/nowhere does not exist" in capsys.readouterr().err


def test_runs_are_listed_with_their_data_optimizer_and_date(
    show: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show("train", "-d", "synthetic", "-o", str(tmp_path), "-n", "r", *SMALL, "-s", "max_steps=2")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    printed = show("list", "runs", "--out", str(tmp_path))
    started = json.loads((tmp_path / "r" / "environment.json").read_text())["started"]
    for part in (started[:10], started[11:16], "synthetic", "muon", "completed", "%"):
        assert part in line_of(printed, "r")
    assert "unreadable" in line_of(printed, "broken")
    whole = show("list", "runs", "r", "--out", str(tmp_path))
    for part in ("reached its last step", "train.max_steps", "optim.name"):
        assert part in whole
    monkeypatch.setenv("COLUMNS", "80")
    head, *lines = show("list", "runs", "--out", str(tmp_path)).splitlines()
    assert head.split() == ["run", "status", "val", "test"]
    assert len(lines) == 2


def test_a_pipe_gets_wide_tables_unless_columns_says_otherwise(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 80 < max(map(len, show("list", "settings").splitlines())) <= 160
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, show("list", "settings").splitlines())) <= 80


def test_a_line_that_is_not_to_wrap_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_grid(("image", "1."), [("cat.png", "word " * 100)], wrap=False)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_grid(("image", "1."), [("caf\udce9.png", "cat"), ("\x1b[2J.png", "dog")], wrap=False)
    assert capsys.readouterr().out.splitlines()[1:] == ["caf .png  cat", " [2J.png  dog"]


def test_sets_of_one_name_are_told_apart_by_where_they_come_from(
    show: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "cache"))
    for place in ("here", "there"):
        for kind in ("cat", "dog"):
            folder = tmp_path / place / "mix" / kind
            folder.mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(folder / "1.png")
        show("data", "fetch", str(tmp_path / place / "mix"))
    printed = show("data", "show")
    assert len(printed.splitlines()) == 3
    assert str(tmp_path / "here" / "mix") in printed
    assert str(tmp_path / "there" / "mix") in printed
    assert " KiB" in printed
    assert "0 MiB" not in printed
