"""Reads a `.wandb` file, to see what W&B would be sent: 7 bytes, then LevelDB's log format."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32 * 1024
HEADER = 7


def messages(path: Path) -> Iterator[Any]:
    """Every record as wandb's own protobuf message."""
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + HEADER])
        parts += data[place + HEADER : place + HEADER + size]
        place += HEADER + size
        if kind in (1, 4):  # full, last
            message = Record()
            message.ParseFromString(parts)
            parts = b""
            yield message


def rows(found: list[Any]) -> list[dict[str, Any]]:
    """The history: one dict per row."""
    return [
        {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in m.history.item
        }
        for m in found
        if m.WhichOneof("record_type") == "history"
    ]


def config(found: list[Any]) -> dict[str, Any]:
    """The config the run began with."""
    (run,) = [m.run for m in found if m.WhichOneof("record_type") == "run"]
    return {item.key: json.loads(item.value_json) for item in run.config.update}


def summary(found: list[Any]) -> dict[str, Any]:
    """What the summary was set to."""
    updates = [m.summary.update for m in found if m.WhichOneof("record_type") == "summary"]
    return {
        "/".join(i.nested_key) or i.key: json.loads(i.value_json)
        for items in updates
        for i in items
    }
