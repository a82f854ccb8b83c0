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
from fallline.training.assemble import assemble
from fallline.training.classifier import Classifier
from fallline.training.job import STATISTICS_BATCHES
from fallline.training.splits import split
from fallline.training.state import judged_weights

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
    assert ["val/loss" in record for record in often.history] == [True, True]
    assert ["val/loss" in record for record in seldom.history] == [False, True]


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


@needs_the_package
def test_running_statistics_are_those_of_the_weights_that_are_judged(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    settings = tiny | {"optimizer": "schedulefreeadamw", "lr": 0.1}
    run = train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    state = checkpoint.load_latest(run.folder.checkpoints).state
    live, judged = state["model"], judged_weights(state)
    images = load("synthetic")
    job = assemble(run.config, images, split(run.config, images), fresh=False)
    job.model.load_state_dict(judged)
    means = {name for name in live if name.endswith("running_mean")}
    assert means
    for name in means:
        assert not torch.equal(live[name], judged[name])
    for module in job.model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
    job.model.train()
    with torch.no_grad():
        for batch in job.feeds.train.epoch(0):
            job.model(batch.inputs)
    assert job.steps_per_epoch <= STATISTICS_BATCHES
    for name in means:
        torch.testing.assert_close(job.model.state_dict()[name], judged[name])
