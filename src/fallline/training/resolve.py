"""From layers of settings to one complete config, with every fault found before any work.

Later layers win. Naming another row (`model=mlp`, `optim.base=adamw`) drops the options that lower
layers gave the row before it: they were meant for that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from fallline.config import SHORT_NAMES, RunConfig, field_names
from fallline.data import fault_of
from fallline.errors import ConfigError, FalllineError, Fault
from fallline.models.table import MODELS
from fallline.optim.schedule import SCHEDULES, warmup_fault
from fallline.optim.schema import held_by, options_schema
from fallline.optim.table import row as optimizer_row
from fallline.records import RunFolder
from fallline.training.faults import faults_of, option_faults, setting_names
from fallline.training.layers import Layer

Settings = dict[str, tuple[Any, str]]
"""Values by dotted key, each with its origin."""


@dataclass(frozen=True)
class Resolved:
    """A checked config, and where each of its settings came from (by dotted key)."""

    config: RunConfig
    origins: Mapping[str, str]


def resolve(layers: Sequence[Layer]) -> Resolved:
    """The config the layers amount to. Raises ConfigError with every fault there is."""
    config, faults, settings = _checked(layers)
    faults += _data_faults(settings)
    if config is None or faults:
        raise ConfigError(faults)
    return Resolved(config, {key: origin for key, (_, origin) in settings.items()})


def read_config(folder: RunFolder) -> RunConfig:
    """The config of a run, checked like any other; the images it names may be gone since.

    Raises ConfigError with every fault, RunError if the file cannot be read.
    """
    config, faults, _ = _checked([Layer("config.json", folder.read_config())])
    if config is None or faults:
        which = Fault(
            "the run's config does not fit this version of fallline",
            seen=str(folder.config),
            next="use the version in environment.json beside it, or take back what was edited",
        )
        raise ConfigError([which, *faults])
    return config


def without_idle(layers: Sequence[Layer], last: Layer) -> tuple[Layer, tuple[str, ...]]:
    """`last` without the row options that the rows it leads to do not take, and their keys.

    A search draws `optim.momentum` whichever optimizer it draws; for adam that draw is idle.
    Options inside a mapping (`optim: {name: adam, momentum: 0.9}`) were meant, and stay.
    """
    settings: Settings = {}
    for layer in (*layers, last):
        _lay(settings, layer)
    nested = _nest({key: value for key, (value, _) in settings.items()})
    flat = dict(flatten(last.values))
    alone = {SHORT_NAMES.get(word, word) for word in last.values}
    idle = tuple(key for key in flat if key in alone and _is_idle(key, nested))
    return Layer(last.origin, {k: v for k, v in flat.items() if k not in idle}), idle


def _is_idle(key: str, nested: dict[str, Any]) -> bool:
    section, _, option = key.rpartition(".")
    if section not in ("model", "optim") or option in _own_fields(section):
        return False
    given = {k: v for k, v in nested[section].items() if k not in _own_fields(section)}
    name = nested[section].get("name", getattr(RunConfig(), section).name)
    try:
        return option not in _row_schema(section, str(name), given).model_fields
    except FalllineError:
        return False  # a name that is none is a fault of its own


def _lay(settings: Settings, layer: Layer) -> None:
    """Lays one layer over the settings so far."""
    flat = dict(flatten(layer.values))
    for section, rows in (("model", _model_rows), ("optim", _optimizer_rows)):
        given = {
            key.removeprefix(f"{section}."): value
            for key, (value, _) in settings.items()
            if key.startswith(f"{section}.")
        }
        for field, present, kept in rows(given):
            if flat.get(f"{section}.{field}", present) != present:
                for stale in given.keys() - kept:
                    del settings[f"{section}.{stale}"]
                break
    settings.update({key: (value, layer.origin) for key, value in flat.items()})


Rows = Iterator[tuple[str, Any, set[str]]]
"""Fields that name a row: the field, the name it has, and which settings outlive its change."""


def _model_rows(given: Mapping[str, Any]) -> Rows:
    yield "name", given.get("name", RunConfig().model.name), {"name"}


def _optimizer_rows(given: Mapping[str, Any]) -> Rows:
    """The optimizer, then those inside it: rates by role were meant for all of them together."""
    kept = {"name", "decay_norm_and_bias"}
    name = given.get("name", RunConfig().optim.name)
    yield "name", name, kept
    with suppress(ConfigError):  # an unknown name: the check that follows says so
        for option, inner, owned in held_by(str(name), given):
            yield option, inner, kept | owned


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as dotted keys, short names as fields."""
    flat: list[tuple[str, Any]] = []
    for word, value in values.items():
        key = prefix + str(word)
        if isinstance(value, Mapping) and key in _sections():
            flat += flatten(value, f"{key}.")
        else:
            flat.append((SHORT_NAMES.get(key, key), value))
    return flat


@cache
def _sections() -> frozenset[str]:
    return frozenset(key.rpartition(".")[0] for key in field_names() if "." in key)


def _section_faults(settings: Settings) -> list[Fault]:
    """Takes out of the settings what gives a whole section one value, and says what it holds."""
    faults = []
    for section in _sections() & settings.keys():
        value, _ = settings.pop(section)
        inside = [key for key in field_names() if key.rpartition(".")[0] == section]
        what = f"{section} is a section of settings and takes no value itself"
        faults.append(Fault(what, repr(value), ", ".join(inside)))
    return sorted(faults, key=str)


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested dictionaries; keys outside every section stay as they are."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, field = key.rpartition(".")
        if section and section not in _sections():
            section, field = "", key
        place = nested
        for part in section.split(".") if section else []:
            place = place.setdefault(part, {})
        place[field] = value
    return nested


def _checked(layers: Sequence[Layer]) -> tuple[RunConfig | None, list[Fault], Settings]:
    """The complete config, where the layers amount to one, all that is wrong, and the settings."""
    settings: Settings = {}
    for layer in layers:
        _lay(settings, layer)
    faults = _section_faults(settings)
    nested = _nest({key: value for key, (value, _) in settings.items()})
    faults += _schema_faults(nested)
    filled, row_faults = _with_row_options(nested)
    if faults or row_faults:
        every = faults + row_faults  # lr is in both
        once = {(fault.what, fault.seen): fault for fault in every}
        return None, list(once.values()), settings
    config = RunConfig.model_validate(filled)
    return config, _averaging_faults(config), settings


def _schema_faults(nested: dict[str, Any]) -> list[Fault]:
    """What is wrong with the fields that the schema itself declares."""
    try:
        config = RunConfig.model_validate(nested)
    except ValidationError as error:
        return faults_of(error, RunConfig, "", setting_names())
    faults: list[Fault | None] = []
    if config.schedule.name not in SCHEDULES:
        faults.append(SCHEDULES.unknown(config.schedule.name))
    else:
        faults.append(warmup_fault(config.schedule.name, config.schedule.warmup))
    return [fault for fault in faults if fault is not None]


def _averaging_faults(config: RunConfig) -> list[Fault]:
    """A run is judged by one average of its weights, not by the average of an average."""
    if not (config.train.ema and optimizer_row(config.optim.name).averages):
        return []
    what = f"the optimizer {config.optim.name} averages weights itself"
    return [Fault(what, f"train.ema = {config.train.ema}", next="leave train.ema out")]


def _data_faults(settings: Settings) -> list[Fault]:
    """Whether the image set that is named is there."""
    name, _ = settings.get("data.name", (RunConfig().data.name, ""))
    fault = fault_of(name) if isinstance(name, str) else None
    return [fault] if fault else []


def _with_row_options(nested: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The settings with every option of the named rows filled in, and what is wrong with them."""
    faults: list[Fault] = []
    filled = dict(nested)
    for section, field in (("model", RunConfig().model), ("optim", RunConfig().optim)):
        given = dict(nested.get(section, {}))
        own = {k: given.pop(k) for k in list(given) if k in _own_fields(section)}
        declared = type(field).model_fields  # None in one of these leaves it to the row
        given = {k: v for k, v in given.items() if v is not None or k not in declared}
        name = str(own.get("name", field.name))
        try:
            schema = _row_schema(section, name, given)
            options = schema.model_validate(given).model_dump(mode="json")
        except ValidationError as error:
            faults += option_faults(error, schema, section, name)
        except ConfigError as error:
            faults += error.faults
        else:
            filled[section] = {"name": field.name, **options, **own}
    return filled, faults


def _own_fields(section: str) -> set[str]:
    """The fields of a row section that are not options of the row."""
    fields = set(RunConfig.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
    return fields - {"lr", "weight_decay"}


def _row_schema(section: str, name: str, given: dict[str, Any]) -> type[BaseModel]:
    if section == "model":
        return MODELS[name].options
    return options_schema(name, given)
