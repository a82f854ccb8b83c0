"""Decoding with more than one process: what they import, and how the death of one is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import paint

from fallline.data import load, workers
from fallline.errors import DataError

LOAD = """
import sys
from fallline.data import load, workers
workers.ALONE_SECONDS = 0
load(sys.argv[1])
"""


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """More pictures than one chunk."""
    for index in range(200):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png", (index, 0, 0))
    return tmp_path / "set"


def test_workers_run_nothing_from_the_current_directory(many: Path, own_cache: Path) -> None:
    folder = many.parent / "downloads"
    folder.mkdir()
    (folder / "PIL.py").write_text("open('was executed', 'w').close()")
    command = [sys.executable, "-P", "-c", LOAD, str(many)]
    subprocess.run(command, cwd=folder, env=os.environ, check=True, timeout=60)
    assert [path.name for path in folder.iterdir()] == ["PIL.py"]


@pytest.mark.parametrize("dying", ["import sys; sys.exit(3)", "input(); import sys; sys.exit(3)"])
def test_a_worker_that_dies_is_named_and_no_full_disk(
    many: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, dying: str
) -> None:
    def start() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", dying], stdin=pipe, stdout=pipe)

    monkeypatch.setattr(workers, "_start", start)
    monkeypatch.setattr(workers, "ALONE_SECONDS", 0)
    with pytest.raises(DataError, match="a process that decodes images died") as caught:
        load(str(many))
    assert "exit status 3" in str(caught.value)
    assert not list(own_cache.rglob("*.images*"))
