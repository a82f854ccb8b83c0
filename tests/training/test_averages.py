"""Averaged weights: judged by, kept, and without a trace in the training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from fallline import Pruned, resume, train
from fallline.data import load
from fallline.errors import ConfigError
from fallline.records import Record, RunFolder
from fallline.training import checkpoint
from fallline.training.assemble import split
from fallline.training.classifier import Classifier

needs_the_package = pytest.mark.skipif(
    find_spec("pytorch_optimizer") is None, reason="pytorch_optimizer is not installed"
)
KINDS = [
    pytest.param({"optimizer": "sgd", "train.ema": 0.9}, id="ema"),
    pytest.param({"optimizer": "schedulefreeadamw"}, id="schedule free", marks=needs_the_package),
    pytest.param({"optimizer": "splus", "lr": 0.01}, id="splus", marks=needs_the_package),
]


@pytest.fixture
def tiny(small: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run of two epochs of a net with running statistics."""
    return small | {"model": {"name": "mlp", "widths": [8]}}


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load_latest(folder.checkpoints).state["model"])


def same(one: RunFolder, other: RunFolder) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_scores_what_the_outcome_says(
    tmp_path: Path, tiny: dict[str, Any], kind: dict[str, Any]
) -> None:
    run = train(data="synthetic", settings=tiny | kind, out=tmp_path, show="quiet")
    images = load("synthetic")
    scored = Classifier(run.path, device="cpu").evaluate(images, split(run.config, images).val)
    assert scored.loss == pytest.approx(run.outcome.val_loss, rel=1e-5)
    assert scored.accuracy == run.outcome.val_accuracy


@pytest.mark.parametrize("kind", KINDS)
def test_training_does_not_feel_that_it_is_evaluated(
    tmp_path: Path, tiny: dict[str, Any], kind: dict[str, Any]
) -> None:
    often, seldom = (
        train(
            data="synthetic",
            settings=tiny | kind | {"train.eval_every": every},
            out=tmp_path,
            show="quiet",
        )
        for every in (1, 2)
    )
    assert same(often.folder, seldom.folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_averages_goes_on_as_if_never_stopped(
    tmp_path: Path, tiny: dict[str, Any], kind: dict[str, Any]
) -> None:
    def prune(record: Record) -> None:
        raise Pruned("enough")

    settings = tiny | kind
    whole = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    torn = train(data="synthetic", settings=settings, out=tmp_path, show="quiet", on_eval=prune)
    assert same(whole.folder, resume(torn.path, show="quiet").folder)


@needs_the_package
def test_the_average_of_an_average_is_refused(tmp_path: Path, tiny: dict[str, Any]) -> None:
    settings = tiny | {"optimizer": "schedulefreesgd", "train.ema": 0.9}
    with pytest.raises(ConfigError, match="averages weights itself"):
        train(data="synthetic", settings=settings, out=tmp_path)
