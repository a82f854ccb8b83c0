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
    return (message for _, message in messages_after(path, HEADER))


def messages_after(path: Path, place: int) -> Iterator[tuple[int, Any]]:
    """The whole records after a byte, each with the byte after it: to read on from there later."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record
    except ImportError as error:
        raise MissingExtra("wandb", "wandb", "reading what W&B has logged") from error
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        file.seek(place)
        data = file.read()
    if magic not in (MAGIC, b""):
        raise RunError(f"{path} is no file of W&B's", seen=repr(magic))
    for end, content in _contents(data, place):
        message = Record()
        message.ParseFromString(content)
        yield end, message


def _contents(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Each whole message of a file's bytes from `start` on, after the place where it ends.

    What is not written to its end yet is left.
    """
    place, parts = start, b""
    while place + HEADER <= start + len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place - start)
        place += HEADER
        if kind == 0 or place + size > start + len(data):
            return
        parts += data[place - start : place - start + size]
        place += size
        if kind in (FULL, LAST):
            yield place, parts
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
