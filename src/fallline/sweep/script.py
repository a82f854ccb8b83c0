"""Somebody's own training script as a sweep's program: the command line that one trial runs.

The macros and their expansion are those of W&B's agent (wandb 0.31, wandb_agent.py and
sdk/launch/sweeps/utils.py).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
MACROS = (
    "env",
    "interpreter",
    "program",
    "args",
    "args_no_hyphens",
    "args_no_boolean_flags",
    "args_no_equals",
    "args_json",
    "args_json_file",
    "args_append_hydra",
    "args_override_hydra",
)
_MACRO = re.compile(r"^\$\{(.*)\}$")
_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


@dataclass(frozen=True)
class Script:
    """A program of somebody's own, and the command that runs it.

    Attributes:
        program: the script, relative to the working folder, as for W&B's agent.
        command: words and macros.
    """

    program: str | None
    command: tuple[str, ...] = DEFAULT_COMMAND

    def argv(self, config: Mapping[str, Any], json_file: Path | None = None) -> list[str]:
        """The command line of a trial.

        Args:
            config: the parameters by the names in the file; nested ones are mappings.
            json_file: where the caller has written `config` as JSON; ${args_json_file} needs it.
        """
        expanded = {**_arguments(config), **self._places(json_file)}
        words: list[str] = []
        for word in self.command:
            macro = _MACRO.match(word)
            if macro and macro[1] in expanded:
                words += expanded[macro[1]]
            else:
                words.append(_VARIABLE.sub(lambda found: _variable(found[1]), word))
        return words

    @property
    def needs_json_file(self) -> bool:
        """The command has ${args_json_file}."""
        return "${args_json_file}" in self.command

    def _places(self, json_file: Path | None) -> dict[str, list[str]]:
        return {
            "env": [] if os.name == "nt" else ["/usr/bin/env"],
            "interpreter": [sys.executable],  # W&B says `python`, which may be another one
            "program": [self.program or ""],
            "args_json_file": [str(json_file)],
        }


def unknown_macros(command: Sequence[str]) -> list[str]:
    """Words of a command that look like macros and are none."""
    macros = [_MACRO.match(word) for word in command]
    names = [macro[1] for macro in macros if macro]
    return [n for n in names if n not in MACROS and not n.startswith("envvar:")]


def _variable(name: str) -> str:
    return os.environ.get(name, name)  # as W&B's agent: its own name where it is not set


def _arguments(config: Mapping[str, Any]) -> dict[str, list[str]]:
    pairs = [f"{name}={value}" for name, value in config.items()]
    return {
        "args": [f"--{pair}" for pair in pairs],
        "args_no_hyphens": pairs,
        "args_no_equals": [w for name, value in config.items() for w in (f"--{name}", str(value))],
        "args_no_boolean_flags": [
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in config.items()
            if value is not False
        ],
        "args_append_hydra": [f"+{pair}" for pair in pairs],
        "args_override_hydra": [f"++{pair}" for pair in pairs],
        "args_json": [json.dumps(dict(config))],
    }
