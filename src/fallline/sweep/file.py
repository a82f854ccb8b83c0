"""A W&B sweep file, read whole: every fault at once, every lenient reading mentioned.

The format is W&B's (its meaning: package sweeps 0.3.0, its client: wandb 0.31), with ours under
the one key `fallline`. `docs/sweeps.md` is the page for users.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.representer import RepresenterError

from fallline.config import SHORT_NAMES, Section
from fallline.errors import ConfigError
from fallline.space import Constant, Dimension, Space
from fallline.sweep.corners import Corners
from fallline.sweep.definition import SweepFile, changes
from fallline.sweep.document import Document, read_document
from fallline.sweep.extension import (
    layers_below,
    read_extension,
    settings_in,
    stated_values,
    told,
)
from fallline.sweep.findings import Findings
from fallline.sweep.parameter import Parameter, parse
from fallline.sweep.points import Grid, draw, listed
from fallline.sweep.pruner import Pruner
from fallline.sweep.schema import KEYS, UNSENT, Extension, Method
from fallline.sweep.script import Script
from fallline.sweep.sections import (
    check_keys,
    read_early_terminate,
    read_method,
    read_metric,
    read_run_cap,
    read_script,
)
from fallline.training.faults import unknown_setting
from fallline.training.layers import Layer

__all__ = ["SweepFile", "changes", "read"]

Where = tuple[str, ...]
"""Where a parameter stands: the names of its groups, and its own."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def read(
    source: str | Path | Mapping[str, Any],
    *,
    layers: Sequence[Layer] = (),
    seed: int | None = None,
    below: tuple[Layer, ...] = (),
) -> SweepFile:
    """Reads a sweep file, or the same as a mapping. Raises ConfigError with every fault there is.

    Args:
        source: the path of a YAML file, or its content.
        layers: settings over the file's base: the command line's --data and --set.
        seed: of the search, instead of the file's.
        below: all that configurations are laid over, where that is settled: the `layers` of a
            sweep that was read before.
    """
    document = _of_mapping(source) if isinstance(source, Mapping) else read_document(Path(source))
    values, found = document.values, Findings(notes=list(document.notes))
    check_keys(values, found)
    method, script = read_method(values, found), read_script(values, found)
    metric = read_metric(values, method, script, found)
    stop, run_cap = read_early_terminate(values, found), read_run_cap(values, found)
    own = values.get("fallline")
    if seed is not None and isinstance(own, Mapping | None):
        own = {**(own or {}), "seed": seed}
    extension, pruner = read_extension(own, script, found)
    parameters = _read_parameters(values.get("parameters"), script, found)
    words = _words(parameters, script, found)
    if not script:
        parameters |= {path: _told(key, parameters[path], layers) for key, path in words.items()}
    space = {key: parameters[path].dimension for key, path in words.items()}
    _check_together(values, method, extension, pruner, space, found)
    if not script:
        own_base = extension or Extension()
        below = below or layers_below(own_base, document.folder, layers, space, found)
        _check_settings(space, below, method, own_base, found)
    if found.faults or method is None or extension is None:
        raise ConfigError(list(dict.fromkeys(found.faults)))
    return SweepFile(
        text=document.text,
        name=values.get("name"),
        method=method,
        metric=metric,
        space=space,
        words=words,
        early_terminate=stop.rule() if stop else None,
        run_cap=run_cap,
        script=script,
        extension=extension,
        pruner=pruner,
        layers=below,
        config={
            **{key: values[key] for key in KEYS if key in values and key not in UNSENT},
            **_sent({"metric": metric, "early_terminate": stop}),
            **_sent_cap(run_cap, extension.budget.trials),
            "parameters": _renested({path: dict(p.parts) for path, p in parameters.items()}),
        },
        notes=tuple(dict.fromkeys(found.notes)),
    )


def _of_mapping(values: Mapping[str, Any]) -> Document:
    text, plain = io.StringIO(), _plain(values)
    try:
        YAML(typ="safe", pure=True).dump(plain, text)
    except RepresenterError as error:
        raise ConfigError(
            "the mapping holds what a sweep file cannot",
            seen=str(error),
            allowed="numbers, text, lists, mappings; arrays of numpy; paths",
        ) from error
    return Document(text.getvalue(), plain, Path())


def _plain(value: Any) -> Any:
    """A value as YAML has it: numpy's numbers and arrays, tuples, ranges and paths are no YAML."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _told(key: str, parameter: Parameter, given: Sequence[Layer]) -> Parameter:
    dimension = told(key, parameter.dimension, given)
    if dimension is parameter.dimension or not isinstance(dimension, Constant):
        return parameter
    return Parameter(dimension, {"value": dimension.value})


def _read_parameters(
    values: Any, script: Script | None, found: Findings
) -> dict[Where, Parameter]:
    """All parameters, in W&B's order: sorted by name, nested ones within their group."""
    if not isinstance(values, Mapping) or not values:
        found.refuse(
            "the file has no parameters",
            None if values is None else repr(values),
            "names, each with value, values, or min and max",
            "parameters: {learning_rate: {values: [0.01, 0.1]}}",
        )
        return {}
    return _read_group(values, (), script, found)


def _read_group(
    group: Mapping[Any, Any], above: Where, script: Script | None, found: Findings
) -> dict[Where, Parameter]:
    parameters: dict[Where, Parameter] = {}
    for name in sorted(group, key=str):
        path, entry = (*above, str(name)), group[name]
        inner = entry.get("parameters") if isinstance(entry, Mapping) else None
        if not _NAME.fullmatch(str(name)):
            allowed = "letters, digits, and _ . -, not starting with a digit"
            found.refuse("this cannot be a parameter's name", repr(name), allowed)
        elif isinstance(inner, Mapping) and inner and len(entry) == 1:
            parameters |= _read_group(inner, path, script, found)
        else:
            parameter = parse(".".join(path), entry, found, script=script is not None)
            parameters |= {path: parameter} if parameter else {}
            if not script and (unknown := unknown_setting(".".join(path))):
                found.faults.append(unknown)
    return parameters


def _words(
    parameters: Mapping[Where, Parameter], script: Script | None, found: Findings
) -> dict[str, Where]:
    """Where each key stands in the file; two names of one setting are a fault."""
    words: dict[str, Where] = {}
    for path in parameters:
        word = ".".join(path)
        key = word if script else _setting(word, parameters[path].dimension)
        if key in words:
            seen = f"{'.'.join(words[key])} and {word}"
            found.refuse(f"two parameters are one setting: {key}", seen, next="leave one out")
        words[key] = path
    return words


def _setting(word: str, dimension: Dimension) -> str:
    """The setting that a word means; `optimizer` with mappings for values is the section optim."""
    values, key = stated_values(dimension), SHORT_NAMES.get(word, word)
    if values and all(isinstance(value, Mapping) for value in values):
        return key.removesuffix(".name")
    return key


def _renested(parts: Mapping[Where, Any]) -> dict[str, Any]:
    """Parameters in their groups, as W&B writes them."""
    nested: dict[str, Any] = {}
    for (*groups, word), part in parts.items():
        place = nested
        for group in groups:
            place = place.setdefault(group, {"parameters": {}})["parameters"]
        place[word] = part
    return nested


def _sent(sections: Mapping[str, Section | None]) -> dict[str, Any]:
    """Sections as W&B is sent them: what the file states, numbers as numbers."""
    return {k: part.model_dump(exclude_unset=True) for k, part in sections.items() if part}


def _sent_cap(*caps: int | None) -> dict[str, int]:
    stated = [cap for cap in caps if cap is not None]
    return {"run_cap": min(stated)} if stated else {}


def _check_together(
    values: Mapping[str, Any],
    method: Method | None,
    extension: Extension | None,
    pruner: Pruner | None,
    space: Space,
    found: Findings,
) -> None:
    """What single sections cannot know."""
    if pruner and "early_terminate" in values:
        seen = f"early_terminate, and fallline.pruner: {pruner.name}"
        found.refuse("a sweep stops runs by one rule", seen, next="leave one out")
    if extension and "sampler" in extension.model_fields_set and method in ("grid", "random"):
        seen = f"fallline.sampler: {extension.sampler}"
        hint = "write method: bayes, or leave out the sampler"
        found.refuse(f"method {method} has no sampler", seen, next=hint)
    if extension and extension.seeds > 1 and "seed" in space:
        seen = f"fallline.seeds: {extension.seeds}, and the parameter seed"
        found.refuse(
            "seeds repeat a configuration, and seed is part of it", seen, next="leave one out"
        )
    for key in space:
        if key in settings_in({k: d for k, d in space.items() if k != key}):
            seen = f"the parameter {key}, and a value of its section"
            found.refuse(f"two parameters are one setting: {key}", seen, next="leave one out")
    for key, dimension in space.items() if method == "grid" else ():
        try:
            listed(dimension)
        except ValueError:
            found.refuse(
                "a grid needs values that can be listed",
                f"{key}: {dimension}",
                "value, values (without probabilities), int_uniform, q_uniform",
                "list the values, or write method: random",
            )


def _check_settings(
    space: Space,
    below: Sequence[Layer],
    method: Method | None,
    extension: Extension,
    found: Findings,
) -> None:
    """Holds the space against what runs accept, and says which draws will do nothing."""
    corners = Corners(space, below)
    try:
        points = Grid(space) if method == "grid" else None
    except ValueError:
        points = None
    draws = (draw(space, extension.seed, number) for number in count())
    found.faults += corners.faults(draws if points is None else points)
    for key, rows in corners.idle_sometimes().items():
        if not isinstance(space[key], Constant):
            found.notes.append(f"{key} does nothing, and is left out, for {', '.join(rows)}")
