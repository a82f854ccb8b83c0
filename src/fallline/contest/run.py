"""A comparison from one call: begun, or gone on with where its folder is there."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from fallline.compare.comparison import Comparison
from fallline.compare.plan import Plan
from fallline.contest.boards import BOARDS, Board, Scene
from fallline.contest.design import Wish, plan_of
from fallline.contest.ledger import conclude, opened
from fallline.contest.recipe import Recipe
from fallline.contest.search import ContestSearch
from fallline.contest.tasks import TaskMaker
from fallline.errors import DataError
from fallline.records import plain_name
from fallline.report.files import write_report
from fallline.sweep.backend import Place
from fallline.sweep.coordinator import Coordinator, Ending
from fallline.sweep.folder import taken_back
from fallline.sweep.local import Local
from fallline.track.terminal import Show, drawn_progress, settled
from fallline.training.images import load_or_fall_back
from fallline.training.resolve import resolve

SEVEN = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "sam", "muon")


def run(
    optimizers: Sequence[str] = SEVEN,
    *,
    data: str | Path | None = None,
    workloads: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    base: str = "neutral",
    configs: int = 12,
    seeds: int = 5,
    budget: str = "2ep",
    seed: int = 0,
    targets: Sequence[float] = (),
    out: str | Path = "runs",
    name: str | None = None,
    on: Place | None = None,
    show: Show = "auto",
) -> Comparison:
    """Compares optimizers, or goes on with a comparison where it was stopped.

    Each gets the same number of configurations from its declared space, at the same quasi-random
    points, trained on train and chosen on val; the best is repeated on fresh seeds, which all
    optimizers share, and only then is test touched.

    Args:
        optimizers: rows of `fallline list optimizers`, two or more.
        data: a row of `fallline list data`, or a folder or archive of images.
        workloads: rows of `fallline list models`; default: the base's.
        settings: fields by dotted key or short name, the same for all; what they set is not
            searched, and left out for optimizers that do not take it.
        base: the preset below everything.
        configs: configurations for each optimizer, 3 or more.
        seeds: repeats of the best, 2 or more.
        budget: of each training: 2ep, 500steps, 1000grads, 30s. Its schedule ends there.
        seed: of tuning; the fresh ones follow it.
        targets: accuracies (fractions) to time the way to; default: round ones.
        out: the folder that gets the comparison's folder.
        name: the comparison's folder; default: from data and models.
        on: where trainings run; default: this machine, as many at a time as it has room for.
        show: what to print: auto, bar, lines, quiet or json.

    Returns the comparison, which `comparison.json` in its folder holds as well; beside it lies the
    page, `report.html`.

    Raises ConfigError with every fault before any work, RunError where the folder holds something
    else or another process is at work, DataError, StorageError; after Ctrl-C or SIGTERM, when all
    is saved, KeyboardInterrupt or SystemExit(143).
    """
    wish = Wish(
        optimizers=tuple(optimizers),
        data=None if data is None else str(data),
        workloads=tuple(workloads),
        settings=settings or {},
        base=base,
        configs=configs,
        seeds=seeds,
        budget=budget,
        seed=seed,
        targets=tuple(targets),
    )
    return carry_out(wish, out=Path(out), name=name, on=on or Local(), show=show)


def carry_out(wish: Wish, *, out: Path, name: str | None, on: Place, show: Show) -> Comparison:
    """What `run` does, from a wish."""
    plan, recipe = prepare(wish, name, show)
    folder = out / plan.name
    with taken_back(folder), opened(folder, plan) as settled_plan:
        search = ContestSearch(TaskMaker(settled_plan, recipe, folder))
        found, ending = _run(search, folder, on, show)
    ending.raise_for_signal()
    return found


def prepare(wish: Wish, name: str | None, show: Show) -> tuple[Plan, Recipe]:
    """The plan and what all trainings share; images are decoded here, before workers want them.

    Where nobody chose images and none can be fetched, the built-in digits take their place.
    """
    plan = plan_of(wish, _command())
    first = Recipe(wish.base, wish.data, plan.settings)
    wanted = resolve(first.layers(plan.workloads[0], plan.contestants[0].optimizer))
    got, images = load_or_fall_back(wanted, drawn_progress(show))
    if len(images.classes) < 2:
        raise DataError("one class is nothing to tell apart", seen=images.classes[0])
    used = got.config.data.name
    recipe = replace(first, data=used if used != wanted.config.data.name else wish.data)
    return _named(replace(plan, data=used), name), recipe


def _run(
    search: ContestSearch, folder: Path, place: Place, show: Show
) -> tuple[Comparison, Ending]:
    backend = place.open(folder, search.share)
    board: Board = BOARDS[settled(show)].build(Scene(search, folder, backend.slots))
    with closing(board):
        ending = Coordinator(search, backend, board).run()
        found = conclude(folder)
        page = None if ending.signum else write_report([folder], show="quiet")
        board.finish(found, page)
    return found, ending


def _named(plan: Plan, name: str | None) -> Plan:
    """The plan with its folder's name."""
    words = name or f"compare-{Path(plan.data).name.partition('.')[0]}-{'-'.join(plan.workloads)}"
    return replace(plan, name=plain_name(words, "comparison"))


def _command() -> str:
    """What a person types to do this again."""
    program = Path(sys.argv[0]).name
    return shlex.join(["fallline" if program == "__main__.py" else program, *sys.argv[1:]])
