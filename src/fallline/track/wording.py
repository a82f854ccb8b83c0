"""What a person reads of a run: pure functions from its start, records and outcome to lines."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fallline.records import Outcome, Record
from fallline.track.terminal import clean
from fallline.track.tracker import RunStart

NOTHING: Final = "–"
FEW_STEPS: Final = 20  # of a whole run


@dataclass(frozen=True)
class Column:
    """A column of the table of epochs; `value` takes a record's values."""

    title: str
    width: int
    value: Callable[[Record], str]


def header(start: RunStart) -> list[str]:
    """The lines above a run: its name, and what trains on what."""
    config, around = start.config, start.environment
    optim, train = config.get("optim", {}), config.get("train", {})
    facts = {
        "run": f"{start.name}" + (f", from step {start.resumed_at:,}" if start.resumed_at else ""),
        "model": _and(config.get("model", {}).get("name"), _count(around, "parameters")),
        "optimizer": _and(optim.get("name"), f"lr {lr(optim.get('lr'))}"),
        "data": _data(around.get("data", {}), config),
        "length": f"{counted(start.total_steps, 'step')} in {batches(train)}, "
        f"{_epochs(start.total_steps / max(1, start.steps_per_epoch))}",
        "device": _and(around.get("device_name") or around.get("device"), train.get("precision")),
    }
    lines = [(name, text) for name, text in facts.items() if text]
    lines += [("note", note) for note in notes(start)]
    return [f"{name:<9}  {clean(text)}" for name, text in lines]


def batches(train: Mapping[str, Any]) -> str:
    """How large they are, and how much of each is trained on, from the settings of `train`."""
    share = train.get("hardest") or 1
    words = f"batches of {train.get('batch_size')}"
    return words if share == 1 else f"{words}, the hardest {share:.0%} of each trained on"


def titles() -> str:
    """The line above the epochs."""
    return "  ".join(f"{column.title:>{column.width}}" for column in COLUMNS)


def epoch_line(record: Record) -> str:
    """One epoch, aligned below `titles`."""
    return "  ".join(f"{column.value(record):>{column.width}}" for column in COLUMNS)


def summary(start: RunStart, outcome: Outcome) -> list[str]:
    """The lines below a run: how it ended, how good it is, and what to type next."""
    cold = outcome.cold_start_seconds
    after = f" after a cold start of {_duration(cold)}" if cold else ""
    lines = [
        f"{outcome.status}: {clean(outcome.reason)}",
        f"accuracy   {accuracies(start, outcome)}",
        f"time       {_duration(outcome.train_seconds)} of training{after}, "
        f"{_duration(outcome.wall_seconds)} with evaluating and saving, "
        f"{_epochs(outcome.epochs)}, "
        f"{counted(outcome.steps, 'step')}",
        f"folder     {start.folder.path}",
    ]
    nexts = what_next(start, outcome)
    return lines + [f"{'next' if not i else '':<9}  {command}" for i, command in enumerate(nexts)]


def notes(start: RunStart) -> list[str]:
    """What to know of the images, in a line each, before any training."""
    data = start.environment.get("data", {})
    told = [clean(note) for note in data.get("notes", ())]
    train = start.config.get("train", {})
    images, size = data.get("train_images"), train.get("batch_size")
    if images and images == size:
        told.append(f"each step takes all {images:,} training images: there are no more")
    if start.total_steps < FEW_STEPS and not train.get("max_steps"):
        told.append(
            f"{counted(start.total_steps, 'step')} in all, in which little is learned: --set "
            "epochs=N takes more, and without a preset the length suits the images"
        )
    mirrors = start.config.get("data", {}).get("augment", {}).get("flip", "off") != "off"
    if train.get("tta", "off") != "off" and not mirrors:
        told.append(
            f"the views of tta={train['tta']} are mirrored, but these images are trained on as "
            "they are: averaging may do harm"
        )
    held_out = start.config.get("data", {}).get("validate_on") == "val"
    if held_out and data.get("test_images") == 0:
        told.append(
            "no test split: val, on which choices are made, is all there is to judge by "
            "(to have one, put images into test/<class>/ beside train/<class>/)"
        )
    return told


def last_line(start: RunStart, outcome: Outcome) -> str:
    """The outcome in one line."""
    parts = [accuracies(start, outcome), f"{outcome.train_seconds:.1f} s", str(start.folder.path)]
    reason = "" if outcome.status == "completed" else f" ({clean(outcome.reason)})"
    return f"{outcome.status}{reason}: " + ", ".join(parts)


def accuracies(start: RunStart, outcome: Outcome) -> str:
    """Every accuracy that was measured, in percent."""
    on_test = start.config.get("data", {}).get("validate_on") == "test"
    measured = {
        f"val{' (the test split)' if on_test else ''}": outcome.val_accuracy,
        "val with views averaged": outcome.val_accuracy_tta,
        "best val": outcome.best_val_accuracy,
        "test": outcome.test_accuracy,
        "test with views averaged": outcome.test_accuracy_tta,
    }
    if outcome.best_val_accuracy == outcome.val_accuracy:
        del measured["best val"]
    told = [f"{name} {percent(value)}" for name, value in measured.items() if value is not None]
    return ", ".join(told) or "not measured yet"


def what_next(start: RunStart, outcome: Outcome) -> list[str]:
    """The commands that make sense now."""
    run, runs = (shlex.quote(str(p)) for p in (start.folder.path, start.folder.path.parent))
    commands = (
        [f"fallline board {runs}"] if start.config.get("track", {}).get("tensorboard") else []
    )
    if outcome.status in ("interrupted", "failed", "pruned"):
        return [f"fallline resume {run}", *commands]
    if outcome.status == "diverged":
        return ["the same again with a lower rate: --set lr=...", *commands]
    kept = start.config.get("train", {}).get("keep_weights", True)
    used = [f"fallline report {run} --open"] + [f"fallline predict {run} IMAGE..."] * kept
    return [*used, *commands]


def counted(number: int, noun: str) -> str:
    """How many there are: 1 step, 1,000 steps."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _epochs(number: float) -> str:
    """How many there are, parts of one too: 1 epoch, 0.72 epochs."""
    whole_or_not = f"{number:,.0f}" if number == int(number) else f"{number:.4g}"
    return f"{whole_or_not} epoch{'s' * (number != 1)}"


def epochs(start: RunStart) -> int:
    """Epochs of the whole run; the last one may be a part."""
    return math.ceil(start.total_steps / max(1, start.steps_per_epoch))


def percent(value: Any) -> str:
    """A fraction in percent."""
    return f"{value:.2%}" if _is_number(value) else NOTHING


def lr(value: Any) -> str:
    """A learning rate in three digits: 0.0123, or 1.23e-05 where that is shorter."""
    return f"{value:.3g}" if _is_number(value) else NOTHING


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    return str(timedelta(seconds=max(0, round(seconds))))


def _loss(value: Any) -> str:
    return f"{value:.4f}" if _is_number(value) else NOTHING


def whole(value: Any) -> str:
    """A number without its fraction: 12,345."""
    return f"{value:,.0f}" if _is_number(value) else NOTHING


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else clock(seconds)


def _and(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _count(facts: Mapping[str, Any], name: str) -> str:
    return f"{facts[name]:,} {name}" if isinstance(facts.get(name), int) else ""


def _data(data: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    images, tested = data.get("train_images"), data.get("test_images")
    _, *sides = data.get("shape", (None,))
    return _and(
        data.get("name") or config.get("data", {}).get("name"),
        f"{len(data['classes'])} classes" if data.get("classes") else "",
        "x".join(map(str, sides)),
        f"{images:,} training images" if images else "",
        data.get("validation"),
        f"{tested:,} test images" if tested else "",
    )


def _of(name: str, words: Callable[[Any], str]) -> Callable[[Record], str]:
    return lambda record: words(record.values.get(name))


COLUMNS: Final = (
    Column("epoch", 5, lambda record: str(record.epoch)),
    Column("train loss", 10, _of("train/loss", _loss)),
    Column("train acc", 9, _of("train/accuracy", percent)),
    Column("val loss", 8, _of("val/loss", _loss)),
    Column("val acc", 7, _of("val/accuracy", percent)),
    Column("lr", 9, _of("lr", lr)),
    Column("images/s", 8, _of("images_per_second", whole)),
    Column("seconds", 7, lambda record: f"{record.train_seconds:.1f}"),
)
