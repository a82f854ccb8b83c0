"""Reading ahead in a memory-mapped file that does not lie in memory.

A batch in random order touches as many places of the file as it has images. Gathered from disk
that is one wait after the other, and around each the system reads up to megabytes that nobody
wants. Told the rows of the next batch, it reads these alone, many at a time, while the step before
computes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

WAITED_SHARE = 0.05  # of a batch's images; an odd page of something else counts as none


class ReadAhead:
    """Watches whether images come from disk, and asks for rows before they are needed.

    Images that lie in memory cost nothing: asking is worth it where `waited` is true.

    Args:
        images: uint8 (M, H, W, C), or None where they are all on an accelerator. If it is no map
            of a file, nothing is ever waited for.
    """

    def __init__(self, images: np.ndarray | None) -> None:
        self._map: mmap.mmap | None = getattr(images, "_mmap", None)
        if images is None or not hasattr(self._map, "madvise"):  # Windows has none
            self._map = None
        else:
            beginning = np.frombuffer(self._map, np.uint8)  # type: ignore[arg-type]
            self._first = images.ctypes.data - beginning.ctypes.data
            self._size = images[0].nbytes
        self.waited = False

    @contextmanager
    def watching(self, count: int) -> Iterator[None]:
        """Notices if many of the `count` images gathered inside were waited for."""
        if self._map is None or self.waited:
            yield
            return
        before = _major_faults()
        yield
        if _major_faults() - before > WAITED_SHARE * count:
            self.waited = True
            self._map.madvise(mmap.MADV_RANDOM)  # what lies around them is not wanted

    def ask(self, rows: torch.Tensor) -> None:
        """Asks the system to read rows, int64 (B,) on the CPU; returns when it has begun."""
        if self._map is None:
            return
        for row in rows.tolist():
            start = self._first + row * self._size
            page = start - start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, start + self._size - page)


def _major_faults() -> int:
    """How often this process waited for a page of a file, in all."""
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
