"""What `fallline list TABLE NAME` prints: one row of a table, whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic.fields import FieldInfo

from fallline.cli.tables import plain_run, print_grid, short_names
from fallline.config import SHORT_NAMES, ScheduleConfig, declared_fields
from fallline.errors import ConfigError, unknown_name
from fallline.records import RunFolder
from fallline.track.terminal import clean, say
from fallline.training.faults import rows_with
from fallline.training.resolve import flatten
from fallline.values import range_of, typed


def print_row(what: str, name: str, runs: Path) -> None:
    """Prints one row of a table; `runs` is where run folders lie.

    Raises ConfigError for a name that is none, RunError for a run that is none.
    """
    printers: dict[str, Callable[[str], None]] = {
        "optimizers": _optimizer,
        "models": _model,
        "data": _data,
        "presets": _preset,
        "schedules": _schedule,
        "settings": _setting,
        "runs": lambda name: _run(RunFolder.open(runs / name)),
    }
    printers[what](name)


def _optimizer(name: str) -> None:
    """What it is, what may be set, what a search tries."""
    from fallline.optim.schema import options_schema, search_space
    from fallline.optim.table import row

    optimizer = row(name)
    gradients = optimizer.gradients_per_step
    say(f"{name}: {optimizer.summary}")
    say(f"{optimizer.paper}; {gradients:g} gradient{'s' * (gradients != 1)} per step")
    space = search_space(name)
    fields = options_schema(name, {}).model_fields
    lines = [
        (*_line("optim", option, field), str(space.get(option, "")))
        for option, field in fields.items()
    ]
    print_grid(("setting", "default", "takes", "meaning", "a search tries"), lines)


def _model(name: str) -> None:
    from fallline.models.table import MODELS

    model = MODELS[name]
    say(f"{name}: {model.summary}")
    say(model.source)
    _print_settings("model", model.options.model_fields)


def _schedule(name: str) -> None:
    from fallline.optim.schedule import SCHEDULES

    say(f"{name}: {SCHEDULES[name].summary}")
    _print_settings("schedule", ScheduleConfig.model_fields)


def _print_settings(section: str, fields: Mapping[str, FieldInfo]) -> None:
    lines = [_line(section, option, field) for option, field in fields.items() if option != "name"]
    print_grid(("setting", "default", "takes", "meaning"), lines)


def _line(section: str, option: str, field: FieldInfo) -> tuple[str, str, str, str]:
    default = typed(field.default)
    return f"{section}.{option}", default, range_of(field), field.description or ""


def _preset(name: str) -> None:
    """What it is for, and what it sets."""
    from fallline.presets.table import PRESETS

    build = PRESETS[name].build
    say(f"{inspect.getdoc(build)}\n")
    settings = build().model_dump(mode="json", exclude_unset=True)
    print_grid(("setting", "value"), [(key, typed(value)) for key, value in flatten(settings)])


def _data(name: str) -> None:
    from fallline.data import DATA, available

    row = DATA[name]
    facts = {
        "images": f"{row.train:,} train, {row.test:,} test",
        "classes": f"{row.classes}",
        "size": f"{row.image_size} x {row.image_size} x {row.channels}",
        "mirrored": "yes" if row.mirror else "no: a flip changes what an image means",
        "on this machine": "yes" if available(name) else "fetched when used",
        "source": row.source,
    }
    say(f"{name}: {row.summary}")
    print_grid(("what", "is"), facts.items())


def _setting(name: str) -> None:
    key, fields = SHORT_NAMES.get(name, name), declared_fields()
    if key not in fields and (rows := rows_with(key)):
        section, _, option = key.partition(".")
        lines = [(row, *_line(section, option, field)[1:]) for row, field in rows.items()]
        print_grid((f"{key} of", "default", "takes", "meaning"), lines)
        return
    if key not in fields:
        hint = "fallline list settings, fallline list optimizers NAME, fallline list models NAME"
        fault = unknown_name("setting", name, [*fields, *SHORT_NAMES], next=hint)
        raise ConfigError(replace(fault, allowed=None))  # they would fill the screen
    facts = {
        "meaning": fields[key].description or "",
        "takes": range_of(fields[key]),
        "plain run": plain_run()[key],
        "short name": short_names(key),
    }
    print_grid((key, ""), [fact for fact in facts.items() if fact[1]])


def _run(folder: RunFolder) -> None:
    """How it went, and with what."""
    outcome, around = folder.read_outcome(), folder.read_environment()
    facts = {"status": "not ended" if outcome is None else f"{outcome.status}: {outcome.reason}"}
    if outcome is not None:
        scores = {"val": outcome.val_accuracy, "test": outcome.test_accuracy}
        facts |= {f"{k} accuracy": f"{v:.2%}" for k, v in scores.items() if v is not None}
        facts["training"] = f"{outcome.train_seconds:.1f} s, {outcome.steps:,} steps"
        facts |= {f"note {at}": note for at, note in enumerate(outcome.notes, 1)}
    facts |= {"started": str(around.get("started", "")), "by": str(around.get("command", ""))}
    facts |= {key: typed(value) for key, value in flatten(folder.read_config())}
    print_grid(
        (clean(str(folder.path)), ""), [(key, clean(value)) for key, value in facts.items()]
    )
