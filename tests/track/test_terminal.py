from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_run import log_all, outcome, records, start_of

from fallline.records import Record
from fallline.track import wording
from fallline.track.lines import QuietTracker
from fallline.track.terminal import clean, drawn_progress, loading, settled

HERE = Path(__file__).parent
RUN = """
import sys
from pathlib import Path
from sample_run import start_of, whole_run
from fallline.track.fanout import open_trackers
start = start_of(Path(sys.argv[1]), sys.argv[3], track_tensorboard=False)
trackers = open_trackers(start, show=sys.argv[2])
whole_run(trackers, sys.argv[4])
print("still", trackers.names, file=sys.stderr)
"""
IS_KILLED = """
import os, signal, sys
from pathlib import Path
from sample_run import log_all, start_of
from fallline.track.fanout import open_trackers
trackers = open_trackers(start_of(Path(sys.argv[1]), track_tensorboard=False), show="auto")
log_all(trackers)
os.kill(os.getpid(), signal.SIGKILL)
"""


def environment(**more: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "COLUMNS")}
    return plain | {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "COLUMNS": "100"} | more


def run(
    out: Path, show: str = "auto", name: str = "a-run", status: str = "completed", **env: str
) -> Any:
    """A run in a process of its own, whose output goes to pipes."""
    return subprocess.run(
        [sys.executable, "-c", RUN, str(out), show, name, status],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
    )


def on_a_terminal(out: Path, script: str = RUN, **env: str) -> tuple[int, str]:
    """The exit status of a run on a pseudo-terminal, and everything it wrote there."""
    import pty

    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-c", script, str(out), "auto", "a-run", "completed"]
    process = subprocess.Popen(
        arguments, env=environment(**env), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += (part := os.read(ours, 65536))
        except OSError:  # Linux says so when the last writer is gone
            break
        if not part:
            break
    os.close(ours)
    return process.wait(), written.decode()


def test_a_pipe_gets_plain_aligned_lines(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0
    assert not re.search(r"[^\n\x20-\x7e]", done.stdout)
    lines = done.stdout.splitlines()
    title = next(i for i, line in enumerate(lines) if "train loss" in line)
    values = ["1.5000", "25.00%", "1.7500", "37.50%", "0.1", "1,000", "0.4"]
    assert lines[title + 1].split() == ["1", *values]
    assert {len(line) for line in lines[title : title + 3]} == {len(lines[title])}
    assert "completed: reached its last step" in lines
    assert "accuracy   val 75.00%, test 70.00%" in lines
    assert f"folder     {tmp_path / 'a-run'}" in lines


def test_an_ascii_only_log_takes_any_name(tmp_path: Path) -> None:
    out = tmp_path / "ünïcödé"
    done = run(out, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "still ('folder', 'lines')" in done.stderr


def test_what_is_being_loaded_is_said_at_a_terminal_and_taken_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with loading("torch"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with loading("torch"):
        printed, told = capsys.readouterr()
    assert (printed, told) == ("", "loading torch ...")
    assert capsys.readouterr().err.strip("\r ") == ""


def test_quiet_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "quiet")
    assert done.stdout == (f"completed: val 75.00%, test 70.00%, 0.8 s, {tmp_path / 'a-run'}\n")


def test_notes_of_a_quiet_run_go_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = start_of(tmp_path)
    noted = {"data": {"notes": ["2 files no image, skipped: a\x1b.png, b.png"]}}
    QuietTracker(replace(start, environment={**start.environment, **noted})).finish(outcome())
    printed, told = capfd.readouterr()
    assert len(printed.splitlines()) == 1
    assert told == "note: 2 files no image, skipped: a .png, b.png\n"


def test_a_run_without_a_test_split_says_that_val_is_all_there_is(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    untested = {**start.environment, "data": {"test_images": 0}}
    (note,) = wording.notes(replace(start, environment=untested))
    assert note.startswith("no test split: val")
    assert "test/<class>/ beside train/<class>/" in note
    assert f"note       {note}" in wording.header(replace(start, environment=untested))
    assert not wording.notes(start)
    on_test = start_of(tmp_path, data_validate_on="test")
    assert not wording.notes(replace(on_test, environment=untested))


def test_a_run_of_a_few_steps_says_so_unless_they_were_asked_for(tmp_path: Path) -> None:
    start = replace(start_of(tmp_path, train_max_steps=None), total_steps=19)
    (note,) = wording.notes(start)
    assert note.startswith("19 steps in all, in which little is learned: --set epochs=N")
    assert not wording.notes(replace(start, total_steps=20))
    asked = replace(start_of(tmp_path, train_max_steps=19), total_steps=19)
    assert not wording.notes(asked)


def test_mirrored_views_of_images_that_are_trained_on_as_they_are_are_noted(
    tmp_path: Path,
) -> None:
    plain, mirrored = {"flip": "off"}, {"flip": "alternating"}
    (note,) = wording.notes(start_of(tmp_path, train_tta="flip", data_augment=plain))
    assert "views of tta=flip are mirrored" in note
    assert not wording.notes(start_of(tmp_path, train_tta="flip", data_augment=mirrored))


def test_what_a_run_trains_on_is_said_before_it_trains(tmp_path: Path) -> None:
    start = start_of(tmp_path, train_batch_size=45)
    data = {"name": "pets", "classes": ["cat", "dog"], "shape": [3, 64, 48], "train_images": 45}
    told = data | {"test_images": 1200, "notes": ["all were resized to 64x64"]}
    lines = wording.header(replace(start, environment={"data": told}))
    assert "data       pets, 2 classes, 64x48, 45 training images, 1,200 test images" in lines
    assert lines[-2:] == [
        "note       all were resized to 64x64",
        "note       each step takes all 45 training images: there are no more",
    ]


def test_json_is_the_records_then_the_outcome_and_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, "json")
    *measured, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Record.from_plain(line) for line in measured] == records()
    assert end["event"] == "outcome"
    assert (end["status"], end["folder"]) == ("completed", str(tmp_path / "a-run"))


@pytest.mark.parametrize("show", ["lines", "json"])
def test_a_run_outlives_the_reader_of_its_output(tmp_path: Path, show: str) -> None:
    and_prints = RUN + "print('later', flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", and_prints, str(tmp_path), show, "a-run", "completed"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # what `| head` does
    with process.stderr:
        assert process.stderr.read() == "still ('folder',)\n"
    assert process.wait() == 0
    assert len((tmp_path / "a-run" / "metrics.jsonl").read_text().splitlines()) == len(records())


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_terminal_gets_a_bar_and_a_line_per_epoch_that_stays(tmp_path: Path) -> None:
    status, written = on_a_terminal(tmp_path)
    assert status == 0
    assert "━" in written
    assert re.search(r"epoch 1/2", written)
    assert "still ('folder', 'bar')" in written
    for line in (*wording.header(start_of(tmp_path)), wording.epoch_line(records()[-1])):
        assert line.rstrip() in written
    assert "completed: reached its last step" in written


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_killed_run_leaves_the_cursor_visible(tmp_path: Path) -> None:
    status, written = on_a_terminal(tmp_path, IS_KILLED)
    assert status == -signal.SIGKILL
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
@pytest.mark.parametrize(
    ("env", "controls"), [({"TERM": "dumb"}, ""), ({"NO_COLOR": "1"}, "KlhA")]
)
def test_a_terminal_without_colours_gets_none(
    tmp_path: Path, env: Mapping[str, str], controls: str
) -> None:
    _, written = on_a_terminal(tmp_path, **env)
    assert set(re.findall(r"\x1b\[[\d;?]*([A-Za-z])", written)) - {"m"} <= set(controls)
    assert not re.search(r"\x1b\[(3|4|9)\d", written)


@pytest.mark.parametrize(
    ("steps", "told"),
    [(20, "2 epochs"), (10, "1 epoch"), (7, "0.7 epochs"), (10**5, "10,000 epochs")],
)
def test_the_header_tells_the_length_as_the_summary_does(
    tmp_path: Path, steps: int, told: str
) -> None:
    start = replace(start_of(tmp_path), total_steps=steps, steps_per_epoch=10)
    ended = replace(outcome("completed", ""), steps=steps, epochs=steps / 10)
    assert any(line.endswith(f", {told}") for line in wording.header(start))
    assert any(f", {told}, " in line for line in wording.summary(start, ended))


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    start = start_of(tmp_path, "a-run")
    lines = wording.summary(start, outcome("interrupted", "stopped by SIGINT"))
    assert lines[0] == "interrupted: stopped by SIGINT"
    assert lines[-2:] == [
        f"next       fallline resume {tmp_path}/a-run",
        f"           fallline board {tmp_path}",
    ]


def test_control_characters_of_a_name_do_not_reach_the_screen(tmp_path: Path) -> None:
    start = start_of(tmp_path, data={"name": "\x1b]0;evil\x07\nline"})
    shown = "\n".join(wording.header(start))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert clean("a\tb\u202ec") == "a b c"


def test_what_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    line = wording.epoch_line(Record("epoch", 4, 1, 1.0, {"train/loss": float("nan")}))
    assert line.split() == ["1", "–", "–", "–", "–", "–", "–", "1.0"]


def test_progress_of_data_is_silent_when_short_and_never_on_standard_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = drawn_progress("lines")
    progress("decode pets", 1, 10)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr("fallline.track.terminal.SECONDS_BETWEEN_LINES", 0.0)
    progress("decode pets", 5, 10)
    progress("download pets.zip", 5_000, 0)
    assert capfd.readouterr() == ("", "decode pets: 50%\ndownload pets.zip: 5,000\n")
    drawn_progress("quiet")("decode pets", 5, 10)
    assert capfd.readouterr() == ("", "")


def test_progress_of_data_is_a_bar_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    progress = drawn_progress("bar")
    for done in range(11):
        progress("decode pets", done, 10)
    written = capfd.readouterr().out
    assert written.startswith("\rdecode pets  ────")
    assert written.endswith("━━━━  100%\x1b[K\n")


def test_auto_means_lines_where_output_is_no_terminal() -> None:
    assert settled("auto") == "lines"
    assert settled("json") == "json"


def test_a_run_s_own_log_all_reaches_the_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from fallline.track.lines import LinesTracker

    log_all(LinesTracker(start_of(tmp_path)), until=7)
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1].split()[0] == "1"  # the second epoch is not over
