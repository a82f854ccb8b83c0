"""From layers of settings to one complete config, with every fault found before any work.

A layer is a preset, a file, the command line: later ones win. Naming another row (`model=mlp`)
drops the options that lower layers gave the row before it: they were meant for that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fallline.config import SHORT_NAMES, RunConfig, field_names
from fallline.data import fault_of
from fallline.errors import ConfigError, FalllineError, Fault, did_you_mean, unknown_name
from fallline.models.table import MODELS
from fallline.optim.schedule import SCHEDULES
from fallline.optim.schema import options_schema
from fallline.presets.table import PRESETS

_ROW_SECTIONS = {"model": ("name",), "optim": ("name", "decay_norm_and_bias", "lr_scale")}
"""Sections that name a row, and the fields of theirs that outlive a change of the row."""


@dataclass(frozen=True)
class Layer:
    """Settings of one origin: dotted keys or short names, or nested mappings of them."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved:
    """A checked config, and where each of its settings came from (by dotted key)."""

    config: RunConfig
    origins: Mapping[str, str]


def resolve(layers: Sequence[Layer]) -> Resolved:
    """The config the layers amount to. Raises ConfigError with every fault there is."""
    settings: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        _lay(settings, layer)
    nested = _nest({key: value for key, (value, _) in settings.items()})
    faults = _schema_faults(nested)
    nested, row_faults = _with_row_options(nested)
    if faults or row_faults:
        raise ConfigError(list(dict.fromkeys(faults + row_faults)))  # lr is in both
    origins = {key: origin for key, (_, origin) in settings.items()}
    return Resolved(RunConfig.model_validate(nested), origins)


def preset_layer(name: str) -> Layer:
    """What a preset sets; what it leaves to defaults is not its doing."""
    return Layer(f"preset {name}", PRESETS[name].build().model_dump(exclude_unset=True))


def read_layer(path: Path) -> Layer:
    """A YAML or JSON file as a layer. Raises ConfigError if it cannot be read as settings."""
    try:
        values = YAML(typ="safe", pure=True).load(path)
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the config {path}",
            seen=str(error),
            allowed="a YAML or JSON file, like the config.json of a run",
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"cannot read the config {path}",
            seen=f"a {type(values).__name__}",
            allowed="fields and their values, like `optim: {lr: 0.1}`",
        )
    return Layer(f"--config {path}", values)


def parse_assignments(assignments: Sequence[str]) -> Layer:
    """`--set key=value` texts as a layer; values are read as YAML. Raises ConfigError."""
    values, faults = {}, []
    for text in assignments:
        key, equals, value = text.partition("=")
        try:
            if not (key.strip() and equals):
                raise ValueError("no =")
            values[key.strip()] = YAML(typ="safe", pure=True).load(value) if value else ""
        except (ValueError, YAMLError):
            faults.append(Fault("cannot read --set", text, "key=value, like optim.lr=0.1"))
    if faults:
        raise ConfigError(faults)
    return Layer("--set", values)


def without_idle(layers: Sequence[Layer], last: Layer) -> tuple[Layer, tuple[str, ...]]:
    """`last` without the row options that the rows it leads to do not take, and their keys.

    A search draws `optim.momentum` whichever optimizer it draws; for adam that draw is idle.
    """
    settings: dict[str, tuple[Any, str]] = {}
    for layer in (*layers, last):
        _lay(settings, layer)
    nested = _nest({key: value for key, (value, _) in settings.items()})
    flat = dict(flatten(last.values))
    idle = tuple(key for key in flat if _is_idle(key, nested))
    return Layer(last.origin, {k: v for k, v in flat.items() if k not in idle}), idle


def _is_idle(key: str, nested: dict[str, Any]) -> bool:
    section, _, option = key.partition(".")
    if section not in _ROW_SECTIONS or option in _own_fields(section):
        return False
    given = {k: v for k, v in nested[section].items() if k not in _own_fields(section)}
    name = nested[section].get("name", getattr(RunConfig(), section).name)
    try:
        return option not in _row_schema(section, str(name), given).model_fields
    except FalllineError:
        return False  # a name that is none is a fault of its own


def _lay(settings: dict[str, tuple[Any, str]], layer: Layer) -> None:
    """Lays one layer over the settings so far."""
    flat = dict(flatten(layer.values))
    for section, kept in _ROW_SECTIONS.items():
        name = f"{section}.name"
        if name in flat and flat[name] != settings.get(name, (None, ""))[0]:
            for key in [key for key in settings if key.startswith(f"{section}.")]:
                if key.removeprefix(f"{section}.") not in kept:
                    del settings[key]
    settings.update({key: (value, layer.origin) for key, value in flat.items()})


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as dotted keys, short names as fields; `optim.lr_scale` stays whole."""
    flat: list[tuple[str, Any]] = []
    for word, value in values.items():
        key = prefix + str(word)
        if isinstance(value, Mapping) and key in _sections():
            flat += flatten(value, f"{key}.")
        else:
            flat.append((SHORT_NAMES.get(key, key), value))
    return flat


def _sections() -> set[str]:
    return {key.rpartition(".")[0] for key in field_names() if "." in key}


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


def _schema_faults(nested: dict[str, Any]) -> list[Fault]:
    """What is wrong with the fields that the schema itself declares."""
    try:
        config = RunConfig.model_validate(nested)
    except ValidationError as error:
        return faults_of(error, "", [*field_names(), *SHORT_NAMES])
    faults = []
    if config.schedule.name not in SCHEDULES:
        faults.append(unknown_name("schedule", config.schedule.name, SCHEDULES.names))
    elif SCHEDULES[config.schedule.name].rises and config.schedule.warmup:
        faults.append(
            Fault(
                f"the schedule {config.schedule.name} rises to its peak itself",
                seen=f"schedule.warmup = {config.schedule.warmup}",
                next="leave schedule.warmup out and set schedule.peak",
            )
        )
    data_fault = fault_of(config.data.name)
    return faults + ([data_fault] if data_fault else [])


def _with_row_options(nested: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The settings with every option of the named rows filled in, and what is wrong with them."""
    faults: list[Fault] = []
    filled = dict(nested)
    for section, field in (("model", RunConfig().model), ("optim", RunConfig().optim)):
        given = dict(nested.get(section, {}))
        own = {k: given.pop(k) for k in list(given) if k in _own_fields(section)}
        try:
            schema = _row_schema(section, str(own.get("name", field.name)), given)
            options = schema.model_validate(given).model_dump(mode="json")
        except ValidationError as error:
            known = dict.fromkeys([*schema.model_fields, *type(field).model_fields])
            faults += faults_of(error, f"{section}.", [f"{section}.{name}" for name in known])
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


def faults_of(error: ValidationError, prefix: str, known: list[str]) -> list[Fault]:
    """Pydantic's findings in our four parts, with a suggestion for keys nobody knows."""
    faults = []
    for found in error.errors(include_url=False):
        key = prefix + ".".join(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden":
            faults.append(_unknown_setting(key, known))
        else:
            said = found["msg"].removeprefix("Value error, ")
            faults.append(Fault(f"{key}: {said}", seen=repr(found["input"])))
    return faults


def _unknown_setting(key: str, known: list[str]) -> Fault:
    """Its neighbours are the settings of its section; a word without one may be from any."""
    section, _, word = key.rpartition(".")
    near = [name for name in known if name.rpartition(".")[0] == section]
    candidates = {name.rpartition(".")[2]: name for name in (near if section else known)}
    guess = did_you_mean(word, list(candidates))
    if guess:
        return Fault("unknown setting", key, next=f"did you mean {candidates[guess]}?")
    whole = None if near else did_you_mean(key, known)
    hint = f"did you mean {whole}?" if whole else "see them all with: fallline list settings"
    return Fault("unknown setting", key, ", ".join(near) or None, hint)
