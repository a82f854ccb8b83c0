"""The kernels of native/, in C: compiled at their first use, kept in the cache, then loaded.

They serve CPUs that multiply bfloat16, by tiles (AMX) or, where there are none or Linux does not
grant their use, by vectors (AVX-512). Without a compiler torch computes all, in longer time
(figures: docs/log.md).
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
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fallline.machine import cpu_flags
from fallline.openmp import openmp
from fallline.storage import cache_folder

SOURCES = Path(__file__).with_name("native")
AVX512 = {  # what all kernels use, and no more, as Linux and as compilers name it
    "avx512f": "-mavx512f",
    "avx512bw": "-mavx512bw",
    "avx512dq": "-mavx512dq",
    "avx512vl": "-mavx512vl",
    "avx512_bf16": "-mavx512bf16",
    "fma": "-mfma",
}
AMX = AVX512 | {"amx_tile": "-mamx-tile", "amx_bf16": "-mamx-bf16"}
WAYS = {"amx": AMX, "avx512": AVX512}  # the first that the CPU and Linux allow serves
OPTIONS = (
    "-O3",
    "-mtune=sapphirerapids",
    "-fno-math-errno",  # a root is an instruction
    "-fvisibility=hidden",  # no other library's `run` is called for ours
    "-fPIC",
    "-pthread",
    "-shared",
)
SECONDS = 60  # a compiler may take; it needs about four


class Lacking(Exception):
    """There are no kernels; its text says why."""


@dataclass(frozen=True)
class Found:
    """The open library, how it multiplies, a digest of its file; why none, or no better one."""

    library: ctypes.CDLL | None = None
    way: str = ""
    digest: str = ""
    why: str = ""


def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, open for torch's threads; None where they cannot serve."""
    return _found().library


def serving() -> str:
    """Which kernels `kernels` are: how they multiply and a digest of the compiled file; or none.

    Others round otherwise, and take other times: so may the same sources by another compiler.
    """
    found = _found()
    return f"{found.way} {found.digest}" if found.way else "none"


def why_lacking() -> str:
    """Why a CPU that multiplies bfloat16 has not the best of kernels; empty where it has."""
    return _found().why if able() else ""


def able() -> list[str]:
    """The ways to multiply that this CPU has, the fastest first."""
    return [way for way, flags in WAYS.items() if cpu_flags() >= flags.keys()]


@cache
def _found() -> Found:
    reasons: list[str] = []
    for way in able():
        try:
            return replace(opened(way), why=reasons[0] if reasons else "")
        except Lacking as why:
            reasons.append(str(why))
    return Found(why=(reasons or [f"they need a CPU with {', '.join(sorted(AVX512))}"])[0])


def opened(way: str) -> Found:
    """The kernels that multiply that way, open for torch's threads. Raises Lacking."""
    team = openmp()
    if team is None:
        raise Lacking("they need a torch that brings its own libgomp")
    try:
        file = compiled(way)
        library = ctypes.CDLL(str(file))
    except OSError as error:  # as where nothing is executed from the disk
        raise Lacking(f"{error} (FALLLINE_CACHE=FOLDER moves it)") from None
    if library.kernel_open(team.GOMP_parallel, team.omp_get_thread_num):
        raise Lacking("Linux does not grant this process the use of tiles")
    return Found(library, way, file.stem.rpartition("-")[2][:8])


def compiled(way: str) -> Path:
    """The shared library of the kernels, compiled if it was not yet. Raises Lacking.

    Its name holds the digests of what it was made of and of itself: a damaged one, which would end
    the process that loads it, is not taken.
    """
    folder = cache_folder() / "kernels"
    command = [*_compiler(), *WAYS[way].values(), *OPTIONS]
    sources = sources_of(way)
    told = " ".join(command).encode()
    made_of = _digest(told, *(source.read_bytes() for source in sources))
    for file in sorted(folder.glob(f"{made_of}-*.so")):
        if _is_ours(file) and file.stem == f"{made_of}-{_digest(file.read_bytes())}":
            return file
    if shutil.which(command[0]) is None:
        named = ", which the variable CC names" if os.environ.get("CC") else ""
        raise Lacking(f"there is no C compiler {command[0]}{named}: install gcc 12 or later")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_mine(folder.stat()):
            raise Lacking(
                f"{folder} is not yours, or others may write there: chmod go-w it if it is, "
                "else FALLLINE_CACHE=FOLDER moves it"
            )
        with tempfile.TemporaryDirectory(dir=folder) as place:
            fresh = Path(place) / "kernels.so"
            inputs = [str(source) for source in sources if source.suffix == ".c"]
            _run([*command, "-o", str(fresh), *inputs], Path(place) / "said")
            fresh.chmod(0o700)
            file = folder / f"{made_of}-{_digest(fresh.read_bytes())}.so"
            os.replace(fresh, file)
    except OSError as error:
        raise Lacking(f"{error} (FALLLINE_CACHE=FOLDER moves it)") from None
    return file


def sources_of(way: str) -> list[Path]:
    """What kernels that multiply that way are made of: what all share, and a folder of its own."""
    return [*sorted(SOURCES.glob("*.[ch]")), *sorted((SOURCES / way).glob("*.[ch]"))]


def _compiler() -> list[str]:
    """The words of its command, as the variable CC has them. Raises Lacking."""
    try:
        return shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise Lacking(f"the variable CC is no command: {error}") from None


def _run(command: list[str], said: Path) -> None:
    """Runs a compiler, whose own children end with it. Raises Lacking if it fails."""
    quiet = subprocess.DEVNULL
    with said.open("wb") as words:
        process = subprocess.Popen(
            command, stdin=quiet, stdout=words, stderr=words, start_new_session=True
        )
    try:
        code = process.wait(SECONDS)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Lacking(f"{command[0]} took longer than {SECONDS:g} s") from None
        raise
    if code:
        lines = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
        told = next((line for line in lines if "error" in line), f"exit code {code}")
        raise Lacking(f"{command[0]} does not compile them (gcc 12 or later does): {told.strip()}")


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
    return _is_mine(found) and _is_mine(folder) and stat.S_ISREG(found.st_mode)


def _is_mine(found: os.stat_result) -> bool:
    others = stat.S_IWGRP | stat.S_IWOTH
    return found.st_uid == os.geteuid() and not found.st_mode & others
