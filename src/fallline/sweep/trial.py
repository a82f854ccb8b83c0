"""One task carried out in this process: a run begun, gone on with, or found to have ended."""

from __future__ import annotations

import json
import traceback
from functools import lru_cache

from fallline.config import DataConfig, RunConfig
from fallline.data import ImageSet
from fallline.data.imageset import silent
from fallline.errors import Pruned, RunError
from fallline.records import Outcome, Record, RunFolder
from fallline.sweep.backend import Ended, Failed, Report, Task
from fallline.sweep.program import run_program
from fallline.training.images import load_images
from fallline.training.resolve import Resolved


def carry_out(task: Task, report: Report, images: ImageSet | None = None) -> Ended | Failed:
    """Runs a task to an outcome, whatever its run folder holds from an earlier life.

    A run that ended there is told again; one that was stopped or killed goes on from its last
    checkpoint; one that had hardly begun begins anew.

    Args:
        task: what to train.
        report: told every evaluated epoch, those of earlier lives first. A task that `obeys` ends
            as pruned for the reason it returns.
        images: the images, where the caller has them open; else the config's, kept open here.

    A signal that stops the training gives the outcome `interrupted`.
    """
    try:
        _refuse_another(task)
        if task.program is not None:
            return run_program(task, task.program, report)
        return Ended(task.key, _outcome(task, report, images))
    except Exception as error:  # any: it is the coordinator's to judge
        message, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        if not _is_of_memory(error):
            return Failed(task.key, "user", message, trace)
        _empty_caches()
        return Failed(task.key, "memory", message, trace)


def _refuse_another(task: Task) -> None:
    """Raises RunError where the folder holds a run of other parameters."""
    folder = RunFolder(task.out / task.key)
    now = json.loads(json.dumps(task.trial.get("parameters")))
    before = folder.read_trial().get("parameters") if folder.trial.exists() else now
    if before != now:
        raise RunError(
            "the run folder holds a training with other parameters",
            seen=f"{before} in {folder.path}",
            allowed=str(now),
            next="begin another one with --new or --name, or delete the run folder",
        )


def _outcome(task: Task, report: Report, images: ImageSet | None) -> Outcome:
    from fallline.training.run import begin_or_resume  # loads torch
    from fallline.training.session import Session

    def on_eval(record: Record) -> None:
        reason = report(record)
        if reason is not None:
            raise Pruned(reason)

    config = RunConfig.model_validate(task.config)
    if images is None:
        images = _images(config.data.name, config.data.image_size, config.data.channels)
    try:
        return begin_or_resume(
            Resolved(config, task.origins),
            out=task.out,
            name=task.key,
            trial=task.trial,
            session=Session("silent", on_eval, images=images),
        ).outcome
    except (KeyboardInterrupt, SystemExit):  # what a run raises when it is saved after a signal
        outcome = RunFolder(task.out / task.key).read_outcome()
        if outcome is None:
            raise
        return outcome


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
