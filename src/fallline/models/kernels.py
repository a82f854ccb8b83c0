"""The kernels of amx/, in C: compiled once per machine by its own compiler, then loaded.

They serve CPUs that multiply tiles of bfloat16 (AMX). Where there is no compiler, or Linux does
not grant the use of tiles, torch computes all, in about twice the time (figures: docs/log.md).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from fallline.machine import cpu_flags
from fallline.openmp import openmp
from fallline.storage import cache_folder

SOURCES = Path(__file__).with_name("amx")
OPTIONS = ("-O3", "-march=sapphirerapids", "-shared", "-fPIC")
NEEDED = frozenset({"amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx512bw", "avx512vl"})
SECONDS = 120  # a compiler may take


@cache
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, open for torch's threads; None where they cannot serve."""
    if not cpu_flags() >= NEEDED:
        return None
    team, file = openmp(), compiled()
    if team is None or file is None:
        return None
    library = ctypes.CDLL(str(file))
    threads = team.GOMP_parallel, team.omp_get_thread_num, team.omp_get_num_threads
    return library if library.tiles_open(*threads) == 0 else None


def compiled() -> Path | None:
    """The shared library of the kernels, compiled if it was not yet; None without a compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    folder = cache_folder() / "kernels"
    file = folder / f"{_digest()}.so"
    if _is_ours(file):
        return file
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            fresh = Path(place) / file.name
            sources = map(str, sorted(SOURCES.glob("*.c")))
            command = [compiler, *OPTIONS, "-o", str(fresh), *sources]
            subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
            os.replace(fresh, file)
    except (OSError, subprocess.SubprocessError):
        return None
    return file if _is_ours(file) else None


def _digest() -> str:
    """Of all that the library is made of."""
    digest = hashlib.sha256(" ".join(OPTIONS).encode())
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _is_ours(file: Path) -> bool:
    """Nobody else may have written it: it is code."""
    try:
        found = file.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
