"""Reads a `.wandb` file, also while it is being written: 7 bytes, then LevelDB's log format."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fallline.errors import MissingExtra, RunError

BLOCK: Final = 32 * 1024
HEADER: Final = 7
MAGIC: Final = b":W&B"
FULL, LAST = 1, 4  # kinds of a part that end a message


def messages(path: Path) -> Iterator[Any]:
    """Every whole record as wandb's own message. Raises RunError if it is no such file."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record
    except ImportError as error:
        raise MissingExtra("wandb", "wandb", "reading what W&B has logged") from error
    for content in _contents(path.read_bytes(), path):
        message = Record()
        message.ParseFromString(content)
        yield message


def _contents(data: bytes, path: Path) -> Iterator[bytes]:
    """The bytes of each whole message; what is not written to its end yet is left."""
    if data[:4] not in (MAGIC, b""):
        raise RunError(f"{path} is no file of W&B's", seen=repr(data[:4]))
    place, parts = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + HEADER])
        place += HEADER
        if kind == 0 or place + size > len(data):
            return
        parts += data[place : place + size]
        place += size
        if kind in (FULL, LAST):
            yield parts
            parts = b""


def rows(found: Iterable[Any]) -> list[dict[str, Any]]:
    """The history: one dict per row."""
    return [
        {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in message.history.item
        }
        for message in found
        if message.WhichOneof("record_type") == "history"
    ]
