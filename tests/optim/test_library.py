"""The optimizers of pytorch_optimizer under our contract."""

from __future__ import annotations

import importlib.util
from functools import partial

import pytest
import torch
from optim_problems import equal, network, take, through_a_file, weights

from fallline.errors import ConfigError, MissingExtra
from fallline.optim import library
from fallline.optim.build import build
from fallline.optim.row import ROLES
from fallline.optim.schema import options_schema
from fallline.optim.table import OPTIMIZERS, row

needs_the_package = pytest.mark.skipif(
    importlib.util.find_spec("pytorch_optimizer") is None, reason="the extra is not installed"
)


@needs_the_package
def test_a_rate_that_a_constructor_changes_is_changed_for_its_groups() -> None:
    model, _ = network()
    plain = build("grokfastadamw", model, lr=0.3, options={"normalize_lr": False})
    divided = build("grokfastadamw", model, lr=0.3, options={"grokfast_lamb": 2.0})
    for optimizer, rate in ((plain, 0.3), (divided, 0.1)):
        for group in optimizer.param_groups:
            assert (group["lr"], group["initial_lr"]) == pytest.approx((rate, rate))


@needs_the_package
@pytest.mark.parametrize("name", library.NAMES)
def test_every_one_steps_and_goes_on_from_a_file_bit_by_bit(name: str) -> None:
    model, loss = network()
    optimizer = build(name, model)
    take(optimizer, loss, 2)
    saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    generator = torch.get_rng_state()
    take(optimizer, loss, 2)
    again, loss_again = network()
    resumed = build(name, again)
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    torch.set_rng_state(generator)
    take(resumed, loss_again, 2)
    assert equal(weights(model), weights(again))
    assert all(torch.isfinite(w).all() for w in weights(model))


SAMPLE = {
    "lion": 3e-3,
    "adan": 1e-2,
    "lamb": 1e-2,
    "soap": 1e-2,
    "adopt": 1e-2,
    "madgrad": 1e-2,
    "adabelief": 1e-2,
    "yogi": 1e-2,
    "sgdw": 5e-1,
    "normuon": 2e-2,
    "signsgd": 3e-3,
}


@needs_the_package
@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_learns(name: str) -> None:
    model, loss = network()
    optimizer = build(name, model, lr=SAMPLE[name])
    first = take(optimizer, loss, 1)
    assert take(optimizer, loss, 60) < 0.8 * first


@needs_the_package
def test_their_schedule_free_weights_have_two_modes() -> None:
    assert row("schedulefreeadamw").averages
    assert not row("lion").averages


@needs_the_package
def test_their_options_come_from_their_signature() -> None:
    fields = options_schema("lion").model_fields
    assert fields["betas"].default == (0.9, 0.99)
    assert {"lr", "weight_decay"} <= set(fields)
    assert not {"params", "foreach", "maximize"} & set(fields)
    with pytest.raises(ConfigError, match="momentum is no option of lion"):
        build("lion", network()[0], options={"momentum": 0.9})


@needs_the_package
def test_decay_leaves_norms_alone() -> None:
    for name in ("lion", "lamb"):
        optimizer = build(name, network()[0], weight_decay=0.1)
        decay = {group["role"]: group["weight_decay"] for group in optimizer.param_groups}
        assert decay == {"matrix": 0.1, "filter": 0.1, "head": 0.1, "norm": 0.0, "bias": 0.0}


@needs_the_package
def test_the_names_are_those_of_the_installed_package() -> None:
    import pytorch_optimizer

    theirs = set(pytorch_optimizer.get_supported_optimizers())
    assert theirs == (theirs & set(OPTIMIZERS.names)) | set(library.NAMES) | (
        theirs & set(library.LEFT_OUT)
    )
    assert set(library.NAMES) <= theirs


def test_a_name_is_ours_theirs_or_left_out() -> None:
    assert not set(library.NAMES) & set(OPTIMIZERS.names)
    assert not set(library.NAMES) & set(library.LEFT_OUT)
    assert set(library.TAKES) | library.AVERAGES <= set(library.NAMES)


@needs_the_package
def test_their_muons_take_no_heads() -> None:
    optimizer = build("normuon", network()[0])
    assert {group["role"] for group in optimizer.param_groups} == set(ROLES)
    assert row("normuon").takes == ("matrix", "filter")


def test_one_that_is_left_out_says_why() -> None:
    with pytest.raises(ConfigError, match="licence"):
        row("fromage")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library.library_row.cache_clear()
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"install .\.\[optimizers\]"):
        row("lion")
    library.library_row.cache_clear()


@needs_the_package
def test_sam_wraps_them_too() -> None:
    model, loss = network()
    learn = partial(take, build("sam", model, lr=1e-3, options={"base": "lion"}), loss)
    first = learn(1)
    assert learn(30) < first


def test_sam_refuses_one_with_two_modes() -> None:
    with pytest.raises(ConfigError, match="cannot hold"):
        build("sam", network()[0], options={"base": "schedulefreesgd"})
