"""Memory that a step frees is kept for the next one while a run trains.

glibc gives blocks of more than 32 MiB back to the system as soon as they are freed and gets them
anew, zeroed page by page, a moment later: a step of a wide net has 100,000 page faults, a tenth of
its processor time (figures: docs/log.md).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # names of malloc.h
NEVER = -1


@contextmanager
def kept_memory() -> Iterator[None]:
    """Lets malloc keep what is freed inside, and gives it back at the end; only glibc's can.

    Blocks come from the heap instead of mappings of their own, and its end is not trimmed. After
    it the thresholds are the largest that glibc reaches by itself. All of it is the process's.
    """
    libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        libc.mallopt(MMAP_MAX, 65536)  # glibc's default
        libc.mallopt(MMAP_THRESHOLD, 2**25)
        libc.mallopt(TRIM_THRESHOLD, 2**26)
        libc.malloc_trim(0)
