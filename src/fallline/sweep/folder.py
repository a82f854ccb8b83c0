"""The folder of a sweep: which one it is, and sweep.json, which says what was begun in it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fallline.command import command_line
from fallline.errors import FalllineError, RunError, StorageError
from fallline.lock import LOCK, locked
from fallline.records import plain_name
from fallline.storage import names_in, write_atomically
from fallline.sweep.definition import SweepFile

UNDESCRIBED: Final = ("study.db", "wandb.json")
"""How the names begin that a sweep leaves if it ends before its folder is described."""
Source = str | Path | Mapping[str, Any]
"""A sweep file's path, or the same as a mapping."""


def name_of(name: str | None, file: SweepFile, source: Source) -> str:
    """The folder's name: what is asked for, else the file's `name`, else its own name."""
    stem = "sweep" if isinstance(source, Mapping) else Path(source).stem
    return plain_name(name or file.name or stem, "sweep")


def folder_of(out: Path, name: str, fingerprint: str, *, new: bool) -> Path:
    """The sweep's folder: the last of that name that holds this sweep, else the name's own.

    Raises RunError if something else is there.
    """
    folder, taken = out / name, list[Path]()
    while folder.exists():
        taken.append(folder)
        folder = out / f"{name}-{len(taken) + 1}"
    if taken and not new:
        mine = [place for place in taken if _stated(place, "fingerprint") == fingerprint]
        folder = [taken[0], *mine][-1]
    names = names_in(folder)
    if "sweep.json" not in names and not all(name.startswith(UNDESCRIBED) for name in names):
        raise RunError(
            "the sweep's folder holds something else",
            seen=str(folder),
            next="choose another --name or --out",
        )
    return folder


def _stated(folder: Path, part: str, otherwise: Any = None) -> Any:
    """What sweep.json says; `otherwise` where there is none."""
    path = folder / "sweep.json"
    return json.loads(path.read_text()).get(part) if path.exists() else otherwise


def home_of(folder: Path) -> str | None:
    """What the folder is known by in a storage that it shares; a new one where none is stated."""
    return _stated(folder, "home", secrets.token_hex(8))  # type: ignore[no-any-return]


def refuse_another(folder: Path, part: str, now: str | None) -> None:
    """Raises RunError where sweep.json says otherwise: runs there are of another sweep."""
    before = _stated(folder, part, now)
    if before != now:
        raise RunError(
            f"the sweep {folder.name} was begun with another {part}",
            seen=str(now or "SQLite in its folder"),
            allowed=str(before or "SQLite in its folder: no --storage"),
            next="use what it was begun with, or begin another one with --new or --name",
        )


@contextmanager
def taken_back(folder: Path) -> Iterator[None]:
    """Removes the folder again where it was made within and an error came before any training.

    Not where another process has made it meanwhile: it holds the folder's lock.
    """
    was_there = folder.exists()
    try:
        yield
    except FalllineError:
        kept = {"wandb.json", *(path.name for path in folder.glob("*/") if path.name != "logs")}
        if not was_there and folder.exists() and not kept & names_in(folder):
            another = RunError("another is at work")
            with suppress(RunError, StorageError), locked(folder / LOCK, another):
                shutil.rmtree(folder, ignore_errors=True)
        raise


def describe(
    folder: Path, file: SweepFile, images: str | None, storage: str | None, home: str | None
) -> None:
    """Writes sweep.json: what the folder is; `storage` is its address, `home` its name there."""
    refuse_another(folder, "fingerprint", file.fingerprint)
    objective = file.objective
    about = {
        "name": folder.name,
        "method": file.method,
        "metric": {"name": objective.name, "goal": objective.goal} if objective else None,
        "file": file.text,
        "fingerprint": file.fingerprint,
        "seeds": file.extension.seeds,
        "space": {".".join(file.words[key]): str(d) for key, d in file.space.items()},
        "data": images,
        "storage": storage,
        "home": home,
        "command": command_line(),
    }
    path = folder / "sweep.json"
    if not path.exists():
        write_atomically(path, json.dumps(about, indent=2) + "\n")
