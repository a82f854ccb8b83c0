"""What `fallline list` prints: each table as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from fallline.errors import RunError
from fallline.records import RunFolder
from fallline.track.terminal import clean, say

NARROW, WIDE, ENDLESS = 110, 160, 100_000  # characters
SPARE = {  # columns that a narrow terminal can do without: pages of one row, and names, have them
    "settings": ("plain run", "takes"),
    "runs": ("started", "data", "optimizer", "steps"),
}
Lines = Iterable[tuple[str, ...]]


def print_table(what: str, runs: Path) -> None:
    """Prints one of the tables; `runs` is where run folders lie."""
    tables: dict[str, Callable[[], tuple[tuple[str, ...], Lines]]] = {
        "optimizers": _optimizers,
        "models": _models,
        "data": _data,
        "presets": _presets,
        "schedules": _schedules,
        "settings": _settings,
        "runs": lambda: _runs(runs),
    }
    print_grid(*tables[what](), spare=SPARE.get(what, ()))


def print_grid(
    columns: tuple[str, ...], lines: Lines, *, wrap: bool = True, spare: tuple[str, ...] = ()
) -> None:
    """Prints lines below their columns' titles; without `wrap` each stays one line, however long.

    A column without any value is left out, in a narrow terminal also those that are `spare`. A
    file or a pipe has no edge to wrap at, unless COLUMNS gives it one.
    """
    console = Console()
    if not wrap:
        console.width = ENDLESS
    elif not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    rows = [tuple(line) for line in lines]
    told = [at for at in range(len(columns)) if not rows or any(row[at] for row in rows)]
    if console.width < NARROW:
        told = [at for at in told if columns[at] not in spare]
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for at in told:
        grid.add_column(columns[at], no_wrap=at == 0, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(clean(row[at])) for at in told))
    with console.capture() as drawn:
        console.print(grid, soft_wrap=not wrap)
    say(drawn.get().removesuffix("\n"))


def _optimizers() -> tuple[tuple[str, ...], Lines]:
    from fallline.optim import library
    from fallline.optim.table import OPTIMIZERS

    lines = [(row.name, row.summary) for row in OPTIMIZERS]
    others = ", ".join(sorted(set(library.NAMES) - set(OPTIMIZERS.names)))
    lines.append(("and", f"with pip install '.[optimizers]' in the source: {others}"))
    lines.append(("", "the settings of one: fallline list optimizers NAME"))
    return ("name", "what it is"), lines


def _models() -> tuple[tuple[str, ...], Lines]:
    from fallline.models.table import MODELS

    lines = [
        (row.name, row.summary, ", ".join(f"model.{name}" for name in row.options.model_fields))
        for row in MODELS
    ]
    lines.append(("", "the settings of one: fallline list models NAME", ""))
    return ("name", "what it is", "settings"), lines


def _data() -> tuple[tuple[str, ...], Lines]:
    from fallline.data import DATA, available

    lines = [
        (row.name, "yes" if available(row.name) else "fetched when used", row.summary)
        for row in DATA
    ]
    lines.append(("PATH", "", "a folder or archive: train/<class>/* (val/, test/) or <class>/*"))
    return ("name", "on this machine", "what it is"), lines


def _presets() -> tuple[tuple[str, ...], Lines]:
    from fallline.presets.table import PRESETS

    return ("name", "what it is for"), [(row.name, row.summary) for row in PRESETS]


def _schedules() -> tuple[tuple[str, ...], Lines]:
    from fallline.optim.schedule import SCHEDULES

    return ("name", "the learning rate"), [(row.name, row.summary) for row in SCHEDULES]


def _settings() -> tuple[tuple[str, ...], Lines]:
    from fallline.config import declared_fields
    from fallline.values import range_of

    plain = plain_run()
    lines = [
        (name, short_names(name), plain[name], range_of(field), field.description or "")
        for name, field in declared_fields().items()
    ]
    lines += [
        (f"{section}.*", "", "", "", f"those of one: fallline list {table} NAME")
        for section, table in (("model", "models"), ("optim", "optimizers"))
    ]
    return ("setting", "short name", "plain run", "takes", "meaning"), lines


def plain_run() -> dict[str, str]:
    """What each setting is where nobody sets it: the default preset's value, else the schema's."""
    from fallline.config import declared_fields
    from fallline.training.layers import preset_layer
    from fallline.training.resolve import resolve
    from fallline.values import typed

    config = resolve([preset_layer("steady")]).config.model_dump(mode="json")
    plain = {}
    for key in declared_fields():
        value: Any = config
        for part in key.split("."):
            value = value[part]
        plain[key] = "" if value is None else typed(value)
    return plain


def short_names(key: str) -> str:
    """The words that mean a setting beside its dotted key."""
    from fallline.config import SHORT_NAMES

    return ", ".join(short for short, field in SHORT_NAMES.items() if field == key)


def _runs(folder: Path) -> tuple[tuple[str, ...], Lines]:
    if not folder.is_dir():
        raise RunError(
            "there is no folder of runs",
            seen=f"{folder} does not exist, or is no folder",
            next="name it with --out, or train something first: fallline train --data digits",
        )
    lines = [_run_line(run) for run in RunFolder.all_in(folder)]
    lines += [line for path in sorted(folder.glob("*/")) if (line := _search_line(path))]
    columns = ("run", "started", "data", "optimizer", "status", "val", "test", "steps")
    return columns, lines or [(f"no run in {folder}", *[""] * (len(columns) - 1))]


def _run_line(run: RunFolder) -> tuple[str, ...]:
    try:
        facts, outcome = _about(run), run.read_outcome()
    except (RunError, KeyError, TypeError, ValueError, AttributeError):
        return run.path.name, "", "", "", "unreadable", "", "", ""
    if outcome is None:
        return run.path.name, *facts, "not ended", "", "", ""
    scores = (outcome.val_accuracy, outcome.test_accuracy)
    percent = ("" if score is None else f"{score:.2%}" for score in scores)
    return run.path.name, *facts, outcome.status, *percent, str(outcome.steps)


def _search_line(path: Path) -> tuple[str, ...] | None:
    """A sweep or a comparison among the runs; None for any other folder."""
    kinds = {"sweep.json": "a sweep", "plan.json": "a comparison"}
    kind = next((kind for name, kind in kinds.items() if (path / name).is_file()), None)
    if kind is None:
        return None
    held = len(RunFolder.all_in(path))
    return path.name, "", "", f"{kind}, {held} run{'s' * (held != 1)}", "", "", "", ""


def _about(run: RunFolder) -> tuple[str, str, str]:
    """When it was started, its data, its optimizer; of a script only that it is one."""
    if run.program.is_file():
        return "", "", "a script's own"
    config, around = run.read_config(), run.read_environment()
    data = around.get("data", {}).get("name") or config["data"]["name"]
    started = str(around.get("started", ""))[:16].replace("T", " ")
    return started, data, config["optim"]["name"]
