"""Checkpoints: written whole, checked by digest, the previous one kept.

A checkpoint is `step00000391-<first 16 hex digits of its sha256>.pt` in the run's `checkpoints/`:
`torch.save` of tensors and plain values. The digest in the name finds what torch does not: one
flipped bit loads silently with other weights. Loading admits tensors and plain values only.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fallline.errors import CheckpointError
from fallline.storage import storage_error, write_atomically

_NAME = re.compile(r"step(\d{8,})-([0-9a-f]{16})\.pt")
_KEPT = 2


@dataclass(frozen=True)
class Loaded:
    """A checkpoint's content, and one line about each newer one that was damaged."""

    state: dict[str, Any]
    damaged: tuple[str, ...]


def save(folder: Path, state: dict[str, Any], step: int) -> Path:
    """Writes a checkpoint and drops all but the last two. Raises StorageError."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = folder / f"step{step:08d}-{_digest(content)}.pt"
    write_atomically(path, content)
    try:
        drop_after(folder, step, keep=path)
        for old in list_checkpoints(folder)[:-_KEPT]:
            old.unlink()
    except OSError as error:
        raise storage_error(folder, error) from error
    return path


def load_latest(folder: Path) -> Loaded:
    """The newest checkpoint that is whole. Raises CheckpointError if there is none."""
    damaged: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        fault = None
        try:
            used = f": using {path.name}, the one before it"
            return Loaded(_read(path), tuple(line + used for line in damaged))
        except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        damaged.append(f"the checkpoint {path} is damaged ({fault})")
    config = shlex.quote(str(folder.parent / "config.json"))
    raise CheckpointError(
        f"no checkpoint to load in {folder}",
        seen="; ".join(damaged) or "none was written yet, or kept (train.keep_weights)",
        allowed="a checkpoint that is whole, with the checksum in its name",
        next=f"train it anew: fallline train --config {config}",
    )


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [path for path in folder.glob("step*.pt") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (_step(path), path.stat().st_mtime_ns))


def drop_after(folder: Path, step: int, keep: Path | None = None) -> None:
    """Removes checkpoints of `step` and later (a run that was resumed before them), but `keep`."""
    for path in list_checkpoints(folder):
        if _step(path) >= step and path != keep:
            path.unlink()


def drop_unfinished(folder: Path) -> None:
    """Removes what a kill left half written; nobody else may be writing there."""
    for path in folder.glob(".step*.pt.*"):
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    if _digest(content) != path.stem.partition("-")[2]:
        raise ValueError("its content does not match its checksum")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError("it holds no state")
    return state


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step").partition("-")[0])
