"""The cold start: told on its own, outside the training clock, and without a trace in the run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from run_folders import measured

from fallline import resume, train
from fallline.errors import DeviceError, Diverged
from fallline.optim.table import OPTIMIZERS
from fallline.training import life
from fallline.training.fit import fit
from fallline.training.life import Run
from fallline.training.step import Step

compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU"
)


def run(tmp_path: Path, name: str, settings: dict[str, Any]) -> Run:
    return train(data="synthetic", settings=settings, out=tmp_path, name=name, show="quiet")


def losses(run: Run) -> list[float]:
    """Of the batches it was trained on, some of them."""
    return [r["train/batch_loss"] for r in run.folder.read_metrics() if "train/batch_loss" in r]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names)
def test_a_run_goes_as_if_it_had_been_warm(
    optimizer: str, tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small | {"optimizer": optimizer, "max_steps": 4, "train.hardest": 0.5}
    if optimizer == "torch_muon":  # which finds no matrix in a convnet
        settings |= {"model": {"name": "mlp", "widths": [16, 16], "dropout": 0.2}}
    settings |= {"data.augment.cutmix": 1.0, "train.ema": 0.5, "track.every": 1}
    warm = run(tmp_path, "warm", settings)
    monkeypatch.setattr(life, "has_cold_start", lambda job: True)
    cold = run(tmp_path, "cold", settings)
    assert warm.outcome.cold_start_seconds is None
    assert cold.outcome.cold_start_seconds is not None
    assert measured(cold.folder) == measured(warm.folder)


def test_it_is_no_training_and_told_on_its_own(
    tmp_path: Path,
    small: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(life, "has_cold_start", lambda job: True)
    monkeypatch.setattr(life, "start_cold", lambda job: 1e6)
    settings = small | {"max_steps": 1}
    done = train(data="synthetic", settings=settings, out=tmp_path, show="lines")
    assert done.outcome.cold_start_seconds == 1e6
    assert done.outcome.train_seconds < 1e6
    printed = capsys.readouterr()
    assert "of training after a cold start of 11 days, 13:46:40, " in printed.out
    assert "a cold start, of seconds to minutes" in printed.err


def test_a_run_with_nothing_left_to_do_has_none(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(tmp_path, "done", small | {"max_steps": 1})
    monkeypatch.setattr(life, "has_cold_start", lambda job: True)
    done.folder.outcome.unlink()  # as a kill leaves it while it is scored
    assert resume(done.path, show="quiet").outcome.cold_start_seconds is None


def test_a_run_that_diverges_at_once_says_so_itself(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(self: Step, *batch: torch.Tensor, measure: bool) -> None:
        raise Diverged("the loss is nan")

    monkeypatch.setattr(life, "has_cold_start", lambda job: True)
    monkeypatch.setattr(Step, "__call__", diverge)
    outcome = run(tmp_path, "nan", small).outcome
    assert (outcome.status, outcome.reason) == ("diverged", "the loss is nan at step 1")


@compiler
def test_a_compiled_run_compiles_before_the_clock_and_learns_the_same(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small | {"max_steps": 9}
    plain = run(tmp_path, "plain", settings)

    def fit_without_compiling(*arguments: Any) -> None:
        with torch.compiler.set_stance("fail_on_recompile"):
            fit(*arguments)

    monkeypatch.setattr(life, "fit", fit_without_compiling)
    compiled = run(tmp_path, "compiled", settings | {"train.compile": True})
    assert compiled.outcome.status == "completed"
    assert compiled.outcome.cold_start_seconds
    # bfloat16 has 8 bits, and who compiles rounds elsewhere; one step more would be 10 % less
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-2)


def test_a_net_that_cannot_be_compiled_is_refused_with_what_to_do(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(DeviceError, match=r"(?s)no-such-compiler.*--set train\.compile=false"):
        run(tmp_path, "bare", small | {"max_steps": 1, "train.compile": True})
