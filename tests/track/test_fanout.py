from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sample_run import config, log_all, outcome, records, start_of, whole_run

from fallline.errors import StorageError
from fallline.records import Outcome, Record
from fallline.registry import load
from fallline.track.fanout import Member, Trackers, _open, open_trackers
from fallline.track.table import TRACKERS, TrackerRow


class Notebook:
    """A tracker that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def log(self, record: Record) -> None:
        self.seen.append(record)

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        self.seen.append(name)

    def finish(self, outcome: Outcome) -> None:
        self.seen.append(outcome)


class Broken(Notebook):
    """A tracker that fails at the third record."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def log(self, record: Record) -> None:
        super().log(record)
        if len(self.seen) == 3:
            raise self.error


@pytest.mark.parametrize("row", TRACKERS, ids=lambda row: row.name)
def test_every_row_points_to_a_tracker(row: object) -> None:
    target = load(row.target)  # type: ignore[attr-defined]
    assert all(callable(getattr(target, method)) for method in ("log", "show", "finish"))


def test_the_table_of_trackers_loads_nothing_heavy() -> None:
    script = (
        "import sys, fallline.track.table, fallline.track.fanout\n"
        "heavy = 'torch', 'tensorboard', 'wandb', 'matplotlib', 'rich'\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_config_and_show_choose_the_trackers() -> None:
    def chosen(show: str, **track: object) -> list[str]:
        section = config()["track"] | track
        return [row.name for row in TRACKERS if row.wanted(section, show)]

    assert chosen("bar") == ["folder", "tensorboard", "bar"]
    assert chosen("quiet", tensorboard=False) == ["folder", "quiet"]
    assert chosen("json", wandb="offline") == ["folder", "tensorboard", "wandb", "json"]


def test_everybody_gets_everything_in_order() -> None:
    one, other = Notebook(), Notebook()
    whole_run(Trackers([Member("one", one), Member("other", other)]))
    assert one.seen == other.seen == [*records(), "confusion/test", outcome()]


def test_a_tracker_that_fails_is_named_once_and_left_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken, whole = Broken(RuntimeError("it\nbroke")), Notebook()
    trackers = Trackers([Member("broken", broken), Member("whole", whole)])
    whole_run(trackers)
    assert len(broken.seen) == 3
    assert whole.seen == [*records(), "confusion/test", outcome()]
    assert trackers.names == ("whole",)
    told = capfd.readouterr()
    assert told.err == "warning: the run goes on without broken (RuntimeError: it broke)\n"
    assert told.out == ""


def test_a_required_tracker_that_fails_ends_the_run() -> None:
    after = Notebook()
    required = Member("folder", Broken(StorageError("no room")), required=True)
    with pytest.raises(StorageError, match="no room"):
        log_all(Trackers([required, Member("after", after)]))
    assert len(after.seen) == 2


def test_a_reader_that_went_away_is_not_worth_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    trackers = Trackers([Member("lines", Broken(BrokenPipeError()))])
    whole_run(trackers)
    assert trackers.names == ()
    assert capfd.readouterr().err == ""


def test_a_run_goes_on_where_tensorboard_can_write_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = start_of(tmp_path)
    start.folder.tensorboard.write_text("in the way")
    trackers = open_trackers(start, show="quiet")
    whole_run(trackers)
    assert trackers.names == ("folder", "quiet")
    assert len(start.folder.read_metrics()) == len(records())
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith("warning: the run goes on without tensorboard (cannot write")


def test_a_run_whose_folder_takes_no_measurements_does_not_begin(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    start.folder.metrics.mkdir()
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        open_trackers(start, show="quiet")


def test_open_trackers_tracks_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    start = start_of(tmp_path)
    trackers = open_trackers(start, show="auto")
    assert trackers.names == ("folder", "tensorboard", "lines")
    whole_run(trackers)
    assert list(start.folder.tensorboard.glob("events.out.tfevents.*"))
    assert "completed: reached its last step" in capfd.readouterr().out


def test_a_detached_tracker_of_a_resumed_run_gets_the_past_alone(tmp_path: Path) -> None:
    """Its thread opens while the run folder gets its first new lines."""
    start = start_of(tmp_path, track_tensorboard=False)
    before = open_trackers(start, show="quiet")
    log_all(before, until=7)
    before.finish(outcome("interrupted"))
    again = start_of(tmp_path, resumed_at=6, track_tensorboard=False)
    trackers = open_trackers(again, show="quiet")
    assert "past" not in vars(again)  # nobody needs it
    row = TrackerRow("late", "", "sample_run:Late", lambda track, show: True, detached=True)
    member = _open(row, again)
    assert member is not None
    log_all(trackers, after=6)
    trackers.finish(outcome())
    member.tracker.finish(outcome())
    assert again.past == records(until=6)


def test_a_run_goes_on_where_wandb_is_not_installed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "fallline.track.wandb", raising=False)
    start = start_of(tmp_path, track_wandb="offline", track_tensorboard=False)
    trackers = open_trackers(start, show="quiet")
    whole_run(trackers)
    assert trackers.names == ("folder", "quiet")
    assert "pip install '.[wandb]'" in capfd.readouterr().err
