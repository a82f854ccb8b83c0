"""The end of a completed run: the test split once, every prediction, and pictures of mistakes."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.data import Split
from fallline.predictions import Predictions
from fallline.records import Record, RunFolder
from fallline.storage import write_atomically
from fallline.track.fanout import Trackers
from fallline.track.pictures import column, confusion_picture, mistakes_picture
from fallline.training.evaluate import Evaluation
from fallline.training.job import Job
from fallline.training.progress import Progress
from fallline.training.watch import evaluate_on


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
    answers = Predictions(word, split.rows, split.targets, scored.predicted, scored.losses)
    answers.write(folder.predictions)
    _keep_mistakes(folder, split, answers)
    if job.config.track.pictures:
        _show(job, split, answers, progress.step, trackers)
    return Verdict(val, test)


def _test_record(job: Job, progress: Progress, test: Evaluation) -> Record:
    values: dict[str, float | str] = {"test/loss": test.loss, "test/accuracy": test.accuracy}
    if test.accuracy_tta is not None:
        values["test/accuracy_tta"] = test.accuracy_tta
    epoch = -(-progress.step // job.steps_per_epoch)
    return Record("test", progress.step, epoch, progress.clock.read(), values)


def _keep_mistakes(folder: RunFolder, split: Split, answers: Predictions) -> None:
    """Keeps the pixels of the worst mistakes, for reports: they read run folders only."""
    worst = answers.worst()
    if len(worst):
        write_atomically(folder.mistakes, column(split.images[split.rows[worst]]))


def _show(job: Job, split: Split, answers: Predictions, step: int, trackers: Trackers) -> None:
    word, classes = answers.split, job.images.classes
    right, count = (answers.predicted == answers.labels).mean(), len(answers.labels)
    matrix = answers.confusion(len(classes))
    title = f"{job.images.name}: {right:.2%} of {count:,} {word} images right"
    trackers.draw(f"confusion/{word}", lambda: confusion_picture(matrix, classes, title), step)
    worst = answers.worst()
    if len(worst):
        images = split.images[split.rows[worst]]
        chosen = answers.labels[worst], answers.predicted[worst], answers.losses[worst]
        trackers.draw(f"mistakes/{word}", lambda: mistakes_picture(images, *chosen, classes), step)
