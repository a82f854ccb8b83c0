"""A sweep from one call: begun, or gone on with where its folder is there already."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fallline.config import DataConfig
from fallline.data import ImageSet, hold_out
from fallline.errors import ConfigError
from fallline.space import Constant
from fallline.sweep.backend import Place, Share
from fallline.sweep.boards import BOARDS, Board
from fallline.sweep.control import Control, Controller, FileController
from fallline.sweep.coordinator import Coordinator, Ending, News
from fallline.sweep.definition import SweepFile
from fallline.sweep.extension import FOR_TRIALS, stated_values
from fallline.sweep.file import read
from fallline.sweep.folder import (
    Source,
    describe,
    folder_of,
    home_of,
    name_of,
    refuse_another,
    taken_back,
)
from fallline.sweep.local import Local
from fallline.sweep.meter import Meter
from fallline.sweep.results import Result
from fallline.sweep.scene import Scene
from fallline.sweep.script import Script
from fallline.sweep.search import SweepSearch
from fallline.sweep.store import address, open_store
from fallline.sweep.study import Study
from fallline.track.terminal import Show, drawn_progress, settled
from fallline.training.images import load_or_fall_back
from fallline.training.layers import Layer
from fallline.training.resolve import resolve


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
    place, kept = on or Local(), address(storage)
    file, images = prepare(source, given(data, settings), seed, place, show)
    folder = folder_of(Path(out), name_of(name, file, source), file.fingerprint, new=new)
    refuse_another(folder, "storage", kept)
    again = f"the same command{' without --new' * new}"
    with taken_back(folder), open_store(storage, folder, folder.name) as store:
        home = home_of(folder)
        begin = cache(lambda: Study(store, folder.name, file, images, home))
        with closing((controller or FileController()).take(file, begin, folder)) as control:
            study = begin()
            describe(folder, file, images, kept, home)
            result, ending = _carry_out(file, study, folder, control, place, show, again)
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
    if file.script is not None:
        _check_script(file.script, layers, source)
    if file.script is not None or "data.name" in file.space:
        return file, None
    wanted = resolve(file.layers)
    found, images = load_or_fall_back(wanted, drawn_progress(show))
    if found.config.data.name != wanted.config.data.name:
        instead = Layer(found.origins["data.name"], {"data.name": found.config.data.name})
        file = _read(source, [*layers, instead], seed)
    note = _on_batches(file, found.config.data, images)
    return replace(file, notes=(*file.notes, *note)), images.fingerprint


def _on_batches(file: SweepFile, data: DataConfig, images: ImageSet) -> tuple[str, ...]:
    """Whether batches are larger than the set, and so no different from each other."""
    sizes = stated_values(file.space.get("train.batch_size", Constant(None)))
    if any(key.startswith("data.") for key in file.space):
        return ()
    is_held_out = data.validate_on == "val" and images.val is None
    train = (
        hold_out(images.train, data.holdout, data.split_seed)[0] if is_held_out else images.train
    )
    above = [size for size in sizes if isinstance(size, int) and size > len(train)]
    if not above:
        return ()
    named = ", ".join(map(str, above))
    return (f"batch_size {named}: a step takes all {len(train):,} training images, no more",)


def _check_script(script: Script, layers: list[Layer], source: Source) -> None:
    """Raises ConfigError where its program is not there, and for what means nothing to it."""
    if layers:
        raise ConfigError(
            f"{' and '.join(layer.origin for layer in layers)}: nothing to a program of your own",
            seen=script.program or " ".join(script.command),
            next="leave it out, and give the program what it needs by parameters or command",
        )
    program = Path(script.program or "")
    if "${program}" not in script.command or program.is_file():
        return
    beside = Path() if isinstance(source, Mapping) else Path(source).parent
    there = (beside / program).is_file()
    raise ConfigError(
        "the sweep's program is not there",
        seen=f"program: {program}, in {Path.cwd()}",
        allowed="a path from the folder where the command is typed, as for W&B's agent",
        next=f"it is beside the file: cd {beside}" if there else "write the path it has from here",
    )


def _read(source: Source, layers: list[Layer], seed: int | None) -> SweepFile:
    return read(source, layers=[FOR_TRIALS, *layers], seed=seed)


def share_of(file: SweepFile) -> Share:
    """What each training of a sweep is to have of the place where it runs."""
    per_device = file.extension.per_device or 1
    if file.script is not None:
        return Share(per_device)
    train = resolve(file.layers).config.train
    return Share(per_device, train.device, train.threads)


def _carry_out(
    file: SweepFile,
    study: Study,
    folder: Path,
    control: Control,
    place: Place,
    show: Show,
    again: str,
) -> tuple[Result, Ending]:
    search = SweepSearch(file, study, control)
    meter = Meter(file.extension.budget, study.spent, study.keep_spent)
    backend = place.open(folder, share_of(file))
    scene = Scene(folder.name, folder, file, search, meter, backend.slots, again, search.trials)
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
