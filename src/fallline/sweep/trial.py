"""One task carried out in this process: a run begun, gone on with, or found to have ended."""

from __future__ import annotations

import shutil
import traceback
from functools import lru_cache
from typing import Final

from filelock import FileLock

from fallline.config import DataConfig, RunConfig
from fallline.data import ImageSet
from fallline.data.imageset import silent
from fallline.errors import Pruned
from fallline.records import Outcome, Record, RunFolder
from fallline.sweep.backend import Ended, Failed, Report, Task
from fallline.sweep.program import run_program
from fallline.training.images import load_images
from fallline.training.resolve import Resolved

SECONDS_FOR_THE_LAST_LIFE: Final = 60.0  # to save and leave, when its coordinator was killed
ENDED: Final = ("completed", "diverged", "pruned")


def carry_out(task: Task, report: Report) -> Ended | Failed:
    """Runs a task to an outcome, whatever its run folder holds from an earlier life.

    A run that ended there is told again; one that was stopped or killed goes on from its last
    checkpoint; one that had hardly begun begins anew.

    Args:
        task: what to train.
        report: told every evaluated epoch, those of earlier lives first. A task that `obeys` ends
            as pruned for the reason it returns.

    A signal that stops the training gives the outcome `interrupted`.
    """
    try:
        if task.program is not None:
            return run_program(task, task.program, report)
        return Ended(task.key, _outcome(task, report))
    except Exception as error:  # any: it is the coordinator's to judge
        message, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        if not _is_of_memory(error):
            return Failed(task.key, "user", message, trace)
        _empty_caches()
        return Failed(task.key, "memory", message, trace)


def _outcome(task: Task, report: Report) -> Outcome:
    folder = RunFolder(task.out / task.key)
    ended = _earlier_life(folder)
    if ended is not None:
        _tell_again(folder, report)
        return ended
    try:
        return _train(task, folder, report)
    except (KeyboardInterrupt, SystemExit):  # what a run raises when it is saved after a signal
        outcome = folder.read_outcome()
        if outcome is None:
            raise
        return outcome


def _train(task: Task, folder: RunFolder, report: Report) -> Outcome:
    from fallline.training.run import begin, resume  # loads torch

    def on_eval(record: Record) -> None:
        reason = report(record)
        if reason is not None:
            raise Pruned(reason)

    config = RunConfig.model_validate(task.config)
    images = _images(config.data.name, config.data.image_size, config.data.channels)
    if folder.config.exists():
        return resume(folder.path, images=images, show="quiet", on_eval=on_eval).outcome
    task.out.mkdir(parents=True, exist_ok=True)
    run = begin(
        Resolved(config, task.origins),
        images=images,
        trial=task.trial,
        out=task.out,
        name=task.key,
        show="quiet",
        on_eval=on_eval,
    )
    return run.outcome


def _earlier_life(folder: RunFolder) -> Outcome | None:
    """The outcome of a run that ended; a folder that never became a run is removed."""
    if not folder.path.exists():
        return None
    with FileLock(folder.path / ".lock", timeout=SECONDS_FOR_THE_LAST_LIFE):
        outcome = folder.read_outcome()
        if outcome is not None and outcome.status in ENDED:
            return outcome
        if not folder.config.exists():
            shutil.rmtree(folder.path)
    return None


def _tell_again(folder: RunFolder, report: Report) -> None:
    """Reports what a run measured that ended unheard."""
    for line in folder.read_metrics():
        record = Record.from_plain(line)
        if record.event == "epoch" and "val/loss" in record.values:
            report(record)


@lru_cache(maxsize=1)
def _images(name: str, image_size: int | None, channels: int | None) -> ImageSet:
    """The images, once for all tasks of this process: opening them reads every byte."""
    chosen = DataConfig(name=name, image_size=image_size, channels=channels)
    return load_images(chosen, silent)


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch says so in words where the CPU's did."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)


def _empty_caches() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
