"""A JPEG copy of an image set, such as the figures in docs/benchmarks.md are measured on.

python -m bench.jpeg_copy [--data cifar10] [--out cifar10_jpeg.tar.xz]

Images become `train/<class>/*.jpg` and `test/<class>/*.jpg` as Pillow saves them by default
(quality 75). Versions of Pillow and its JPEG library may differ by a grey level here and there.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from fallline.data import ImageSet, Split, load


def write(images: ImageSet, out: Path) -> None:
    """Writes the archive, which replaces one that is there."""
    with tarfile.open(out, "w:xz") as archive:
        for name, split in (("train", images.train), ("test", images.test)):
            if split is not None:
                _add(archive, name, split, images.classes)


def _add(archive: tarfile.TarFile, name: str, split: Split, classes: tuple[str, ...]) -> None:
    for number, (row, target) in enumerate(zip(split.rows, split.targets, strict=True)):
        file = tarfile.TarInfo(f"{name}/{classes[target]}/{number:05d}.jpg")
        content = _jpeg(split.images[row])
        file.size = len(content)
        archive.addfile(file, io.BytesIO(content))


def _jpeg(pixels: np.ndarray) -> bytes:
    """Of uint8 (H, W, C)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(buffer, "JPEG")
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.jpeg_copy", description=__doc__)
    parser.add_argument(
        "--data", default="cifar10", help="a row of `fallline list data`, or a path"
    )
    parser.add_argument("--out", type=Path, default=Path("cifar10_jpeg.tar.xz"))
    args = parser.parse_args()
    write(load(args.data), args.out)
    print(f"written to {args.out}")
