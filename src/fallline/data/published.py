"""CIFAR and MNIST in the formats they are published in; no pickle is read without a guard."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data.builtin import plan_for
from fallline.data.cache import Contents, PixelWriter
from fallline.data.decode import Wish, resize
from fallline.data.download import fetch
from fallline.data.imageset import Index, Pixels, Progress
from fallline.data.table import DataRow
from fallline.errors import DataError

AT_ONCE = 10_000  # images in memory while they are written
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_TRAIN, _TEST = 0, 2

Part = tuple[int, Pixels, Index]  # split, images uint8 (n, H, W, C), labels int64 (n,)


def fill_cifar(row: DataRow, wish: Wish, pixels: PixelWriter, progress: Progress) -> Contents:
    """CIFAR-10 or CIFAR-100 (its fine labels), fetched if need be."""
    (archive,) = fetch(row, progress)
    classes, parts = read_cifar(archive)
    return _write(row, wish, pixels, progress, classes, parts)


def fill_idx(row: DataRow, wish: Wish, pixels: PixelWriter, progress: Progress) -> Contents:
    """MNIST or one that took over its format, fetched if need be."""
    train, train_labels, test, test_labels = map(read_idx, fetch(row, progress))
    parts: list[Part] = [
        (_TRAIN, train[..., None], train_labels.astype(np.int64)),
        (_TEST, test[..., None], test_labels.astype(np.int64)),
    ]
    classes = FASHION if row.name == "fashion_mnist" else tuple("0123456789")
    return _write(row, wish, pixels, progress, classes, parts)


def _write(
    row: DataRow,
    wish: Wish,
    pixels: PixelWriter,
    progress: Progress,
    classes: tuple[str, ...],
    parts: Sequence[Part],
) -> Contents:
    plan = plan_for(row, wish)
    total, done = sum(len(images) for _, images, _ in parts), 0
    for _, images, _ in parts:
        for start in range(0, len(images), AT_ONCE):
            block = images[start : start + AT_ONCE]
            pixels.append(resize(block, plan))
            done += len(block)
            progress(f"decode {row.name}", done, total)
    labels = np.concatenate([labels for _, _, labels in parts])
    splits = np.concatenate([np.full(len(images), split, np.uint8) for split, images, _ in parts])
    return Contents(classes, labels, splits, row.mirror)


def read_cifar(archive: Path) -> tuple[tuple[str, ...], list[Part]]:
    """Class names and parts of a CIFAR archive (the "python version", .tar.gz of pickles).

    Only arrays and plain values can come out of its pickles: see `_ArraysOnly`.

    Raises:
        DataError: the archive is not in that format.
    """
    try:
        files = _read_pickles(archive)
        meta = files.get("batches.meta") or files["meta"]
        names = meta.get(b"label_names") or meta[b"fine_label_names"]
        batches = sorted(name for name in files if name.startswith(("data_batch", "train")))
        parts = [_part(_TRAIN, files[name]) for name in batches]
        parts.append(_part(_TEST, files.get("test_batch") or files["test"]))
    except (KeyError, ValueError, TypeError, AttributeError, EOFError, OSError) as error:
        raise _wrong_format(archive, error) from error
    except (tarfile.TarError, pickle.UnpicklingError) as error:
        raise _wrong_format(archive, error) from error
    return tuple(name.decode() for name in names), parts


def _read_pickles(archive: Path) -> dict[str, dict[bytes, Any]]:
    files = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            name = member.name.rpartition("/")[2]
            if content and not name.endswith((".html", ".txt", "~")):
                files[name] = _ArraysOnly(content, encoding="bytes").load()
    return files


class _ArraysOnly(pickle.Unpickler):
    """Admits what rebuilds a NumPy array and nothing else, so no code of the file can run."""

    _ADMITTED: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The object a pickle names, if it is one of the four; raises UnpicklingError."""
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image set needs")
        return self._ADMITTED[module, name]


def _part(split: int, batch: Mapping[bytes, Any]) -> Part:
    """A batch holds uint8 (n, 3072): the red, green and blue plane of 32x32 images."""
    labels = batch[b"fine_labels"] if b"fine_labels" in batch else batch[b"labels"]
    images = batch[b"data"].reshape(len(labels), 3, 32, 32).transpose(0, 2, 3, 1)
    if images.dtype != np.uint8:
        raise ValueError(f"pixels of type {images.dtype}")
    return split, images, np.array(labels, np.int64)


def read_idx(path: Path) -> Pixels:
    """The array in a gzipped IDX file of bytes; raises DataError if it is none."""
    try:
        content = gzip.decompress(path.read_bytes())
        zeros, kind, dimensions = struct.unpack(">HBB", content[:4])
        if zeros or kind != 8:  # 8: unsigned bytes
            raise ValueError(f"starts with {content[:4]!r}")
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise _wrong_format(path, error) from error


def _wrong_format(path: Path, error: Exception) -> DataError:
    return DataError(
        "a published image set is not in its format",
        seen=f"{path}: {type(error).__name__}: {error}",
        next="delete the file; it is fetched again",
    )
