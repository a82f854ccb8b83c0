"""The file format TensorBoard reads: framed, checksummed messages, one after the other.

Source: "TFRecord and tf.train.Example", tensorflow.org. A frame is the length (uint64), its
checksum, the message, its checksum; all little-endian. Writing it here costs a tenth of the import
time of TensorBoard's own writer, and an error of the disk is raised where it happens instead of
ending a thread.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from pathlib import Path
from typing import Final

from fallline.storage import storage_error

_NUMBERS = itertools.count()


def _table() -> tuple[int, ...]:
    """CRC-32C of each byte: polynomial 0x1EDC6F41, bits reversed."""
    values = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        values.append(byte)
    return tuple(values)


_CRC_OF_BYTE: Final = _table()


def crc32c(message: bytes) -> int:
    """CRC-32C (Castagnoli), as in RFC 3720 appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in message:
        crc = _CRC_OF_BYTE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """The checksum as frames hold it, so that a frame inside a frame checks well too."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(message: bytes) -> bytes:
    """The message between its length and its checksums."""
    length = struct.pack("<Q", len(message))
    checksums = (struct.pack("<I", masked(crc32c(part))) for part in (length, message))
    return length + next(checksums) + message + next(checksums)


class EventFile:
    """A new event file in `folder`. Every message is with the system when `append` returns.

    Raises StorageError, in the constructor and in `append`.
    """

    def __init__(self, folder: Path) -> None:
        where = (
            f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS):06d}"
        )
        self.path = folder / f"events.out.tfevents.{where}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise storage_error(self.path, error) from error

    def append(self, message: bytes) -> None:
        """Writes one message; the file is closed when that fails."""
        rest = memoryview(frame(message))
        try:
            while rest:  # an almost full disk takes a part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.close()
            raise storage_error(self.path, error) from error

    def close(self) -> None:
        """Nothing will follow."""
        self._file.close()
