"""The winner image by image: confusions, accuracy class by class, and the worst mistakes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from fallline.errors import RunError
from fallline.predictions import Predictions
from fallline.records import RunFolder
from fallline.report import wording
from fallline.report.estimate import Estimate, over_images
from fallline.report.run import Run

MOST_CLASSES_DRAWN: Final = 120  # in a matrix; above, a cell would be smaller than a letter
PAIRS_TOLD: Final = 8
MOST_PIXELS: Final = 40e6  # of a picture we open; a small file can claim more


@dataclass(frozen=True)
class ClassScore:
    """One class: how many of its images were right, with the interval over images."""

    name: str
    images: int
    accuracy: Estimate


@dataclass(frozen=True)
class Confused:
    """A class that was taken for another; `share` is of the true class's images."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Mistake:
    """A wrong answer; `picture` is a data address, empty where the run kept none."""

    true: str
    predicted: str
    loss: float
    picture: str


@dataclass(frozen=True)
class Mistakes:
    """The worst ones, worst first."""

    kind: ClassVar[str] = "mistakes"
    shown: tuple[Mistake, ...]


@dataclass(frozen=True)
class Winner:
    """A run's answers, judged.

    Attributes:
        run: whose they are.
        split: on which split.
        classes: the names.
        shares: float (K, K), each row of the confusion matrix in shares of its sum; None above
            MOST_CLASSES_DRAWN.
        counts: int (K, K), likewise.
        scores: per class, worst first.
        pairs: the most frequent confusions.
        mistakes: the worst ones.
        right: the share of right answers.
    """

    run: Run
    split: str
    classes: tuple[str, ...]
    shares: np.ndarray | None
    counts: np.ndarray | None
    scores: tuple[ClassScore, ...]
    pairs: tuple[Confused, ...]
    mistakes: Mistakes
    right: Estimate

    @property
    def lead(self) -> str:
        """Whose answers these are, and how many were right."""
        return (
            f"{self.run.name}, on the {self.split} split: {wording.percent(self.right.value)} of "
            f"{self.right.n:,} images right."
        )


def winner_of(run: Run) -> Winner | None:
    """Judges the run's answers; None where it kept none or they cannot be read."""
    try:
        answers = Predictions.read(RunFolder(run.path).predictions)
    except RunError:
        return None
    count = int(max(answers.labels.max(initial=0), answers.predicted.max(initial=0))) + 1
    told = run.environment.get("data", {}).get("classes") or []
    classes = tuple(str(name) for name in told) or tuple(str(i) for i in range(count))
    if len(answers.labels) == 0 or count > len(classes):
        return None
    matrix = answers.confusion(len(classes))
    is_drawn = len(classes) <= MOST_CLASSES_DRAWN
    shares = matrix / np.maximum(matrix.sum(axis=1), 1)[:, None]
    return Winner(
        run,
        answers.split,
        classes,
        shares if is_drawn else None,
        matrix if is_drawn else None,
        _scores(matrix, classes),
        _pairs(matrix, classes),
        Mistakes(_mistakes(run, answers, classes)),
        over_images(float((answers.labels == answers.predicted).mean()), len(answers.labels)),
    )


def _scores(matrix: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    totals, right = matrix.sum(axis=1), matrix.diagonal()
    scores = [
        ClassScore(name, int(total), over_images(int(hits) / int(total), int(total)))
        for name, total, hits in zip(classes, totals, right, strict=True)
        if total
    ]
    return tuple(sorted(scores, key=lambda score: score.accuracy.value))


def _pairs(matrix: np.ndarray, classes: Sequence[str]) -> tuple[Confused, ...]:
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    totals = matrix.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS_TOLD]
    places = [divmod(int(flat), len(classes)) for flat in order]
    return tuple(
        Confused(classes[t], classes[p], int(wrong[t, p]), float(wrong[t, p] / totals[t]))
        for t, p in places
        if wrong[t, p]
    )


def _mistakes(run: Run, answers: Predictions, classes: Sequence[str]) -> tuple[Mistake, ...]:
    worst = answers.worst()
    pictures = _pictures(run, len(worst))
    return tuple(
        Mistake(
            classes[int(answers.labels[at])],
            classes[int(answers.predicted[at])],
            float(answers.losses[at]),
            pictures[place],
        )
        for place, at in enumerate(worst)
    )


def _pictures(run: Run, count: int) -> list[str]:
    """The kept images as data addresses; empty ones where the file is missing or broken."""
    from PIL import Image

    try:
        with Image.open(RunFolder(run.path).mistakes, formats=["PNG"]) as column:
            width, height = column.size
            if not count or height % count or width * height > MOST_PIXELS:
                return [""] * count
            high = height // count
            return [
                _address(column.crop((0, i * high, width, (i + 1) * high))) for i in range(count)
            ]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return [""] * count


def _address(picture: object) -> str:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
