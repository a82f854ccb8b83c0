"""What `fallline list` prints: each table as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from fallline.errors import ConfigError
from fallline.records import RunFolder

WIDE = 160  # characters
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
    print_grid(*tables[what]())


def print_row(what: str, name: str) -> None:
    """Prints one row of a table whose rows have settings. Raises ConfigError for other tables."""
    tables = {"optimizers": _print_optimizer, "models": _print_model}
    if what not in tables:
        raise ConfigError(
            f"rows of {what} have no settings of their own",
            seen=f"list {what} {name}",
            allowed="list optimizers NAME, list models NAME",
            next=f"fallline list {what}",
        )
    tables[what](name)


def _print_model(name: str) -> None:
    """What it is and what may be set."""
    from fallline.models.table import MODELS

    model = MODELS[name]
    Console(highlight=False).print(Text(f"{name}: {model.summary}"))
    lines = [
        (f"model.{option}", str(field.default), field.description or "")
        for option, field in model.options.model_fields.items()
    ]
    print_grid(("setting", "default", "meaning"), lines)


def _print_optimizer(name: str) -> None:
    """What it is, what may be set, what a search tries."""
    from fallline.optim.schema import options_schema, search_space
    from fallline.optim.table import row

    optimizer = row(name)
    console = Console(highlight=False)
    console.print(Text(f"{name}: {optimizer.summary}"))
    console.print(Text(f"{optimizer.paper}; {optimizer.gradients_per_step:g} gradients per step"))
    space = search_space(name)
    lines = [
        (f"optim.{option}", str(field.default), str(space.get(option, "")))
        for option, field in options_schema(name, {}).model_fields.items()
    ]
    print_grid(("setting", "default", "a search tries"), lines)


def print_grid(columns: tuple[str, ...], lines: Lines) -> None:
    """Prints lines below their columns' titles."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, no_wrap=column == columns[0])
    for line in lines:
        grid.add_row(*(Text(cell) for cell in line))
    console = Console()
    if not console.is_terminal:
        console.width = WIDE  # a file or a pipe has no edge to wrap at
    console.print(grid)


def _optimizers() -> tuple[tuple[str, ...], Lines]:
    from fallline.optim import library
    from fallline.optim.table import OPTIMIZERS

    lines = [(row.name, row.summary) for row in OPTIMIZERS]
    others = ", ".join(sorted(set(library.NAMES) - set(OPTIMIZERS.names)))
    lines.append(("and", f"with pip install 'fallline[optimizers]': {others}"))
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
    from fallline.config import SHORT_NAMES, described_fields

    short = {field: name for name, field in SHORT_NAMES.items()}
    lines = [
        (name, short.get(name, ""), default, description)
        for name, default, description in described_fields()
    ]
    return ("setting", "short name", "default", "meaning"), lines


def _runs(folder: Path) -> tuple[tuple[str, ...], Lines]:
    found = sorted(path.parent for path in folder.glob("*/config.json"))
    return ("run", "status", "val", "test", "steps"), [
        _run_line(RunFolder(path)) for path in found
    ]


def _run_line(run: RunFolder) -> tuple[str, ...]:
    outcome = run.read_outcome()
    if outcome is None:
        return run.path.name, "not ended", "", "", ""
    scores = (outcome.val_accuracy, outcome.test_accuracy)
    percent = ("" if score is None else f"{score:.2%}" for score in scores)
    return run.path.name, outcome.status, *percent, str(outcome.steps)
