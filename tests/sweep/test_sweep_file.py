"""Sweep files: what they may say, what is refused, and what comes of them."""

from __future__ import annotations

from typing import Any

import pytest

from fallline.errors import ConfigError
from fallline.sweep.file import SweepFile, read

HOMEWORK: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "parameters": {
        "optimizer": {"values": ["sgd", "adam"]},
        "learning_rate": {"values": [0.001, 0.01]},
        "batch_size": {"values": [64, 128]},
        "epochs": {"value": 5},
    },
    "fallline": {"data": "digits"},
}


def changed(**parts: Any) -> SweepFile:
    return read({**HOMEWORK, **parts})


def faults(**parts: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        changed(**parts)
    return str(caught.value)


def test_parameters_are_settings_by_dotted_key_in_the_order_of_the_words_in_the_file() -> None:
    sweep = changed()
    assert list(sweep.space) == ["train.batch_size", "train.epochs", "optim.lr", "optim.name"]
    assert sweep.words["optim.lr"] == ("learning_rate",)
    assert sweep.nested(sweep.point(0)) == {
        "batch_size": 64,
        "epochs": 5,
        "learning_rate": 0.001,
        "optimizer": "sgd",
    }
    assert sweep.from_nested(sweep.nested(sweep.point(3))) == sweep.point(3)


def test_a_configuration_resolves_to_a_complete_config() -> None:
    config = changed().resolve(changed().point(7)).config
    assert (config.optim.name, config.optim.lr, config.train.batch_size) == ("adam", 0.01, 128)
    assert config.data.name == "digits"


def test_every_fault_is_reported_at_once() -> None:
    text = faults(method="gird", metrix={}, parameters={"optimzer": {"value": "sgd"}, "lr": 3})
    for part in ("did you mean grid?", "did you mean metric?", "write lr: {value: 3}"):
        assert part in text
    assert "did you mean" in text.split("optimzer")[1]
