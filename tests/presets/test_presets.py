"""What every preset promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from fallline import train
from fallline.config import LrScaleConfig
from fallline.presets.table import PRESETS
from fallline.training.layers import preset_layer
from fallline.training.resolve import resolve

TINY = {
    "data": "synthetic",
    "max_steps": 2,
    "batch_size": 16,
    "train.compile": False,
    "train.threads": 1,
}
ON_VAL = {"steady", "neutral"}


@pytest.mark.parametrize("name", PRESETS.names)
def test_a_preset_resolves_to_a_complete_config(name: str) -> None:
    built = PRESETS[name].build()
    resolved = resolve([preset_layer(name)]).config
    assert resolved.model.name == built.model.name
    assert built.optim.options.items() <= resolved.optim.options.items()
    assert (resolved.train, resolved.schedule) == (built.train, built.schedule)
    assert PRESETS[name].summary.endswith(".")


@pytest.mark.parametrize("name", PRESETS.names)
def test_a_preset_trains_on_other_images(name: str, tmp_path: Path) -> None:
    run = train(name, settings=TINY, out=tmp_path, show="quiet")
    assert run.outcome.status == "completed"
    assert run.outcome.steps == 2
    said = run.folder.read_environment()["data"]["validation"]
    assert (said == "validated on the test split") == (name not in ON_VAL)


@pytest.mark.parametrize("name", sorted(ON_VAL))
def test_the_defaults_leave_test_for_the_end(name: str) -> None:
    assert resolve([preset_layer(name)]).config.data.validate_on == "val"


def test_the_base_of_comparisons_favours_no_optimizer() -> None:
    config = PRESETS["neutral"].build()
    assert config.optim.lr_scale == LrScaleConfig()
    assert config.optim.options == {}
    assert config.train.ema == 0
    assert not config.model.options["whitening"]
    assert not config.model.options["dirac"]
