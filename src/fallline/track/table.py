"""Every tracker. Adding one: a class that takes a RunStart, in a file here, and a row below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fallline.registry import Table

Wanted = Callable[[Mapping[str, Any], str], bool]


@dataclass(frozen=True)
class TrackerRow:
    """A row. `target` points to the class.

    `wanted` says whether a run has it, from the config's `track` section and the way to show
    (bar, lines, quiet, json or silent). A run cannot go on without a tracker that is `required`;
    it never waits for one that is `detached`, which lives in a thread of its own. Pictures are
    drawn for those that take `pictures`.
    """

    name: str
    summary: str
    target: str
    wanted: Wanted
    required: bool = False
    detached: bool = False
    pictures: bool = False


def _always(track: Mapping[str, Any], show: str) -> bool:
    return True


def _shown_as(way: str) -> Wanted:
    return lambda track, show: show == way


TRACKERS = Table(
    "tracker",
    [
        TrackerRow(
            "folder",
            "metrics.jsonl in the run folder; always on",
            "fallline.track.folder:FolderTracker",
            _always,
            required=True,
        ),
        TrackerRow(
            "tensorboard",
            "curves, settings, pictures for `fallline board`; off by track.tensorboard=false",
            "fallline.track.tensorboard:TensorBoardTracker",
            lambda track, show: bool(track.get("tensorboard")),
            pictures=True,
        ),
        TrackerRow(
            "wandb",
            "Weights & Biases; track.wandb=offline or online",
            "fallline.track.wandb:WandbTracker",
            lambda track, show: track.get("wandb", "off") != "off",
            detached=True,
            pictures=True,
        ),
        TrackerRow(
            "bar",
            "a progress bar and a line per epoch; what a terminal gets",
            "fallline.track.bar:BarTracker",
            _shown_as("bar"),
        ),
        TrackerRow(
            "lines",
            "a line per epoch; what log files and pipes get",
            "fallline.track.lines:LinesTracker",
            _shown_as("lines"),
        ),
        TrackerRow(
            "quiet",
            "the outcome in one line; --quiet",
            "fallline.track.lines:QuietTracker",
            _shown_as("quiet"),
        ),
        TrackerRow(
            "json",
            "one JSON object per measurement; --json",
            "fallline.track.lines:JsonTracker",
            _shown_as("json"),
        ),
    ],
)
