"""Somebody's own script: its parameters are its own, its command line is W&B's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fallline.errors import ConfigError
from fallline.sweep.file import SweepFile, read
from fallline.sweep.script import MACROS, Script

CONFIG = {"lr": 0.1, "flag": True, "off": False, "net": {"width": 3}}


def script(**parts: Any) -> SweepFile:
    parameters = {"width": {"values": [1, 2]}, "net": {"parameters": {"lr": {"value": "1e-4"}}}}
    return read({"method": "random", "program": "train.py", "parameters": parameters} | parts)


def test_the_usual_command_is_wandbs_with_this_interpreter() -> None:
    assert Script("train.py").argv({"lr": 0.1, "name": "a b"}) == [
        "/usr/bin/env",
        sys.executable,
        "train.py",
        "--lr=0.1",
        "--name=a b",
    ]


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("args", ["--lr=0.1", "--flag=True", "--off=False", "--net={'width': 3}"]),
        ("args_no_hyphens", ["lr=0.1", "flag=True", "off=False", "net={'width': 3}"]),
        ("args_no_boolean_flags", ["--lr=0.1", "--flag", "--net={'width': 3}"]),
        (
            "args_no_equals",
            ["--lr", "0.1", "--flag", "True", "--off", "False", "--net", "{'width': 3}"],
        ),
        ("args_append_hydra", ["+lr=0.1", "+flag=True", "+off=False", "+net={'width': 3}"]),
        ("args_override_hydra", ["++lr=0.1", "++flag=True", "++off=False", "++net={'width': 3}"]),
        ("args_json", [json.dumps(CONFIG)]),
        ("args_json_file", ["/tmp/x.json"]),
        ("program", ["train.py"]),
    ],
)
def test_every_macro_is_wandbs(macro: str, words: list[str]) -> None:
    command = Script("train.py", ("go", f"${{{macro}}}"))
    assert command.argv(CONFIG, Path("/tmp/x.json")) == ["go", *words]


def test_there_is_a_test_for_each_macro() -> None:
    assert len(MACROS) == 11


def test_variables_of_the_environment_are_filled_in_anywhere_in_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLACE", "/data")
    command = Script(None, ("run", "--at=${envvar:PLACE}/x", "${envvar:MISSING_ONE}"))
    assert command.argv({}) == ["run", "--at=/data/x", "MISSING_ONE"]


def test_a_scripts_parameters_have_any_names_and_their_values_stay_as_they_are() -> None:
    sweep = script()
    assert sweep.nested(sweep.draw(0))["net"] == {"lr": "1e-4"}
    assert sweep.script == Script("train.py")
    assert sweep.objective is None
    assert sweep.wandb_config()["program"] == "train.py"
    assert len(sweep.fingerprint) == 16


def test_a_scripts_metric_has_any_name() -> None:
    sweep = script(
        metric={"name": "accuracy"}, early_terminate={"type": "hyperband", "s": 2, "max_iter": 9}
    )
    assert sweep.objective
    assert sweep.objective.name == "accuracy"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"command": ["${env}", "${prgram}"]}, "did you mean program?"),
        ({"command": "python train.py"}, "command is no list of words"),
        ({"command": ["${program}"], "program": None}, "the file names none"),
        ({"fallline": {"seeds": 3}}, "fallline.seeds says nothing to a script"),
        ({"fallline": {"base": "fast80"}}, "fallline.base says nothing to a script"),
        ({"method": "bayes"}, "needs a metric"),
    ],
)
def test_what_makes_no_sense_for_a_script_is_refused(parts: dict[str, Any], said: str) -> None:
    values = {"method": "random", "program": "train.py", "parameters": {"a": {"value": 1}}} | parts
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        read({key: value for key, value in values.items() if value is not None})
