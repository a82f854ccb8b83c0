"""The kernels of amx/, in C: compiled once per machine by its own compiler, then loaded.

They serve CPUs that multiply tiles of bfloat16 (AMX). Where there is no compiler, or Linux does
not grant the use of tiles, torch computes all, in about twice the time (figures: docs/log.md).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from fallline.machine import cpu_flags
from fallline.openmp import openmp
from fallline.storage import cache_folder

SOURCES = Path(__file__).with_name("amx")
INSTRUCTIONS = {  # what the kernels use, and no more, as Linux and as compilers name it
    "amx_tile": "-mamx-tile",
    "amx_bf16": "-mamx-bf16",
    "avx512f": "-mavx512f",
    "avx512bw": "-mavx512bw",
    "avx512dq": "-mavx512dq",
    "avx512vl": "-mavx512vl",
    "avx512_bf16": "-mavx512bf16",
    "fma": "-mfma",
}
NEEDED = frozenset(INSTRUCTIONS)
OPTIONS = (
    *INSTRUCTIONS.values(),
    "-O3",
    "-mtune=sapphirerapids",
    "-fno-math-errno",  # a root is an instruction
    "-fvisibility=hidden",  # no other library's `run` is called for ours
    "-fPIC",
    "-shared",
)
SECONDS = 60  # a compiler may take; it needs two


@cache
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, open for torch's threads; None where they cannot serve."""
    if not cpu_flags() >= NEEDED:
        return None
    team, file = openmp(), compiled()
    if team is None or file is None:
        return None
    try:
        library = ctypes.CDLL(str(file))
    except OSError:  # nothing is executed from such a disk
        return None
    threads = team.GOMP_parallel, team.omp_get_thread_num, team.omp_get_num_threads
    return library if library.tiles_open(*threads) == 0 else None


def compiled() -> Path | None:
    """The shared library of the kernels, compiled if it was not yet; None where that failed.

    Its name holds the digests of what it was made of and of itself: a damaged one, which would end
    the process that loads it, is not taken.
    """
    folder = cache_folder() / "kernels"
    sources = sorted(SOURCES.iterdir())
    made_of = _digest(" ".join(OPTIONS).encode(), *(source.read_bytes() for source in sources))
    for file in sorted(folder.glob(f"{made_of}-*.so")):
        if _is_ours(file) and file.stem == f"{made_of}-{_digest(file.read_bytes())}":
            return file
    command = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(command[0]) is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            fresh = Path(place) / "kernels.so"
            inputs = [str(source) for source in sources if source.suffix == ".c"]
            _run([*command, *OPTIONS, "-o", str(fresh), *inputs])
            fresh.chmod(0o700)
            file = folder / f"{made_of}-{_digest(fresh.read_bytes())}.so"
            os.replace(fresh, file)
    except (OSError, subprocess.SubprocessError):
        return None
    return file if _is_ours(file) else None


def _run(command: list[str]) -> None:
    """Runs a compiler, whose own children end with it. Raises SubprocessError if it fails."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        code = process.wait(SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, command)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def _is_ours(file: Path) -> bool:
    """Whether nobody else can have written it, or put it there: it is code."""
    try:
        found, folder = file.lstat(), file.parent.stat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    ours = all(s.st_uid == os.geteuid() and not s.st_mode & others for s in (found, folder))
    return ours and stat.S_ISREG(found.st_mode)
