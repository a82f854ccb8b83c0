"""The command line, run in this process."""

from __future__ import annotations

import sys

import pytest

from fallline.cli import main

SMALL = [
    *("--set", "epochs=2", "--set", "batch_size=80", "--set", "model.widths=[16,16,16]"),
    *("--set", "train.threads=1", "--set", "train.precision=fp32", "--set", "tensorboard=false"),
]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Runs the command line in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["fallline", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
