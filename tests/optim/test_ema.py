"""The averaged weights."""

from __future__ import annotations

import pytest
import torch
from optim_problems import Net, equal, network, take, through_a_file, weights
from torch import nn

from fallline.errors import CheckpointError
from fallline.optim.build import build
from fallline.optim.ema import EMA


def test_it_is_the_mean_of_the_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    ema, expected = EMA(model, 0.3), 0.0
    for t in range(20):
        model.weight.data.fill_(t + 1.0)
        ema.update()
        d = min(0.3, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * (t + 1)
    with ema.applied():
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_short_run_forgets_its_first_weights() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1000.0)
    ema = EMA(model, 0.999)
    model.weight.data.fill_(1.0)
    for _ in range(30):
        ema.update()
    with ema.applied():
        assert model.weight.item() == pytest.approx(1.0, abs=0.01)


def test_the_models_own_weights_come_back_exactly_even_after_an_error() -> None:
    model, loss = network()
    ema, optimizer = EMA(model, 0.9), build("sgd", model)
    for _ in range(3):
        take(optimizer, loss, 1)
        ema.update()
    own = weights(model)
    averaged: list[torch.Tensor] = []

    def fail_inside() -> None:
        with ema.applied():
            averaged.extend(weights(model))
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert not equal(own, averaged)
    assert equal(own, weights(model))


def test_the_norms_statistics_are_averaged_and_its_counter_is_not() -> None:
    model, loss = network()
    ema = EMA(model, 0.5)
    before = model.norm.running_mean.clone()  # type: ignore[union-attr]
    loss()
    after = model.norm.running_mean.clone()  # type: ignore[union-attr]
    ema.update()
    with ema.applied():
        assert model.norm.num_batches_tracked == 1
        expected = torch.lerp(before, after, 0.9)
        torch.testing.assert_close(model.norm.running_mean, expected)


def test_frozen_weights_are_the_models_own() -> None:
    model = Net()
    model.conv.weight.requires_grad_(False)
    assert "conv.weight" not in EMA(model, 0.9).state_dict()["mean"]


def test_it_goes_on_from_a_file_bit_by_bit() -> None:
    finals = []
    for stop in (False, True):
        model, loss = network()
        ema, optimizer = EMA(model, 0.9), build("adamw", model)
        for step in range(6):
            take(optimizer, loss, 1)
            ema.update()
            if stop and step == 2:
                saved = through_a_file(ema.state_dict())
                ema = EMA(model, 0.9)
                ema.load_state_dict(saved)
        with ema.applied():
            finals.append(weights(model))
    assert equal(*finals)


def test_the_state_of_another_model_is_refused() -> None:
    state = EMA(nn.Linear(2, 2), 0.9).state_dict()
    with pytest.raises(CheckpointError, match="another model"):
        EMA(Net(), 0.9).load_state_dict(state)
