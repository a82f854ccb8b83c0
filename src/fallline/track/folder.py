"""The run folder's own tracker: metrics.jsonl, the one every report reads."""

from __future__ import annotations

from typing import Final

import numpy as np

from fallline.records import Outcome, Record
from fallline.storage import storage_error
from fallline.track.tracker import RunStart


class FolderTracker:
    """Appends one line per record and hands it to the system at once: a kill loses none.

    A resumed run's file is first cut back to its checkpoint. Raises StorageError.
    """

    def __init__(self, start: RunStart) -> None:
        self._path: Final = start.folder.metrics
        if start.resumed_at is not None:
            start.folder.cut_metrics(start.resumed_at)
        try:
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise storage_error(self._path, error) from error

    def log(self, record: Record) -> None:
        """Appends the record's line; where the disk takes no more, closes the file and raises."""
        rest = memoryview(record.as_json().encode() + b"\n")
        try:
            while rest:  # an almost full disk takes a part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.close()
            raise storage_error(self._path, error) from error

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Keeps no pictures: predictions.npz holds what they are drawn from."""

    def finish(self, outcome: Outcome) -> None:
        """Closes the file; the outcome's own file is written when all trackers are done."""
        self._file.close()
