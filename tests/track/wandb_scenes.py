"""Scenes with W&B, in processes of their own: its service and exit hooks stay out of the tests'.

Usage: wandb_scenes.py FOLDER SCENE... Plays each in a folder of its name below FOLDER. Prints a
JSON object: for each scene what was told, how long it took, and what the server got.
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

from sample_run import PICTURE, STEPS, log_all, outcome, start_of, whole_run
from wandb_stub import Stub

from fallline.track.folder import FolderTracker
from fallline.track.tracker import RunStart

KEY = "a" * 40
PATIENCE_SECONDS = 2.0


def open_wandb(start: RunStart) -> Any:
    """A tracker that waits for two seconds where others wait for up to ten."""
    from fallline.track import wandb

    for wait in ("SECONDS_TO_ANSWER", "SECONDS_TO_BEGIN", "SECONDS_TO_FINISH"):
        vars(wandb)[wait] = PATIENCE_SECONDS
    return wandb.WandbTracker(start)


def offline(out: Path, server: Stub) -> None:
    settings: dict[str, Any] = {"track_wandb": "offline", "track_wandb_group": "g"}
    start = start_of(out, **settings)
    folder, first = FolderTracker(start), open_wandb(start)
    for tracker in (folder, first):
        log_all(tracker, until=7)
        tracker.finish(outcome("interrupted"))
    time.sleep(1.0)  # W&B names folders by the second
    again = start_of(out, resumed_at=6, **settings)
    for tracker in (FolderTracker(again), open_wandb(again)):
        log_all(tracker, after=6)
        tracker.show("confusion/test", PICTURE, STEPS)
        tracker.finish(outcome())


def online(out: Path, server: Stub) -> None:
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
        online,
        no_key,
        refused,
        hanging,
        hanging_after_the_greeting,
        dies_midway,
    )
}


def play(scene: str, out: Path) -> dict[str, Any]:
    """One scene, and what came of it."""
    import wandb

    server, told = Stub(), io.StringIO()
    os.environ |= {
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": KEY,
        "WANDB_CONFIG_DIR": str(out),
    }
    began = time.monotonic()
    with redirect_stderr(told):
        SCENES[scene](out, server)
    seconds = time.monotonic() - began
    wandb.teardown()
    return {
        "told": told.getvalue().splitlines(),
        "seconds": seconds,
        "seconds_logging": server.seconds_logging,
        "rows": [(row["_step"], row["step"]) for row in server.history],
        "exit_codes": server.exit_codes,
        "preempting": server.preempting,
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "cwd").mkdir()
    os.chdir(folder / "cwd")
    results = {}
    for name in sys.argv[2:]:
        (folder / name).mkdir()
        results[name] = play(name, folder / name)
    print(json.dumps(results))
