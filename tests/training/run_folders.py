"""What tests look for in run folders, and what they do to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fallline.records import RunFolder


def measured(folder: RunFolder) -> list[dict[str, Any]]:
    """The records without what a clock had a hand in."""
    timed = ("train_seconds", "images_per_second")
    return [{k: v for k, v in r.items() if k not in timed} for r in folder.read_metrics()]


def flip_a_bit(path: Path) -> None:
    """Damages a file as failing hardware does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
