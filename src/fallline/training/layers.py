"""Where settings come from: a preset, a file, the command line, each of them a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fallline.data import fault_of
from fallline.errors import ConfigError, Fault, said_of_file
from fallline.presets.table import PRESETS


@dataclass(frozen=True)
class Layer:
    """Settings of one origin: dotted keys or short names, or nested mappings of them."""

    origin: str
    values: Mapping[str, Any]


def preset_layer(name: str) -> Layer:
    """What a preset sets; what it leaves to defaults is not its doing."""
    if name not in PRESETS and fault_of(name) is None:
        hint = f"it names images: did you mean --data {name}?"
        raise ConfigError(replace(PRESETS.unknown(name), next=hint))
    return Layer(f"preset {name}", PRESETS[name].build().model_dump(exclude_unset=True))


def read_layer(path: Path) -> Layer:
    """A YAML or JSON file as a layer. Raises ConfigError if it cannot be read as settings."""
    try:
        values = YAML(typ="safe", pure=True).load(path)
    except OSError as error:
        seen, hint = error.strerror or str(error), f"check the path, as seen from {Path.cwd()}"
        raise _no_config(path, seen, hint) from error
    except (YAMLError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise _no_config(path, said_of_file(error), "mend it there") from error
    if not isinstance(values, dict):
        raise _no_config(path, f"a {type(values).__name__}", "write `optim: {lr: 0.1}`, say")
    return Layer(f"--config {path}", values)


def _no_config(path: Path, seen: str, hint: str) -> ConfigError:
    return ConfigError(
        f"cannot read the config {path}",
        seen=seen,
        allowed="a YAML or JSON file of fields and values, like the config.json of a run",
        next=hint,
    )


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
            hint = f"--set {key.strip() or 'optim.lr'}=VALUE; see: fallline list settings"
            faults.append(Fault("cannot read --set", text, "key=value, like optim.lr=0.1", hint))
    if faults:
        raise ConfigError(faults)
    return Layer("--set", values)
