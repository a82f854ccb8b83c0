"""What the folders of an image set mean: splits, classes, and files that are neither's.

    train/<class>/...   with val/<class>/... or test/<class>/... beside it, or
    <class>/...         one train split

Folders around all that are passed over. A file belongs to the class whose folder it lies in,
however deep. Classes are numbered in the natural order of their names ("2" before "10").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.imageset import Index
from fallline.errors import DataError, did_you_mean

SPLIT_NAMES = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "test": 2,
    "testing": 2,
}
LAYOUTS = (
    "train/<class>/<image> with val/ or test/ beside train/, or <class>/<image>, "
    "with two or more classes"
)
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}
COUNTED = 18  # digits of a number in a name
_STRAY = -1

Path = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Where each file of a list belongs.

    Attributes:
        classes: the name of class i.
        splits: int64 (files,), 0 train, 1 val, 2 test, -1 for a file outside the class folders.
        labels: int64 (files,), -1 likewise.
        with_splits: whether there is a train/ around the class folders.
    """

    classes: tuple[str, ...]
    splits: Index
    labels: Index
    with_splits: bool


def is_hidden(name: str) -> bool:
    """Whether a path has a part that systems leave behind and people do not see."""
    return any(part.startswith(".") or part.casefold() in _CLUTTER for part in name.split("/"))


def arrange(names: Sequence[str], folders: Iterable[str], source: str) -> Layout:
    """Reads splits and classes off the paths of files and folders ("train/cat/1.jpg").

    Args:
        names: the files.
        folders: folders, so that an empty one is noticed; those of files need not be among them.
        source: what the messages call the whole.

    Raises:
        DataError: there are no class folders, one class only, a class without files, or a class
            of val or test that train lacks.
    """
    files = [_parts(name) for name in names]
    seen = {_parts(name) for name in folders} | {file[:-1] for file in files}
    depth = _wrapping(seen)
    files = [file[depth:] for file in files]
    seen = {folder[depth:] for folder in seen if len(folder) > depth}
    with_splits = _has_splits(seen)
    _check_train(seen, source)
    places = [_place(file[:-1], with_splits) for file in files]
    expected = {place for folder in seen if (place := _place(folder, with_splits))}
    filled = {place for place in places if place}
    _check_classes({name for split, name in expected if split == 0}, len(files), source)
    _check_known(expected, source)
    check_filled(expected, filled, with_splits, source)
    classes = sorted({name for _, name in expected}, key=natural_key)
    number = {name: index for index, name in enumerate(classes)}
    return Layout(
        classes=tuple(classes),
        splits=np.array([place[0] if place else _STRAY for place in places], np.int64),
        labels=np.array([number[place[1]] if place else _STRAY for place in places], np.int64),
        with_splits=with_splits,
    )


def natural_key(name: str) -> tuple[list[Any], str]:
    """Sorts "class 2" before "class 10"."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [_number(piece) if piece.isdecimal() else piece for piece in pieces], name


def _number(digits: str) -> tuple[int, int, str]:
    """Sorts digits by their number; Python refuses to count some thousands of them."""
    return (1, len(digits), digits) if len(digits) > COUNTED else (0, int(digits), "")


def _parts(name: str) -> Path:
    # macOS writes an umlaut as two characters, other systems as one
    return tuple(part for part in unicodedata.normalize("NFC", name).split("/") if part != ".")


def _wrapping(folders: set[Path]) -> int:
    """How many folders lie around the whole set."""
    depth = 0
    while True:
        tops = {folder[depth] for folder in folders if len(folder) > depth}
        deeper = any(len(folder) > depth + 1 for folder in folders)
        if len(tops) != 1 or not deeper or _split_of(tops.pop()) is not None:
            return depth
        depth += 1


def _has_splits(folders: set[Path]) -> bool:
    """Whether train/ holds classes; a class may be called train (the vehicle) and hold images."""
    return any(len(folder) > 1 and _split_of(folder[0]) == 0 for folder in folders)


def _split_of(name: str) -> int | None:
    return SPLIT_NAMES.get(name.casefold())


def _place(folder: Path, with_splits: bool) -> tuple[int, str] | None:
    """(split, class) of a folder; None outside the class folders."""
    if not with_splits:
        return (0, folder[0]) if folder else None
    split = _split_of(folder[0]) if folder else None
    return (split, folder[1]) if split is not None and len(folder) > 1 else None


def _check_train(folders: set[Path], source: str) -> None:
    """Raises DataError where test/ or val/ holds classes and there is no train/ beside it."""
    tops = {folder[0] for folder in folders}
    holding = {folder[0] for folder in folders if len(folder) > 1}
    if tops and tops == holding and all(_split_of(top) in (1, 2) for top in tops):
        raise DataError(
            "there are no training images",
            seen=f"{source}: there is {_list(f'{top}/' for top in tops)} but no train/",
            allowed=LAYOUTS,
            next="put the images to train on into train/<class>/ beside it",
        )


def _check_classes(train: set[str], files: int, source: str) -> None:
    if len(train) < 2:
        found = f"the class {_list(train)} alone" if train else f"{files} files, no class folders"
        raise DataError(
            "there are not two classes to tell apart",
            seen=f"{source}: {found}",
            allowed=LAYOUTS,
            next="put the images of each class into a folder of its own",
        )


def _check_known(expected: set[tuple[int, str]], source: str) -> None:
    train = {name for split, name in expected if split == 0}
    unknown = sorted({name for _, name in expected} - train, key=natural_key)
    if unknown:
        guess = did_you_mean(unknown[0], sorted(train))
        raise DataError(
            "val or test has a class that train lacks",
            seen=f"{source}: {_list(unknown)}",
            allowed=_list(train),
            next=f"did you mean {guess}?" if guess else "rename, remove or add its folder",
        )


def check_filled(
    expected: set[tuple[int, str]],
    filled: set[tuple[int, str]],
    with_splits: bool,
    source: str,
) -> None:
    """Raises DataError when a class folder holds nothing."""
    names = {index: f"{name}/" for name, index in reversed(SPLIT_NAMES.items())}
    names = names if with_splits else {0: ""}
    empty = sorted(expected - filled)
    if empty:
        raise DataError(
            "a class has no images",
            seen=f"{source}: {_list(f'{names[split]}{name}' for split, name in empty)}",
            allowed="at least one image in every class folder",
            next="add images to it, or delete the folder",
        )


def _list(names: Iterable[str]) -> str:
    """Up to ten names in their natural order."""
    every = sorted(names, key=natural_key)
    more = f" and {len(every) - 10} more" if len(every) > 10 else ""
    return ", ".join(every[:10]) + more
