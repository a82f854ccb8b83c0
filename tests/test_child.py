"""Processes of our own: what they import, and what of a command line is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fallline import child, space
from fallline.command import command_line, without_password


def test_a_process_of_ours_imports_nothing_from_where_it_is_started(tmp_path: Path) -> None:
    for name in ("random", "queue", "fallline"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the working folder')")
    code = "import queue, random, fallline, fallline.space; print(fallline.space.__file__)"
    done = subprocess.run(
        child.command(code),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == space.__file__


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me@host/db"),
        ("postgresql://me@host/db?password=secret", "postgresql://me@host/db"),
        ("postgresql://h/db?password=s&sslmode=require", "postgresql://h/db?sslmode=require"),
        ("--storage=postgresql://me:secret@host/db", "--storage=postgresql://me@host/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("journal:/place/study.log", "journal:/place/study.log"),
        ("--set", "--set"),
        ("name=what?", "name=what?"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_a_command_line_is_kept_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["fallline", "sweep", "a b.yaml", "--storage", "postgresql://me:secret@host/db"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == "fallline sweep 'a b.yaml' --storage postgresql://me@host/db"
