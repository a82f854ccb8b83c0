"""From paths to what a report is about: run folders, and the file that binds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fallline.compare.comparison import COMPARISON, Comparison, comparison_of
from fallline.compare.evidence import PLAN
from fallline.data.imageset import Progress
from fallline.errors import RunError
from fallline.records import RunFolder
from fallline.report.metric import Metric
from fallline.report.run import Run, read_run

Kind = Literal["run", "runs", "sweep", "comparison"]


@dataclass(frozen=True)
class Source:
    """What a report is about.

    `facts` is what sweep.json holds, for a sweep; else it is empty. `comparison` is its results,
    for a comparison, which may have been kept without its runs.
    """

    kind: Kind
    name: str
    paths: tuple[Path, ...]
    runs: tuple[Run, ...]
    metric: Metric
    facts: Mapping[str, Any]
    comparison: Comparison | None = None


def read_source(paths: Sequence[Path], progress: Progress) -> Source:
    """Reads every run folder that the paths hold.

    Args:
        paths: run folders, sweeps, or folders of them.
        progress: told how many folders are read.

    Raises RunError if a path holds no run.
    """
    compared = _comparison(paths[0]) if len(paths) == 1 else None
    if compared and not _has_runs(paths[0]):
        return Source("comparison", compared.plan.name, tuple(paths), (), Metric(), {}, compared)
    folders = list(dict.fromkeys(folder for path in paths for folder in run_folders(path)))
    runs = []
    for done, folder in enumerate(folders, 1):
        runs.append(read_run(folder))
        progress("reading runs", done, len(folders))
    facts = _sweep(paths[0]) if len(paths) == 1 else {}
    searched = facts or _sweep(folders[0].parent)
    is_ours = not any(run.program for run in runs)
    metric = Metric.of_sweep(searched.get("metric") or {}, is_ours=is_ours)
    kind: Kind = "sweep" if facts else "run" if len(runs) == 1 else "runs"
    kind = "comparison" if compared else kind
    name = str(facts.get("name") or paths[0].resolve().name)
    return Source(kind, name, tuple(paths), tuple(runs), metric, facts, compared)


def run_folders(path: Path) -> list[Path]:
    """The run folder `path` is, or those directly in it. Raises RunError if there is none."""
    if RunFolder(path).is_run:
        return [path]
    found = [folder.path for folder in RunFolder.all_in(path)]
    if found:
        return found
    deeper = next((inner for inner in sorted(path.glob("*/")) if RunFolder.all_in(inner)), None)
    raise RunError(
        "there is no run to report on",
        seen=f"{path} holds no run folder" if path.exists() else f"{path} does not exist",
        allowed="a run folder, a sweep, a comparison, or a folder of runs",
        next=f"did you mean {deeper}?" if deeper else "see the runs with: fallline list runs",
    )


def _has_runs(path: Path) -> bool:
    return any(path.glob("*/config.json"))


def _comparison(path: Path) -> Comparison | None:
    """Made anew from the plan and the runs where they are, else as it was written."""
    file = path / COMPARISON
    if (path / PLAN).is_file() and (_has_runs(path) or not file.is_file()):
        return comparison_of(path)
    if not file.is_file():
        return None
    try:
        return Comparison.from_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {file}", seen=str(error)) from error


def _sweep(path: Path) -> dict[str, Any]:
    file = path / "sweep.json"
    if not file.is_file():
        return {}
    try:
        facts = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {file}", seen=str(error)) from error
    return facts if isinstance(facts, dict) else {}
