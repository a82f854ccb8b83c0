"""What a sweep file says under `fallline:`, and the settings its configurations are laid over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fallline.config import SHORT_NAMES
from fallline.errors import ConfigError, FalllineError, unknown_name
from fallline.presets.table import PRESETS
from fallline.space import Choice, Constant, Dimension, Space
from fallline.sweep.findings import Findings
from fallline.sweep.pruner import PRUNERS, Pruner
from fallline.sweep.schema import Budget, Extension
from fallline.sweep.script import Script
from fallline.training.layers import Layer, preset_layer, read_layer
from fallline.training.resolve import resolve

FILES = (".yaml", ".yml", ".json")
FOR_TRIALS: Final = Layer("of every sweep", {"data.test_at_end": False, "track.pictures": False})
"""What a sweep sets unless its user does: test stays untouched while choices are made."""


def read_extension(
    values: Any, script: Script | None, found: Findings
) -> tuple[Extension | None, Pruner | None]:
    """The extension and the pruner in it; None where they are absent or faulty."""
    if values is None:
        return Extension(), None
    rest = dict(values) if isinstance(values, Mapping) else values
    pruner = None
    if isinstance(rest, dict):
        if "pruner" in rest:
            pruner = _read_pruner(rest.pop("pruner"), found)
        if isinstance(budget := rest.get("budget"), Mapping):
            rest["budget"] = found.numbers(Budget, "fallline.budget", budget)
        for key in Extension.OWN_RUNS if script else ():
            if key in rest:
                found.refuse(
                    f"fallline.{key} says nothing to a script",
                    f"{key}: {rest[key]}, beside program or command",
                    next="leave it out, or leave out program and command to train with fallline",
                )
    return found.section(Extension, "fallline", rest), pruner


def _read_pruner(value: Any, found: Findings) -> Pruner | None:
    """`median`, or `{name: median, n_warmup_steps: 2}`."""
    stated = {"name": value} if isinstance(value, str) else value
    if not isinstance(stated, Mapping) or "name" not in stated:
        hint = "pruner: {name: median, n_warmup_steps: 2}"
        found.refuse("the pruner has no name", repr(value), ", ".join(PRUNERS.names), hint)
        return None
    name = str(stated["name"])
    if name not in PRUNERS:
        found.faults.append(unknown_name("pruner", name, PRUNERS.names))
        return None
    arguments = {key: part for key, part in stated.items() if key != "name"}
    section = found.section(PRUNERS[name].arguments, f"fallline.pruner.{name}", arguments)
    if section is None:
        return None
    pruner = Pruner(name, section.model_dump())
    try:
        pruner.build()
    except (TypeError, ValueError) as error:
        found.refuse(f"fallline.pruner.{name} cannot be built", error)
    return pruner


def layers_below(
    extension: Extension, folder: Path, given: Sequence[Layer], space: Space, found: Findings
) -> tuple[Layer, ...]:
    """The settings below a configuration: base, data, holdout, and what the caller gives.

    Where these are faulty, the default base stands in, so that the space is checked all the same.
    What the caller gives may be a constant of the space, which `told` has seen to.
    """
    try:
        base, *stated = _stated(extension, folder)
        resolve([base, *stated, *given])
    except FalllineError as error:
        found.faults += error.faults
        return (preset_layer(Extension().base),)
    searched = settings_in(space)
    constant = {key for key, dimension in space.items() if isinstance(dimension, Constant)}
    taken = [(layer, searched) for layer in stated]
    taken += [(layer, searched - constant) for layer in given]
    for layer, keys in taken:
        for key in {SHORT_NAMES.get(word, word) for word in layer.values} & keys:
            seen = f"{layer.origin}, and parameters"
            found.refuse(f"{key} is both set and searched", seen, next="leave it out of one")
    return (base, *stated, *given)


def told(key: str, dimension: Dimension, given: Sequence[Layer]) -> Dimension:
    """The dimension of a parameter: a constant gives way to what the caller says."""
    if not isinstance(dimension, Constant):
        return dimension
    values = [
        value
        for layer in given
        if layer != FOR_TRIALS
        for word, value in layer.values.items()
        if SHORT_NAMES.get(word, word) == key
    ]
    return Constant(values[-1]) if values else dimension


def settings_in(space: Space) -> set[str]:
    """Every setting that a space searches, those inside the values of whole sections too."""
    inner = {
        f"{key}.{word}"
        for key, dimension in space.items()
        for value in stated_values(dimension)
        if isinstance(value, Mapping)
        for word in value
    }
    return {*space, *inner}


def stated_values(dimension: Dimension) -> tuple[Any, ...]:
    """The values of a constant or a choice; of what has a range, none."""
    match dimension:
        case Constant(value):
            return (value,)
        case Choice(values):
            return values
        case _:
            return ()


def _stated(extension: Extension, folder: Path) -> Iterator[Layer]:
    if extension.base in PRESETS:
        yield preset_layer(extension.base)
    elif Path(extension.base).suffix in FILES:
        yield Layer(f"base {extension.base}", read_layer(folder / extension.base).values)
    else:
        raise ConfigError(
            unknown_name("base", extension.base, (*PRESETS.names, "a .yaml or .json file"))
        )
    if extension.data is not None:
        yield Layer("fallline.data", {"data.name": _beside(folder, extension.data)})
    if extension.holdout is not None:
        yield Layer("fallline.holdout", {"data.holdout": extension.holdout})


def _beside(folder: Path, data: str) -> str:
    """Paths in a sweep file are relative to its folder; other words are names of image sets."""
    place = folder / Path(data).expanduser()
    return str(place) if place.exists() else data
