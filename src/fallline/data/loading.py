"""From the name of an image set to the set."""

from __future__ import annotations

from pathlib import Path

from fallline import registry
from fallline.data.cache import VERSION, Contents, PixelWriter
from fallline.data.decode import LARGEST, SMALLEST, Wish
from fallline.data.imageset import ImageSet, Progress, silent
from fallline.data.shelf import Request, is_cached, obtain
from fallline.data.table import DATA, DataRow
from fallline.errors import DataError, Fault, did_you_mean


def load(
    name: str,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """The image set of that name, decoded, with its pixels mapped into memory.

    Args:
        name: a row of `DATA`, or the path of a folder or archive (a row comes first: say
            ./digits for a folder of that name).
        image_size: pixels a side, 8 to 224; None: the set's own, or 64 where its images differ.
        channels: 1 or 3; None: the set's own.
        progress: told how far a download or the decoding has come.

    Raises:
        DataUnavailable: the images are not on this machine and cannot be fetched.
        DataError: there is no such set, or its images cannot be used.
        StorageError: there is no room for the decoded images.
    """
    wish = _wish(image_size, channels)
    fault = fault_of(name)
    if fault:
        raise DataError(fault)
    told = progress or silent
    request = _named(DATA[name], wish, told) if name in DATA else _own(Path(name), wish, told)
    return obtain(request, told)


def available(name: str) -> bool:
    """Whether `load` can answer without a network, with the default size and channels."""
    from fallline.data.download import is_fetched

    if name not in DATA:
        return fault_of(name) is None
    row = DATA[name]
    cached = is_cached(_named(row, Wish(), silent))
    return row.origin == "built-in" or cached or is_fetched(row)


def fault_of(name: str) -> Fault | None:
    """What is wrong with the name of an image set: None if it is a row or a path that exists."""
    if name in DATA or _exists(name):
        return None
    if "://" in name:
        return Fault(
            "an address is no image set: nothing is downloaded from it",
            seen=name,
            allowed=f"{', '.join(DATA.names)}, or the path of a folder or archive of images",
            next="download it first, then give the file",
        )
    guess = did_you_mean(name, [*DATA.names, *_neighbours(name)])
    if _looks_like_a_path(name):
        return Fault(
            "there is no such file or folder",
            seen=name if Path(name).is_absolute() else f"{name}, looked for in {Path.cwd()}",
            allowed="a folder or archive of images that exists",
            next=f"did you mean {guess}?" if guess else "check the path; ls shows what is there",
        )
    return Fault(
        "there is no such image set",
        seen=name or "no name",
        allowed=f"{', '.join(DATA.names)}, or the path of a folder or archive of images",
        next=f"did you mean {guess}?" if guess else "see them with: fallline list data",
    )


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "~")) or "/" in name or "\\" in name or _stem(name) != name


def _exists(name: str) -> bool:
    try:
        return name != "" and Path(name).expanduser().exists()
    except (OSError, RuntimeError):  # a name too long for a path; ~ of nobody
        return False


def _neighbours(name: str) -> list[str]:
    try:
        found = Path(name).expanduser().parent.iterdir()
        return [str(other) for other in found if not other.name.startswith(".")]
    except (OSError, RuntimeError, ValueError):
        return []


def _wish(image_size: int | None, channels: int | None) -> Wish:
    if image_size is not None and not SMALLEST <= image_size <= LARGEST:
        raise DataError(
            "data.image_size is out of range",
            seen=image_size,
            allowed=f"{SMALLEST} to {LARGEST} pixels",
        )
    if channels not in (None, 1, 3):
        raise DataError("data.channels is neither", seen=channels, allowed="1 (grey) or 3 (RGB)")
    return Wish(image_size, channels)


def _named(row: DataRow, wish: Wish, progress: Progress) -> Request:
    def fill(pixels: PixelWriter) -> Contents:
        contents: Contents = registry.load(row.target)(row, wish, pixels, progress)
        return contents

    return Request(row.name, row.name, row.target, _options(wish), fill)


def _own(path: Path, wish: Wish, progress: Progress) -> Request:
    from fallline.data.archive import open_archive
    from fallline.data.collect import filler
    from fallline.data.folder import FolderSource

    path = path.expanduser().resolve()
    source = FolderSource(path) if path.is_dir() else open_archive(path)
    name = path.name if path.is_dir() else _stem(path.name)
    fill = filler(source, name, wish, progress)
    return Request(name, str(path), source.stamp, _options(wish), fill)


def _stem(name: str) -> str:
    """The name of an archive without what tells its kind."""
    for suffix in (".tar.gz", ".tar.xz", ".tar", ".tgz", ".zip"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _options(wish: Wish) -> str:
    return f"{VERSION} {wish.image_size} {wish.channels}"
