"""Files that appear whole or not at all, and whose fault it was."""

from __future__ import annotations

import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fallline.errors import StorageError
from fallline.storage import atomic_writer, write_atomically


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Writes beyond that many bytes fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [6_000, 100_000])  # found when it is flushed; when it is written
def test_a_write_that_fails_names_the_file_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    with files_up_to(5_000), pytest.raises(StorageError, match=r"cannot write .*some\.bin"):
        write_atomically(tmp_path / "some.bin", bytes(size))
    assert not list(tmp_path.iterdir())


def test_what_else_fails_while_a_file_is_written_keeps_its_name(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_writer(tmp_path / "some.bin") as file:
            file.write(b"half")
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        write_half()
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_atomically(tmp_path / "file" / "some.bin", b"")
    with pytest.raises(StorageError, match="cannot write"):
        write_atomically(tmp_path / ("x" * 300) / "some.bin", b"")


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_a_file_is_as_open_as_its_writer_has_files(tmp_path: Path, umask: int, mode: int) -> None:
    code = f"import os; os.umask({umask}); from fallline.storage import write_atomically as write;"
    code += f"from pathlib import Path; write(Path({str(tmp_path / 'file')!r}), 'text')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
