"""The text of a sweep file as plain data, before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fallline.errors import ConfigError, said_of_file

_FLOAT = "tag:yaml.org,2002:float"
_FLOAT_IN_YAML_1_1 = re.compile(
    r"[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|[-+]?\.\d[\d_]*.*|.*[a-z]{3}"
)
"""The numbers that PyYAML, W&B's reader, takes for numbers; others stay text there."""
LARGEST = 100_000
"""Values in a file; nobody writes more."""


@dataclass(frozen=True)
class Document:
    """What a file says, verbatim and as plain data.

    Attributes:
        text: the file, or for a mapping from Python its YAML.
        values: keys and values.
        folder: what paths in it are relative to.
        notes: what W&B's own reader would have read otherwise.
    """

    text: str
    values: Mapping[str, Any]
    folder: Path
    notes: tuple[str, ...] = ()


def read_document(path: Path) -> Document:
    """Reads a YAML (or JSON) file. Raises ConfigError if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        values = YAML(typ="safe", pure=True).load(text)
        if next(islice(_pieces(values), LARGEST, None), None):
            raise ValueError(f"more than {LARGEST} values: aliases (&, *) may hold each other")
        notes = tuple(_texts_of_yaml_1_1(YAML(typ="safe", pure=True).compose(text)))
    except (OSError, YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"cannot read the sweep file {path}",
            seen=said_of_file(error),
            allowed="a YAML file, as for `wandb sweep`",
            next="examples are in sweeps/, the format in docs/sweeps.md",
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"cannot read the sweep file {path}",
            seen="nothing" if values is None else f"a {type(values).__name__}",
            allowed="method, metric, parameters and so on, as for `wandb sweep`",
        )
    return Document(text, values, path.parent, notes)


def _pieces(value: Any) -> Iterator[bool]:
    """One for each value inside a value, aliases followed: a few lines can stand for billions."""
    waiting = [value]
    while waiting:
        yield True
        match waiting.pop():
            case dict() as mapping:
                waiting += mapping.values()
            case list() as items:
                waiting += items


def _texts_of_yaml_1_1(node: Node | None) -> Iterator[str]:
    match node:
        case MappingNode():
            for key, value in node.value:
                yield from _texts_of_yaml_1_1(key)
                yield from _texts_of_yaml_1_1(value)
        case SequenceNode():
            for item in node.value:
                yield from _texts_of_yaml_1_1(item)
        case ScalarNode(tag=tag, value=value) if tag == _FLOAT:
            if not _FLOAT_IN_YAML_1_1.fullmatch(value):
                yield (
                    f"line {node.start_mark.line + 1}: {value} was read as the number "
                    f"{float(value):g}; W&B's own reader takes it for text (it wants "
                    f"{_dotted(value)})"
                )


def _dotted(number: str) -> str:
    """1e-4 as 1.0e-4, 1e5 as 1.0e+5."""
    mantissa, _, exponent = number.lower().partition("e")
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[:1] in '+-' else f'+{exponent}'}"
