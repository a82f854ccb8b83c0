"""Sweep files that are refused: by name, with the reason, before anything starts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_samples import faults, faults_of, searching

from fallline.errors import ConfigError
from fallline.sweep.file import read
from fallline.sweep.schema import KEYS


def test_every_fault_is_reported_at_once() -> None:
    text = faults(
        method="gird",
        metrix={},
        parameters={
            "optimzer": {"value": "sgd"},
            "model": {"value": "mpl"},
            "lr": 3,
            "epochs": {"vaule": 2},
        },
        run_cap=0,
        fallline={"bugdet": {}, "seeds": 0},
    )
    for part in (
        "did you mean grid?",
        "did you mean metric?",
        "write lr: {value: 3}",
        "did you mean value?",
        "run_cap is less than 1",
        "did you mean fallline.budget?",
        "fallline.seeds",
        "did you mean optim",
        "did you mean mlp?",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("scheduler", {"engine": "optuna"}, "fallline: {sampler: tpe}"),
        ("metrics", [{"name": "a"}, {"name": "b"}], "one metric"),
        ("job", "entity/job", "W&B Launch"),
        ("image_uri", "docker.io/x", "W&B Launch"),
        ("controller", {"type": "cloud"}, "--on wandb"),
        ("method", "custom", "method: bayes"),
        ("kind", "job", "sweep"),
        ("seeds", 3, "write fallline: {seeds: 3}"),
        ("early_stopping", {}, "did you mean early_terminate?"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name_and_reason(
    key: str, value: Any, reason: str
) -> None:
    text = faults(**{key: value})
    assert key in text
    assert reason in text


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"optimizer": {"values": ["sgd", "adm"]}}, "did you mean adam?"),
        ({"model": {"value": "resnet81"}}, "did you mean resnet18?"),
        ({"lerning_rate": {"value": 1}}, "did you mean learning_rate?"),
        ({"optim.learning_rate": {"value": 1}}, "did you mean optim.lr?"),
        ({"optimizer.lr": {"value": 1}}, "did you mean optim.lr?"),
        ({"optim.momentun": {"value": 1}, "optimizer": {"value": "sgd"}}, "optim.momentum?"),
        ({"lerning_rate": {"min": 1, "max": 0}}, "did you mean learning_rate?"),
        ({"lr": {"values": [0.1, -0.1]}}, "optim.lr does not take this value"),
        ({"lr": {"distribution": "normal", "mu": 0.1, "sigma": 0.1}}, "a number above 0"),
        (
            {"momentum": {"min": 0.5, "max": 1.0}, "optimizer": {"value": "sgd"}},
            "from 0 to below 1",
        ),
        ({"epochs": {"distribution": "q_uniform", "min": 0, "max": 10, "q": 5}}, "train.epochs"),
        ({"batch_size": {"min": 16.0, "max": 32.0}}, "train.batch_size"),
        ({"model.widths": {"values": [[8, 8]]}, "model": {"value": "convnet"}}, "model.widths"),
        ({"data": {"values": ["digits", "digit"]}}, "both set and searched"),
        ({"learning_rate": {"value": 1}, "lr": {"value": 1}}, "are one setting: optim.lr"),
        ({"2nd": {"value": 1}}, "cannot be a parameter's name"),
        ({"optim": {"parameters": {}}}, "states no distribution"),
        ({"lr": {"min": 0.1, "max": 0.01}}, "min is above max"),
        ({"lr": {"distribution": "loguniform", "min": 0, "max": 1}}, "mean log_uniform_values?"),
        ({"lr": {"distribution": "uniform", "min": 0.1}}, "add max: ..."),
        ({"batch_size": {"values": 64}}, "write values: [64]"),
        ({"optimizer": {"value": "adam"}, "momentum": {"value": 0.9}}, "fallline list optimizers"),
        ({"schedule": {"values": ["linear", "onecycle"]}, "warmup": {"value": 0.1}}, "onecycle"),
        ({"seed": {"values": ["a"]}}, "seed"),
        ({"seed": {"min": 0, "max": 2**60}}, "fewer than 2^53"),
        ({"optim.lr_scale.bais": {"value": 64}}, "did you mean optim.lr_scale.bias?"),
        ({"optim.lr_scale": {"values": [{"bais": 64}]}}, "did you mean optim.lr_scale.bias?"),
        ({"optim.lr_scale": {"values": [64]}}, "takes no value itself"),
        ({"optimizer": {"values": [["sgd"], None]}}, "optim.name does not take this value"),
        ({"optim": {"values": [{"name": "adam", "momentum": 0.9}]}}, "optim.momentum"),
        (
            {"optimizer": {"values": [{"name": "adam", "lr": 0.1}]}, "lr": {"value": 0.1}},
            "two parameters are one setting: optim.lr",
        ),
    ],
)
def test_values_that_no_run_accepts_are_refused_before_anything_starts(
    parameters: dict[str, Any], said: str
) -> None:
    assert said in faults_of(**parameters)


def test_a_fault_of_a_range_is_reported_once_and_not_for_every_draw() -> None:
    text = faults_of(lr={"min": -1.0, "max": 1.0}, weight_decay={"values": [-1, -2, 0]})
    assert text.count("optim.lr does not take this value") == 1
    assert "seen: -2, -1" in text


@pytest.mark.parametrize(
    "entry",
    [
        {"min": 0.1, "max": 0.2},
        {"distribution": "log_uniform_values", "min": 0.1, "max": 0.2},
        {"values": [0.1, 0.2], "probabilities": [0.5, 0.5]},
        {"distribution": "q_log_uniform_values", "min": 1, "max": 4},
        {"distribution": "q_uniform", "min": 0.1, "max": 1, "q": 1e-9},
    ],
)
def test_a_grid_over_what_cannot_be_listed_is_refused(entry: dict[str, Any]) -> None:
    assert "a grid needs values that can be listed" in faults_of("grid", lr=entry)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"name": "accuracy", "goal": "maximize"}, "did you mean val/accuracy?"),
        ({"name": "test/accuracy", "goal": "maximize"}, "chooses on val"),
        ({"name": "val/accuracy"}, "write goal: maximize"),
        ({"name": "val/loss", "goal": "min"}, "did you mean minimize?"),
        ({"name": "val/acc", "goal": "max"}, "did you mean val/accuracy?"),
        ({"goal": "minimize"}, "metric.name"),
        ({"name": "val/loss", "traget": 0.1}, "did you mean metric.target?"),
        ({"name": "val/loss", "target": "low"}, "metric.target is no number"),
        ("val/loss", "metric is no mapping"),
    ],
)
def test_a_metric_that_no_run_reports_or_nobody_means_is_refused(metric: Any, said: str) -> None:
    assert said in faults(metric=metric)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "hyperband"}, "min_iter, or max_iter and s"),
        ({"type": "hyperband", "max_iter": 9}, "min_iter, or max_iter and s"),
        ({"type": "hyperband", "min_iter": 1, "max_iter": 9}, "min_iter, or max_iter and s"),
        ({"type": "hyperband", "max_iter": 2, "s": 2}, "has no band"),
        ({"type": "hyperband", "min_iter": 0}, "early_terminate.min_iter"),
        ({"type": "hyperband", "min_iter": 1, "eta": 1}, "early_terminate.eta"),
        ({"type": "envelope", "min_iter": 1}, "for example early_terminate.type=hyperband"),
        ({"type": "hyperbnad", "min_iter": 1}, "did you mean hyperband?"),
        ({"min_iter": 1}, "early_terminate.type"),
        ({"type": "hyperband", "min_itr": 1}, "did you mean early_terminate.min_iter?"),
    ],
)
def test_an_early_stopping_without_bands_is_refused(rule: dict[str, Any], said: str) -> None:
    assert said in faults(early_terminate=rule)


def test_what_needs_a_metric_says_so() -> None:
    assert "method: bayes needs a metric" in faults(method="bayes", metric=None)
    stop = {"type": "hyperband", "min_iter": 1}
    assert "early_terminate needs a metric" in faults(metric=None, early_terminate=stop)


@pytest.mark.parametrize(
    ("extension", "said"),
    [
        ({"budget": {"trails": 4}}, "did you mean fallline.budget.trials?"),
        ({"base": "fats80"}, "did you mean fast80?"),
        ({"base": "nowhere.yaml"}, "cannot read the config nowhere.yaml"),
        ({"data": "cifra10"}, "did you mean cifar10?"),
        ({"sampler": "tpe"}, "method grid has no sampler"),
        ({"pruner": "medain"}, "did you mean median?"),
        ({"pruner": {"n_warmup_steps": 2}}, "the pruner has no name"),
        ({"pruner": {"name": "median", "warmup": 2}}, "fallline.pruner.median"),
        ({"pruner": {"name": "percentile"}}, "fallline.pruner.percentile.percentile"),
        ({"pruner": "threshold"}, "fallline.pruner.threshold cannot be built"),
        (
            {"pruner": {"name": "successive_halving", "bootstrap_count": 1}},
            "fallline.pruner.successive_halving cannot be built",
        ),
        ({"budget": {"time": "soon"}}, "no duration"),
        ({"budget": {"hours": 3}}, "fallline.budget.hours"),
        ({"holdout": 1.5}, "fallline.holdout"),
        ("tpe", "fallline is no mapping"),
    ],
)
def test_mistakes_under_fallline_are_refused(extension: Any, said: str) -> None:
    assert said in faults(fallline=extension)


def test_two_rules_for_stopping_and_two_sources_of_seeds_are_one_too_many() -> None:
    stop = {"type": "hyperband", "min_iter": 1}
    assert "by one rule" in faults(early_terminate=stop, fallline={"pruner": "median"})
    seeds = {"parameters": {"seed": {"values": [0, 1]}}, "fallline": {"seeds": 3}}
    assert "seed is part of it" in faults(**seeds)
    assert searching("grid", seed={"values": [0, 1]}).cap == 2, "seeds as a parameter are fine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "method: [grid",
        "a: 1\na: 2",
        "a: &a [*a]",
        "\n".join(
            [f"x0: &x0 [{'x, ' * 9}x]"]
            + [f"x{i}: &x{i} [{f'*x{i - 1}, ' * 9}*x{i - 1}]" for i in range(1, 9)]
        ),
        "a: !!python/object/apply:os.system [echo]",
    ],
)
def test_a_file_that_is_no_sweep_file_is_refused_and_nothing_in_it_runs(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot read the sweep file"):
        read(path)


def test_an_error_of_yaml_is_told_in_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("method: grid\nparameters:\n  lr: {values: [0.1\n  epochs: 3\n")
    with pytest.raises(ConfigError, match=r"seen: line 4, column 9: .*expected ',' or '\]'"):
        read(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.yaml", "nowhere.yaml", "."):
        with pytest.raises(ConfigError, match="cannot read the sweep file"):
            read(tmp_path / name)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
PARTS = ("value", "values", "min", "max", "q", "mu", "distribution", "probabilities", "parameters")
ENTRY = st.dictionaries(st.sampled_from(PARTS), ANYTHING, max_size=3) | ANYTHING
WORDS = ("lr", "optim", "optimizer", "epochs", "optim.base", "data.augment", "seed")


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=3),
    st.dictionaries(st.sampled_from(WORDS), ENTRY, max_size=3),
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    sections: dict[str, Any], parameters: dict[str, Any]
) -> None:
    with suppress(ConfigError):
        sweep = read({"method": "random", "parameters": parameters, **sections})
        assert sweep.draw(0).keys() == sweep.space.keys()
