"""What a run answered, image by image, in its last evaluation: predictions.npz."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fallline.errors import RunError
from fallline.storage import write_atomically

MISTAKES_KEPT: Final = 24
"""How many of the worst mistakes a run keeps the pictures of."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """One split's answers.

    Attributes:
        split: test where it was touched, else val.
        rows: int64 (N,), which images of the set these are.
        labels: int64 (N,), the true classes.
        predicted: int64 (N,), the answers.
        losses: float32 (N,).
    """

    split: str
    rows: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    losses: np.ndarray

    def confusion(self, classes: int) -> np.ndarray:
        """Counts `int64 (K, K)`: row the true class, column the predicted one."""
        cells = np.bincount(self.labels * classes + self.predicted, minlength=classes * classes)
        return cells.reshape(classes, classes)

    def worst(self, most: int = MISTAKES_KEPT) -> np.ndarray:
        """Positions `int64 (n,)` of the wrong answers with the largest loss, worst first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.losses[wrong], kind="stable")[:most]]

    def write(self, path: Path) -> None:
        """Writes them, whole or not at all. Raises StorageError."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            split=np.array(self.split),
            rows=self.rows,
            labels=self.labels,
            predicted=self.predicted,
            losses=self.losses,
        )
        write_atomically(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Reads them; nothing in the file is run. Raises RunError if they cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                arrays = [kept[name] for name in ("rows", "labels", "predicted", "losses")]
                _check(*arrays)
                return cls(str(kept["split"]), *arrays)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(f"cannot read {path}", seen=str(error)) from error


def _check(*arrays: np.ndarray) -> None:
    """Raises ValueError unless there are as many of each, and classes are classes."""
    *numbers, losses = arrays
    shapes = {array.shape for array in arrays}
    whole = all(n.dtype.kind in "iu" and n.min(initial=0) >= 0 for n in numbers)
    if len(shapes) > 1 or losses.ndim != 1 or not whole or losses.dtype.kind != "f":
        raise ValueError("it does not hold a label, an answer and a loss for each image")
