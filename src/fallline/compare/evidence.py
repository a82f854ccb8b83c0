"""What the folder of a comparison holds: its plan, and each planned training as it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["completed", "diverged", "failed", "pruned", "interrupted", "missing"]


@dataclass(frozen=True)
class Point:
    """One evaluation on the way. `seconds` are of the training clock, `val` is a fraction."""

    step: int
    epoch: int
    seconds: float
    gradients: float
    val: float


@dataclass(frozen=True)
class Training:
    """One planned training, whether it came to a score or not.

    Attributes:
        trial: number of the configuration, from 0; a repeat has its configuration's.
        seed: what the run was seeded with.
        parameters: the searched settings, by dotted key.
        status: how it ended; `missing` where no outcome was left.
        reason: of that, in words.
        folder: its run folder, relative to the comparison's.
        steps, seconds, gradients: what it used up; seconds of the training clock.
        val, val_loss: at the end of the budget; None without a completed training.
        test: likewise; None where test was not touched, as in every tuning run.
        curve: its evaluations.
    """

    trial: int
    seed: int
    parameters: Mapping[str, Any]
    status: Ending
    reason: str
    folder: str
    steps: int = 0
    seconds: float = 0.0
    gradients: float = 0.0
    val: float | None = None
    val_loss: float | None = None
    test: float | None = None
    curve: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """What the trainings ran on and with.

    Attributes:
        versions: of the packages.
        devices: every device's name; more than one makes seconds hard to compare.
        threads: CPU threads of a training, every number that occurred.
        precisions: fp32 or bf16, every one that occurred.
        data: the image set's name, `fingerprint` its content's.
        classes: their number.
        train_images, val_images, test_images: sizes of the splits; 0 test images: no such split.
        validation: in words, what choices were made on.
        warnings: what makes these trainings less comparable than they should be.
    """

    versions: Mapping[str, str]
    devices: tuple[str, ...]
    threads: tuple[int, ...]
    precisions: tuple[str, ...]
    data: str
    fingerprint: str
    classes: int
    train_images: int
    val_images: int
    test_images: int
    validation: str
    warnings: tuple[str, ...] = ()
