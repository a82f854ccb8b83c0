from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sample_run import STEPS, log_all, outcome, records, start_of

from fallline.errors import StorageError
from fallline.records import Record, RunFolder
from fallline.track.folder import FolderTracker

LOGS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from sample_run import log_all, start_of
from fallline.track.folder import FolderTracker
log_all(FolderTracker(start_of(Path(sys.argv[1]))))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_record_is_a_line_that_comes_back_as_it_was(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    tracker = FolderTracker(start)
    log_all(tracker)
    tracker.finish(outcome())
    assert [Record.from_plain(line) for line in start.folder.read_metrics()] == records()


def test_what_was_logged_survives_sigkill(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGS_AND_IS_KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == -signal.SIGKILL
    assert len(RunFolder(tmp_path / "a-run").read_metrics()) == len(records())


def test_a_resumed_run_cuts_back_to_its_checkpoint_and_a_torn_line(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    tracker = FolderTracker(start)
    log_all(tracker, until=7)
    tracker.finish(outcome("interrupted"))
    with start.folder.metrics.open("a") as file:
        file.write('{"event": "bat')
    again = start_of(tmp_path, resumed_at=6)
    tracker = FolderTracker(again)
    assert again.past == records(until=6)
    log_all(tracker, after=6)
    tracker.finish(outcome())
    assert [line["step"] for line in again.folder.read_metrics()] == [r.step for r in records()]
    assert again.folder.read_metrics()[-1]["step"] == STEPS


def test_no_number_is_written_as_null(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    tracker = FolderTracker(start)
    tracker.log(Record("batch", 1, 1, 0.1, {"train/batch_loss": float("inf")}))
    tracker.finish(outcome())
    (line,) = start.folder.metrics.read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["train/batch_loss"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_storage_error_that_names_the_file(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    start.folder.metrics.symlink_to("/dev/full")
    tracker = FolderTracker(start)
    with pytest.raises(StorageError, match=r"metrics\.jsonl") as caught:
        log_all(tracker)
    assert "No space left" in str(caught.value)
    tracker.finish(outcome("failed"))  # does not raise a second time
