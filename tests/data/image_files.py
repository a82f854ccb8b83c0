"""Picture files for the tests of image sets."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def paint(
    path: Path,
    colour: object = "red",
    size: tuple[int, int] = (16, 16),
    mode: str = "RGB",
    format: str | None = None,
) -> Path:
    """Writes a picture of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, format=format)  # type: ignore[arg-type]
    return path


def paint_pets(root: Path) -> Path:
    """A small set: train with 2 x 5, test with 2 x 2 pictures of 16x16."""
    for split, count in (("train", 5), ("test", 2)):
        for index in range(count):
            paint(root / split / "cat" / f"{index}.png", (200, 10 * index, 0))
            paint(root / split / "dog" / f"{index}.png", (0, 10 * index, 200))
    return root
