"""What a run leaves behind: measurements, the outcome, and the folder that holds them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from fallline.errors import RunError, Status
from fallline.storage import write_atomically

RUNS: Final = "runs"
"""The folder that gets run folders where nobody names another."""


@dataclass(frozen=True)
class Record:
    """One measurement of a run: of a batch, of an epoch, or at the end the score on test.

    `values` are under the names that TensorBoard and W&B show too (`train/batch_loss`,
    `val/accuracy`, `lr`, ...): accuracies are fractions, the optimizer is text. `epoch` counts
    from 1; `step` is the number of steps done; `train_seconds` is the training clock.
    """

    event: Literal["batch", "epoch", "test"]
    step: int
    epoch: int
    train_seconds: float
    values: Mapping[str, float | str]

    @property
    def is_evaluation(self) -> bool:
        """Whether it holds an epoch's score on val."""
        return self.event == "epoch" and "val/loss" in self.values

    def as_json(self) -> str:
        """One line of metrics.jsonl; a number that is not finite becomes null."""
        plain = {"event": self.event, "step": self.step, "epoch": self.epoch}
        measured = {"train_seconds": round(self.train_seconds, 6), **self.values}
        return json.dumps(plain | {name: finite(value) for name, value in measured.items()})

    @classmethod
    def from_plain(cls, line: Mapping[str, Any]) -> Record:
        """The record a line of metrics.jsonl was written from; null becomes nan."""
        own = ("event", "step", "epoch", "train_seconds")
        values = {k: math.nan if v is None else v for k, v in line.items() if k not in own}
        return cls(line["event"], line["step"], line["epoch"], line["train_seconds"], values)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. Accuracies are fractions; seconds are of the training clock or the wall.

    `gradients` counts forward-backward passes of a batch: SAM takes two in a step.
    `cold_start_seconds` went by before the training clock ran, since the run was last begun or
    gone on with, in compilers or in a GPU's choice of kernels; `wall_seconds` has them.
    """

    status: Status
    reason: str
    epochs: float
    steps: int
    train_seconds: float
    wall_seconds: float
    images_seen: int
    gradients: int = 0
    cold_start_seconds: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    best_val_accuracy: float | None = None
    val_accuracy_tta: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_accuracy_tta: float | None = None
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> str:
        """The text of outcome.json; what was not measured is left out."""
        values = {k: finite(v) for k, v in asdict(self).items() if v is not None}
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Reads outcome.json; fields of later versions are passed over. Raises TypeError."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in json.loads(text).items() if k in known}
        if values.get("status") not in get_args(Status):
            raise TypeError(f"there is no status {values.get('status')!r}")
        for name in known - {"status", "reason", "notes"}:
            if not isinstance(values.get(name, 0), int | float | None):
                raise TypeError(f"{name} is no number: {values[name]!r}")
        return cls(**values | {"notes": tuple(map(str, values.get("notes", ())))})


def finite(value: Any) -> Any:
    """The value, or None where JSON has no number for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_name(words: str, default: str) -> str:
    """A folder's name from what somebody typed: whatever that is, it stays inside --out."""
    return re.sub(r"[^A-Za-z0-9_+=-]+", "-", words).strip("-")[:100] or default


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; the only thing that reports read."""

    path: Path

    @property
    def config(self) -> Path:
        """The complete config."""
        return self.path / "config.json"

    @property
    def environment(self) -> Path:
        """Versions, device, CPU flags, data fingerprint, command, origin of each setting."""
        return self.path / "environment.json"

    @property
    def metrics(self) -> Path:
        """One record per line."""
        return self.path / "metrics.jsonl"

    @property
    def outcome(self) -> Path:
        """How the run ended."""
        return self.path / "outcome.json"

    @property
    def trial(self) -> Path:
        """What a run of a sweep or a comparison is there: which trial, which parameters, why."""
        return self.path / "trial.json"

    @property
    def program(self) -> Path:
        """What somebody's own script has in the place of a config: the command that ran it."""
        return self.path / "program.json"

    @property
    def predictions(self) -> Path:
        """The last evaluation image by image: labels, predictions, losses."""
        return self.path / "predictions.npz"

    @property
    def mistakes(self) -> Path:
        """The images of the worst mistakes, one below the other, worst first."""
        return self.path / "mistakes.png"

    @property
    def checkpoints(self) -> Path:
        """The last two checkpoints."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """W&B's files."""
        return self.path / "wandb"

    @classmethod
    def named(cls, out: str | Path, name: str) -> RunFolder:
        """The folder `name` in `out`, there or not; raises RunError if the name strays."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+=-]{0,149}", name):
            raise RunError(
                "this name cannot be a run's",
                seen=repr(name),
                allowed="up to 150 letters, digits and . _ - + =, not starting with a dot",
                next="choose another --name",
            )
        return cls(Path(out) / name)

    @classmethod
    def all_in(cls, folder: Path) -> list[RunFolder]:
        """The runs directly in a folder, by name, those of scripts too."""
        marks = [mark for name in ("config", "program") for mark in folder.glob(f"*/{name}.json")]
        return [cls(path) for path in sorted({mark.parent for mark in marks})]

    @property
    def is_run(self) -> bool:
        """Whether a run has begun here."""
        return self.config.is_file() or self.program.is_file()

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run's folder; raises RunError if `path` is none."""
        folder = cls(Path(path))
        if not folder.config.is_file():
            if held := cls.all_in(folder.path):
                raise RunError(
                    "this is a folder of runs, and one run is asked for",
                    seen=f"{path} holds {len(held)}",
                    allowed=f"one of them, such as {held[0].path}",
                    next=f"rank them with: fallline report {path}",
                )
            inside = cls(Path(RUNS) / path)
            guess = f"did you mean {inside.path}?" if inside.is_run else None
            raise RunError(
                "this is no run folder",
                seen=f"{path} holds no config.json",
                next=guess or "see the runs with: fallline list runs",
            )
        return folder

    def write_outcome(self, outcome: Outcome) -> None:
        """Writes outcome.json, whole or not at all."""
        write_atomically(self.outcome, outcome.as_json())

    def read_outcome(self) -> Outcome | None:
        """The outcome, or None while there is none."""
        if not self.outcome.is_file():
            return None
        text = json.dumps(_read_object(self.outcome))
        try:
            return Outcome.from_json(text)
        except TypeError as error:  # a field is missing, or another type
            raise _unreadable(self.outcome, str(error)) from error

    def read_config(self) -> dict[str, Any]:
        """config.json as plain data."""
        return _read_object(self.config)

    def read_program(self) -> dict[str, Any]:
        """program.json as plain data."""
        return _read_object(self.program)

    def read_environment(self) -> dict[str, Any]:
        """environment.json as plain data."""
        return _read_object(self.environment)

    def read_trial(self) -> dict[str, Any]:
        """trial.json as plain data."""
        return _read_object(self.trial)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole record; a last line that a kill cut short is passed over.

        Raises RunError for any other line that is none.
        """
        return list(self._whole_records())

    def _whole_records(self) -> Iterator[dict[str, Any]]:
        if self.metrics.is_file():
            *lines, last = self.metrics.read_bytes().split(b"\n")
            for number, line in enumerate([*lines, last] if last else lines, 1):
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    if line is last and (lines or line.startswith(b"{")):
                        return
                    raise _unreadable(self.metrics, f"line {number}: {error}") from error

    def cut_metrics(self, step: int) -> None:
        """Drops what a run resumed after `step` will write again.

        That is every later record, and the score on test, which comes when all steps are done.
        """
        kept = [r for r in self._whole_records() if r["step"] <= step and r["event"] != "test"]
        write_atomically(self.metrics, "".join(json.dumps(r) + "\n" for r in kept))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _unreadable(path, "no JSON object")
    return value


def _unreadable(path: Path, seen: str) -> RunError:
    return RunError(
        f"cannot read {path}",
        seen=seen,
        allowed="the JSON object that the run wrote there",
        next="bring the file back as it was; if that cannot be, train anew: fallline train",
    )
