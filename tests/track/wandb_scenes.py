"""Scenes with W&B, one a process: its service and its exit hooks stay out of the tests'.

Usage: wandb_scenes.py SCENE FOLDER. Prints a JSON object: what was told, how long things took, and
what the server got.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from sample_run import log_all, outcome, start_of, whole_run
from wandb_stub import Stub

from fallline.track.folder import FolderTracker
from fallline.track.tracker import RunStart

KEY = "a" * 40
FINISH_SECONDS = 2.0


def open_wandb(start: RunStart) -> Any:
    """A tracker that gives up sending after two seconds instead of ten."""
    from fallline.track import wandb

    vars(wandb)["SECONDS_TO_FINISH"] = FINISH_SECONDS
    return wandb.WandbTracker(start)


def offline(out: Path, server: Stub) -> None:
    whole_run(open_wandb(start_of(out, track_wandb="offline", track_wandb_group="g")))


def offline_resumed(out: Path, server: Stub) -> None:
    start = start_of(out, track_wandb="offline")
    folder, first = FolderTracker(start), open_wandb(start)
    for tracker in (folder, first):
        log_all(tracker, until=7)
        tracker.finish(outcome("interrupted"))
    time.sleep(1.0)  # W&B names folders by the second
    again = start_of(out, resumed_at=6, track_wandb="offline")
    for tracker in (FolderTracker(again), open_wandb(again)):
        log_all(tracker, after=6)
        tracker.finish(outcome())


def online(out: Path, server: Stub) -> None:
    whole_run(open_wandb(start_of(out, track_wandb="online")), "interrupted")


def online_resumed(out: Path, server: Stub) -> None:
    start = start_of(out, track_wandb="online")
    folder, first = FolderTracker(start), open_wandb(start)
    for tracker in (folder, first):
        log_all(tracker, until=7)
        tracker.finish(outcome("interrupted"))
    again = start_of(out, resumed_at=6, track_wandb="online")
    for tracker in (FolderTracker(again), open_wandb(again)):
        log_all(tracker, after=6)
        tracker.finish(outcome())


def no_key(out: Path, server: Stub) -> None:
    del os.environ["WANDB_API_KEY"]
    os.environ["NETRC"] = str(out / "none")
    os.environ["HOME"] = str(out)
    whole_run(open_wandb(start_of(out, track_wandb="online")))


def refused(out: Path, server: Stub) -> None:
    server.server_close()
    whole_run(open_wandb(start_of(out, track_wandb="online")))


def hanging(out: Path, server: Stub) -> None:
    server.hanging.set()
    whole_run(open_wandb(start_of(out, track_wandb="online")))


def hanging_after_the_greeting(out: Path, server: Stub) -> None:
    server.hangs_at = "UpsertBucket"
    whole_run(open_wandb(start_of(out, track_wandb="online")))


def dies_midway(out: Path, server: Stub) -> None:
    tracker = open_wandb(start_of(out, track_wandb="online"))
    log_all(tracker, until=4)
    server.shutdown()
    server.server_close()
    began = time.monotonic()
    log_all(tracker, after=4)
    server.seconds_logging = time.monotonic() - began
    tracker.finish(outcome())


SCENES: Mapping[str, Callable[[Path, Stub], None]] = {
    scene.__name__: scene
    for scene in (
        offline,
        offline_resumed,
        online,
        online_resumed,
        no_key,
        refused,
        hanging,
        hanging_after_the_greeting,
        dies_midway,
    )
}


def main(scene: str, out: Path) -> None:
    server, told = Stub(), io.StringIO()
    os.environ |= {
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": KEY,
        "WANDB_CONFIG_DIR": str(out),
    }
    import fallline.track.wandb  # noqa: F401  its import is not what is timed

    began = time.monotonic()
    with redirect_stderr(told):
        SCENES[scene](out, server)
    result = {
        "told": told.getvalue().splitlines(),
        "seconds": time.monotonic() - began,
        "seconds_logging": server.seconds_logging,
        "rows": [(row["_step"], row["step"]) for row in server.history],
        "exit_code": server.exit_code,
        "preempting": server.preempting,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
