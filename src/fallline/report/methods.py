"""How it was done: splits, budgets, spaces, hardware and versions, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fallline.report.configuration import written
from fallline.report.run import Run
from fallline.report.sources import Source
from fallline.track.wording import batches


@dataclass(frozen=True)
class Method:
    """One thing that was done, and how; several ways where runs differ."""

    what: str
    how: tuple[str, ...]


@dataclass(frozen=True)
class Methods:
    """How it was done, and the command that does it again."""

    kind: ClassVar[str] = "methods"
    items: tuple[Method, ...]
    command: str


def methods_of(source: Source, command: str) -> Methods:
    """What all runs have in common, and in what they differ."""
    told = {
        "images": _images,
        "splits": lambda run: str(run.environment.get("data", {}).get("validation") or ""),
        "budget": _budget,
        "schedule": lambda run: str(run.settings.get("schedule.name") or ""),
        "augmentation": _augmentation,
        "hardware": _hardware,
        "versions": _versions,
    }
    items = [Method(what, _ways(source.runs, words)) for what, words in told.items()]
    return Methods(tuple(item for item in items if item.how), command)


def _ways(runs: Sequence[Run], words: Callable[[Run], str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for run in runs if run.config and (text := words(run))))


def _images(run: Run) -> str:
    data = run.environment.get("data", {})
    if not data.get("shape"):
        return ""
    channels, height, width = data["shape"]
    counts = [f"{data[f'{s}_images']:,} {s}" for s in ("train", "val", "test")]
    return (
        f"{data['name']}: {len(data['classes'])} classes, {width} × {height} pixels, "
        f"{'grey' if channels == 1 else 'colour'}; {', '.join(counts)} (fingerprint "
        f"{str(data['fingerprint'])[:12]})"
    )


def _budget(run: Run) -> str:
    train = {name: run.settings.get(f"train.{name}") for name in ("batch_size", "hardest")}
    epochs, cap = run.settings.get("train.epochs"), run.settings.get("train.max_steps")
    return f"{written(epochs)} epochs in {batches(train)}" + (f", {cap} steps" if cap else "")


def _augmentation(run: Run) -> str:
    prefix = "data.augment."
    on = {
        key.removeprefix(prefix): value
        for key, value in run.settings.items()
        if key.startswith(prefix) and value not in (0, 0.0, "off", None)
    }
    return ", ".join(f"{key} {written(value)}" for key, value in on.items()) or "none"


def _hardware(run: Run) -> str:
    around = run.environment
    if not around:
        return ""
    flags = "".join(f", {flag}" for flag in around.get("cpu_flags", ()))
    return (
        f"{around.get('device_name')}: CPU threads {around.get('threads')}, "
        f"{around.get('precision')}{flags}; {around.get('platform')}"
    )


def _versions(run: Run) -> str:
    return ", ".join(f"{k} {v}" for k, v in run.environment.get("versions", {}).items())
