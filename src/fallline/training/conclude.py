"""The end of a completed run: the test split once, every prediction, and pictures of mistakes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from fallline.data import Split
from fallline.records import Record, RunFolder
from fallline.storage import write_atomically
from fallline.track.fanout import Trackers
from fallline.track.pictures import confusion_picture, mistakes_picture
from fallline.training.assemble import Job
from fallline.training.evaluate import Evaluation
from fallline.training.progress import Progress
from fallline.training.watch import evaluate_on

MISTAKES_SHOWN = 24


@dataclass(frozen=True)
class Verdict:
    """Scores of the end: on val with views averaged, on test where it was touched."""

    val: Evaluation
    test: Evaluation | None


def conclude(
    job: Job, progress: Progress, val: Evaluation, folder: RunFolder, trackers: Trackers
) -> Verdict:
    """Touches test once if the config says so, keeps the predictions, shows the mistakes.

    Predictions and pictures are of the test split where it was touched, else of val.
    """
    test = None
    if job.feeds.test is not None and job.config.data.test_at_end:
        test = evaluate_on(job, job.feeds.test, final=True)
        trackers.log(_test_record(job, progress, test))
    scored, split = (val, job.splits.val) if test is None else (test, job.splits.test)
    assert split is not None
    word = "val" if test is None else "test"
    _keep_predictions(folder, split, scored, word)
    if job.config.track.pictures:
        _show(job, split, scored, word, progress.step, trackers)
    return Verdict(val, test)


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts `int64 (K, K)`: row the true class, column the predicted one."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def worst_mistakes(labels: np.ndarray, scored: Evaluation, most: int) -> np.ndarray:
    """Positions `int64 (n,)` of the wrong predictions with the largest loss, worst first."""
    wrong = np.flatnonzero(scored.predicted != labels)
    return wrong[np.argsort(-scored.losses[wrong], kind="stable")[:most]]


def _test_record(job: Job, progress: Progress, test: Evaluation) -> Record:
    values: dict[str, float | str] = {"test/loss": test.loss, "test/accuracy": test.accuracy}
    if test.accuracy_tta is not None:
        values["test/accuracy_tta"] = test.accuracy_tta
    epoch = -(-progress.step // job.steps_per_epoch)
    return Record("test", progress.step, epoch, progress.clock.read(), values)


def _keep_predictions(folder: RunFolder, split: Split, scored: Evaluation, word: str) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        split=np.array(word),
        rows=split.rows,
        labels=split.targets,
        predicted=scored.predicted,
        losses=scored.losses,
    )
    write_atomically(folder.predictions, buffer.getvalue())


def _show(
    job: Job, split: Split, scored: Evaluation, word: str, step: int, trackers: Trackers
) -> None:
    classes, labels = job.images.classes, split.targets
    matrix = confusion(labels, scored.predicted, len(classes))
    title = f"{job.images.name}: {scored.accuracy:.2%} of {len(labels):,} {word} images right"
    trackers.draw(f"confusion/{word}", lambda: confusion_picture(matrix, classes, title), step)
    worst = worst_mistakes(labels, scored, MISTAKES_SHOWN)
    if len(worst):
        images = split.images[split.rows[worst]]
        chosen = labels[worst], scored.predicted[worst], scored.losses[worst]
        trackers.draw(f"mistakes/{word}", lambda: mistakes_picture(images, *chosen, classes), step)
