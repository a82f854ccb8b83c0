from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_run import start_of, whole_run

from fallline.errors import RunError
from fallline.track.board import board
from fallline.track.tensorboard import TensorBoardTracker

SERVE = (
    "import sys; from fallline.track.board import board; board(sys.argv[1], port=int(sys.argv[2]))"
)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def test_the_board_shows_every_run_over_http_on_loopback_though_the_port_is_taken(
    tmp_path: Path, taken_port: int
) -> None:
    for name in ("first", "second"):
        whole_run(TensorBoardTracker(start_of(tmp_path, name)))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path), str(taken_port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == f"starting TensorBoard on {tmp_path} ...\n"
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found is not None
        assert int(found[1]) != taken_port
        tags: dict[str, Any] = {}
        give_up = time.monotonic() + 30
        while len(tags) < 2 and time.monotonic() < give_up:  # it reads the files at its leisure
            time.sleep(0.2)
            tags = fetch(f"{found[0]}data/plugin/scalars/tags")
        assert set(tags) == {"first/tensorboard", "second/tensorboard"}
        assert "val/accuracy" in tags["first/tensorboard"]
    finally:
        process.terminate()
        process.communicate()


def test_a_folder_without_runs_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to show") as caught:
        board(tmp_path)
    assert "fallline train" in str(caught.value)
    with pytest.raises(RunError, match="does not exist"):
        board(tmp_path / "none")
