"""A sweep from one call: begun, or gone on with where its folder is there already."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from fallline.errors import ConfigError, RunError
from fallline.records import plain_name
from fallline.storage import names_in, write_atomically
from fallline.sweep.backend import Place
from fallline.sweep.boards import BOARDS, Board
from fallline.sweep.control import Control, Controller, FileController
from fallline.sweep.coordinator import Coordinator, Ending, News
from fallline.sweep.definition import SweepFile
from fallline.sweep.file import read
from fallline.sweep.local import Local
from fallline.sweep.meter import Meter
from fallline.sweep.results import Result
from fallline.sweep.scene import Scene
from fallline.sweep.search import SweepSearch
from fallline.sweep.store import address, open_store
from fallline.sweep.study import Study
from fallline.sweep.tasks import FOR_TRIALS
from fallline.track.terminal import Show, drawn_progress, settled
from fallline.training.images import load_or_fall_back
from fallline.training.resolve import Layer, resolve

UNDESCRIBED: Final = ("study.db", "wandb.json")
"""How the names begin that a sweep leaves if it ends before its folder is described."""
Source = str | Path | Mapping[str, Any]


def run(
    source: Source,
    *,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    new: bool = False,
    on: Place | None = None,
    controller: Controller | None = None,
    storage: str | None = None,
    show: Show = "auto",
) -> Result:
    """Runs a W&B sweep file, or goes on with it where it was stopped.

    Args:
        source: the file, or the same as a mapping.
        data: a row of `fallline list data`, or a folder or archive of images; default: the file's.
        settings: fields by dotted key or short name, the same for every trial.
        seed: of the draws of random and bayes; default: the file's.
        out: the folder that gets the sweep's folder.
        name: the sweep's folder; default: the file's `name`, or its own name.
        new: begin another one where that folder is taken, under the next free name.
        on: where trainings run; default: this machine, as many at a time as it has room for.
        controller: who chooses configurations and stops trainings; default: the file.
        storage: where the study is kept: journal:PATH or postgresql://...; default: the folder.
        show: what to print: auto, bar, lines, quiet or json.

    Raises ConfigError with every fault of file and settings before any work, RunError where
    another process is at work on the sweep or it was begun with something else, DataError,
    StorageError; after Ctrl-C or SIGTERM, when all is saved, KeyboardInterrupt or SystemExit(143).
    """
    place = on or Local()
    file, images = prepare(source, given(data, settings), seed, place, show)
    folder = _folder(Path(out), _name(name, file, source), new=new)
    _refuse_another(folder, "storage", address(storage))
    with open_store(storage, folder, folder.name) as store:
        begin = cache(lambda: Study(store, folder.name, file, images))
        with closing((controller or FileController()).take(file, begin, folder)) as control:
            study = begin()
            _describe(folder, file, images, storage)
            result, ending = _carry_out(file, study, folder, control, place, show)
    ending.raise_for_signal()
    return result


def given(data: str | Path | None, settings: Mapping[str, Any] | None) -> list[Layer]:
    """What a caller says beside the file, as layers over the file's base."""
    layers = [Layer("settings", settings)] if settings else []
    return layers + ([Layer("data", {"data.name": str(data)})] if data is not None else [])


def prepare(
    source: Source, layers: list[Layer], seed: int | None, place: Place, show: Show
) -> tuple[SweepFile, str | None]:
    """The sweep, checked, and the fingerprint of its images, which are ready to be opened.

    They are decoded here, once, before workers want them. Raises ConfigError for a program where
    `place` runs none.
    """
    file = _read(source, layers, seed)
    if file.script is not None and not place.takes_programs:
        raise ConfigError(
            "a program of your own runs on this machine only",
            seen=file.script.program or " ".join(file.script.command),
            next="leave out --on",
        )
    if file.script is not None or "data.name" in file.space:
        return file, None
    wanted = resolve(file.layers)
    found, images = load_or_fall_back(wanted, drawn_progress(show))
    if found.config.data.name != wanted.config.data.name:
        instead = Layer(found.origins["data.name"], {"data.name": found.config.data.name})
        file = _read(source, [*layers, instead], seed)
    return file, images.fingerprint


def _read(source: Source, layers: list[Layer], seed: int | None) -> SweepFile:
    file = read(source, layers=[FOR_TRIALS, *layers])
    if seed is None:
        return file
    return replace(file, extension=file.extension.model_copy(update={"seed": seed}))


def _carry_out(
    file: SweepFile, study: Study, folder: Path, control: Control, place: Place, show: Show
) -> tuple[Result, Ending]:
    search = SweepSearch(file, study, control)
    meter = Meter(file.extension.budget, study.spent, study.keep_spent)
    device = "auto" if file.script else resolve(file.layers).config.train.device
    backend = place.open(folder, file.extension.per_device or 1, device)
    scene = Scene(folder.name, folder, file, search, meter, backend.slots, search.trials)
    board: Board = BOARDS[settled(show)].build(scene)

    def audience(news: News) -> None:
        meter(news)
        board(news)

    with closing(board):
        ending = Coordinator(search, backend, audience, meter.used_up).run()
        meter.save()
        objective = file.objective
        result = Result(
            path=folder,
            metric=objective.name if objective else None,
            goal=objective.goal if objective else "minimize",
            trials=search.trials,
            kind=ending.kind,
            ending=ending.reason,
        )
        board.finish(result)
    return result, ending


def _name(name: str | None, file: SweepFile, source: Source) -> str:
    stem = "sweep" if isinstance(source, Mapping) else Path(source).stem
    return plain_name(name or file.name or stem, "sweep")


def _folder(out: Path, name: str, *, new: bool) -> Path:
    """The sweep's folder; raises RunError if something else is there."""
    folder, number = out / name, 2
    while new and folder.exists():
        folder, number = out / f"{name}-{number}", number + 1
    names = names_in(folder)
    if "sweep.json" not in names and not all(name.startswith(UNDESCRIBED) for name in names):
        raise RunError(
            "the sweep's folder holds something else",
            seen=str(folder),
            next="choose another --name or --out",
        )
    return folder


def _refuse_another(folder: Path, part: str, now: str | None) -> None:
    """Raises RunError where sweep.json says otherwise: runs there are of another sweep."""
    path = folder / "sweep.json"
    before = json.loads(path.read_text())[part] if path.exists() else now
    if before != now:
        raise RunError(
            f"the sweep {folder.name} was begun with another {part}",
            seen=str(now or "SQLite in its folder"),
            allowed=str(before or "SQLite in its folder: no --storage"),
            next="use what it was begun with, or begin another one with --new or --name",
        )


def _describe(folder: Path, file: SweepFile, images: str | None, storage: str | None) -> None:
    """Writes sweep.json: what the folder is."""
    _refuse_another(folder, "fingerprint", file.fingerprint)
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
        "storage": address(storage),
        "command": shlex.join(sys.argv),
    }
    path = folder / "sweep.json"
    if not path.exists():
        write_atomically(path, json.dumps(about, indent=2) + "\n")
