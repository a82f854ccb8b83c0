"""Sweep files: what they mean, what is read leniently, what a sweep is known by again."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep_samples import HOMEWORK, changed, faults, faults_of, searching

from fallline.errors import ConfigError
from fallline.registry import load
from fallline.space import Choice, Constant, Integers, LogUniform, Uniform
from fallline.sweep.extension import FOR_TRIALS
from fallline.sweep.file import changes, read
from fallline.sweep.pruner import PRUNERS
from fallline.sweep.session import share_of
from fallline.training.layers import Layer, parse_assignments

# what a file means


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


def test_a_configuration_resolves_to_a_complete_config_that_says_where_it_is_from() -> None:
    resolved = changed().resolve(changed().point(7), Layer("seed 3", {"seed": 3}))
    config = resolved.config
    assert (config.optim.name, config.optim.lr, config.train.batch_size) == ("adam", 0.01, 128)
    assert (config.data.name, config.seed) == ("digits", 3)
    assert resolved.origins["optim.lr"] == "sweep"
    assert resolved.origins["data.name"] == "fallline.data"


def test_nested_parameters_are_dotted_keys_and_go_back_into_their_groups() -> None:
    group = {"parameters": {"name": {"value": "sgd"}, "lr": {"values": [0.1, 1.0]}}}
    sweep = searching(optim=group, epochs={"value": 2})
    assert sweep.space == {
        "train.epochs": Constant(2),
        "optim.lr": Choice((0.1, 1.0)),
        "optim.name": Constant("sgd"),
    }
    values = sweep.draw(0)
    assert sweep.nested(values)["optim"] == {"name": "sgd", "lr": values["optim.lr"]}
    assert sweep.wandb_config()["parameters"]["optim"] == group
    sent = {"_wandb": {}, "epochs": 2, "optim": {"lr": 1.0, "name": "sgd"}}
    assert sweep.from_nested(sent) == {
        "train.epochs": 2,
        "optim.lr": 1.0,
        "optim.name": "sgd",
    }


def test_what_wandb_is_sent_has_nothing_of_ours_and_is_a_copy() -> None:
    sweep = changed(controller={"type": "local"}, description="x", entity="me", project="p")
    sent = sweep.wandb_config()
    assert {"fallline", "controller"} & set(sent) == set()
    assert sent["parameters"] == HOMEWORK["parameters"]
    assert (sent["entity"], sent["project"], sent["description"]) == ("me", "p", "x")
    sent["parameters"].clear()
    assert sweep.wandb_config()["parameters"] == HOMEWORK["parameters"]


def test_a_budget_of_trials_is_a_cap_at_wandb_too() -> None:
    sweep = changed(method="random", run_cap=9, fallline={"budget": {"trials": 4}})
    assert sweep.cap == 4
    assert sweep.wandb_config()["run_cap"] == 4


def test_a_grid_ends_by_itself_and_random_only_by_its_cap() -> None:
    assert changed().cap == 8
    assert changed(run_cap=3).cap == 3
    assert changed(run_cap=100).cap == 8
    assert changed(method="random").cap is None


@pytest.mark.parametrize(
    ("base", "rows"),
    [("fast80", "muon"), ("settings.yaml", "adamw"), ("sub/config.json", "nadam")],
)
def test_the_base_is_a_preset_or_a_file_beside_the_sweep(
    tmp_path: Path, base: str, rows: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "settings.yaml").write_text("optim: {name: adamw, betas: [0.8, 0.9]}")
    (tmp_path / "sub" / "config.json").write_text('{"optimizer": "nadam"}')
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"method: random\nparameters: {{lr: {{min: 0.1, max: 0.2}}}}\n"
        f"fallline: {{base: {base}, data: digits}}"
    )
    config = read(path).resolve({"optim.lr": 0.15}).config
    assert (config.optim.name, config.optim.lr) == (rows, 0.15)


def test_images_are_found_beside_the_file_and_names_of_sets_stay_names(tmp_path: Path) -> None:
    (tmp_path / "photos" / "train" / "cat").mkdir(parents=True)
    path = tmp_path / "sweep.yaml"
    text = "method: random\nparameters: {{lr: {{min: 0.1, max: 0.2}}}}\nfallline: {{data: {}}}"
    for data, name in (("photos", str(tmp_path / "photos")), ("digits", "digits")):
        path.write_text(text.format(data))
        assert read(path).resolve({"optim.lr": 0.1}).config.data.name == name


def test_the_command_line_wins_over_the_file_and_may_not_set_what_is_searched() -> None:
    given = parse_assignments(["data=synthetic", "model=mlp"])
    config = read(HOMEWORK, layers=[given]).resolve({}).config
    assert (config.data.name, config.model.name) == ("synthetic", "mlp")
    with pytest.raises(ConfigError, match=r"optim\.lr is both set and searched"):
        read(HOMEWORK, layers=[parse_assignments(["lr=0.5"])])
    pair = {"optim": {"values": [{"name": "sgd", "lr": 0.1}]}}
    with pytest.raises(ConfigError, match=r"optim\.lr is both set and searched"):
        read({"method": "grid", "parameters": pair}, layers=[parse_assignments(["lr=0.5"])])


def test_a_constant_gives_way_to_the_command_line() -> None:
    file = read(HOMEWORK, layers=[FOR_TRIALS, parse_assignments(["epochs=2"])])
    assert file.space["train.epochs"] == Constant(2)
    assert file.wandb_config()["parameters"]["epochs"] == {"value": 2}
    assert file.resolve(file.point(0)).config.train.epochs == 2
    of_test = HOMEWORK["parameters"] | {"data.test_at_end": {"value": True}}
    asked = read({**HOMEWORK, "parameters": of_test}, layers=[FOR_TRIALS])
    assert asked.resolve(asked.point(0)).config.data.test_at_end


def test_a_seed_is_checked_whoever_says_it() -> None:
    assert read(HOMEWORK, seed=7).extension.seed == 7
    with pytest.raises(ConfigError, match="seed"):
        read(HOMEWORK, seed=-5)


def test_a_mapping_may_hold_what_numpy_made_and_paths() -> None:
    rates = {"learning_rate": {"values": np.logspace(-3, -1, 3)}, "seed": {"value": np.int64(4)}}
    file = read({"method": "grid", "parameters": rates, "fallline": {"data": Path("digits")}})
    assert file.space == {"optim.lr": Choice((0.001, 0.01, 0.1)), "seed": Constant(4)}
    with pytest.raises(ConfigError, match="holds what a sweep file cannot"):
        read({**HOMEWORK, "name": object()})


def test_where_it_is_typed_and_how_it_is_tracked_is_no_part_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "photos/train/cat"):
        (tmp_path / name).mkdir(parents=True)

    def identity(data: str, *words: str) -> object:
        given = parse_assignments([f"data={data}", *words])
        return read(HOMEWORK, layers=[FOR_TRIALS, given]).identity

    monkeypatch.chdir(tmp_path)
    first = identity("photos")
    assert first == identity("photos", "train.threads=1", "track.every=7", "device=cpu")
    assert first != identity("photos", "label_smoothing=0.3")
    monkeypatch.chdir(tmp_path / "here")
    assert first == identity("../photos")
    (tmp_path / "photos").rename(tmp_path / "here" / "photos")
    assert first == identity("photos")


def test_everything_under_fallline_is_typed() -> None:
    extension = changed(
        method="bayes",
        fallline={
            "base": "fast70",
            "data": "synthetic",
            "seed": 3,
            "seeds": 5,
            "budget": {"trials": 50, "time": "1h30m", "epochs": 200, "device_hours": 2.5},
            "per_device": 2,
            "holdout": 0.2,
            "sampler": "gp",
            "pruner": {"name": "median", "n_warmup_steps": 2},
        },
    ).extension
    assert extension.budget.time == 5400
    assert (extension.seeds, extension.holdout, extension.sampler) == (5, 0.2, "gp")


def test_what_a_file_says_of_holding_out_and_of_sharing_is_done() -> None:
    file = changed(fallline={"data": "digits", "holdout": 0.2, "per_device": 2})
    assert file.resolve(file.point(0)).config.data.holdout == 0.2
    assert share_of(file).per_device == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("45s", 45), ("1h 1m 1s", 3661), (30, 30)]
)
def test_a_time_is_text_or_seconds(text: Any, seconds: float) -> None:
    assert changed(fallline={"budget": {"time": text}}).extension.budget.time == seconds


def test_a_whole_section_may_be_a_value() -> None:
    sweep = searching("grid", **{"optim.lr_scale": {"values": [{"bias": 2.0}, {"head": 3.0}]}})
    scales = [sweep.resolve(point).config.optim.lr_scale for point in sweep.grid]
    assert [(scale.bias, scale.head) for scale in scales] == [(2.0, 1.0), (1.0, 3.0)]


def test_settings_that_belong_together_are_the_values_of_their_section() -> None:
    pairs = [{"name": "sgd", "lr": 0.1, "momentum": 0.9}, {"name": "adam", "lr": 0.003}]
    sweep = searching("grid", optim={"values": pairs}, epochs={"values": [1, 2]})
    configs = [sweep.resolve(point).config.optim for point in sweep.grid]
    told = [(config.name, config.lr, config.options.get("momentum")) for config in configs]
    assert told == [("sgd", 0.1, 0.9), ("adam", 0.003, None)] * 2
    assert sweep.notes == ()
    sweep = searching("grid", optim={"values": pairs}, **{"optim.nesterov": {"value": False}})
    assert [sweep.apply(point)[1] for point in sweep.grid] == [(), ("optim.nesterov",)]


# draws that do nothing


def test_an_option_of_one_optimizer_is_left_out_for_the_others_and_that_is_said() -> None:
    sweep = searching(
        "grid",
        optimizer={"values": ["sgd", "adam"]},
        momentum={"values": [0.8, 0.9]},
        lr={"value": 0.01},
    )
    assert len(sweep.grid) == 4, "as at W&B"
    applied = [sweep.apply(point) for point in sweep.grid]
    assert [idle for _, idle in applied] == [(), ("optim.momentum",), (), ("optim.momentum",)]
    assert applied[1][0] == applied[3][0], "the two with adam are one training"
    assert "optim.momentum does nothing, and is left out, for adam" in sweep.notes
    assert sweep.resolve(sweep.point(1)).config.optim.name == "adam"


def test_the_base_of_sam_decides_which_options_do_something() -> None:
    sweep = searching(
        "grid",
        optimizer={"value": "sam"},
        **{"optim.base": {"values": ["sgd", "adam"]}},
        momentum={"value": 0.8},
    )
    assert [sweep.apply(point)[1] for point in sweep.grid] == [(), ("optim.momentum",)]


def test_an_option_that_no_optimizer_of_the_sweep_takes_is_refused() -> None:
    text = faults_of(optimizer={"values": ["adam", "adamw"]}, momentum={"values": [0.8, 0.9]})
    assert "optim.momentum is an option of no optimizer that this sweep can name" in text
    assert "seen: adam, adamw" in text
    assert "sgd" in text.split("allowed")[1]


def test_an_option_of_the_bases_own_optimizer_needs_no_name() -> None:
    sweep = changed(method="random", parameters={"optim.rest_lr": {"min": 0.001, "max": 0.002}})
    assert sweep.apply(sweep.draw(0))[1] == ()
    text = faults(method="random", parameters={"optim.rho": {"min": 0.1, "max": 0.2}})
    assert "option of no optimizer" in text


def test_rows_are_named_with_what_they_hold_where_that_decides() -> None:
    optim = {
        "name": {"values": ["sam", "sgd"]},
        "base": {"values": ["sgd", "adam"]},
        "momentum": {"min": 0.5, "max": 0.9},
    }
    sweep = searching(optim={"parameters": optim})
    assert sweep.notes == (
        "optim.momentum does nothing, and is left out, for sam with adam",
        "optim.base does nothing, and is left out, for sgd",
    )


# lenient readings, each mentioned


def test_numbers_that_yaml_1_1_takes_for_text_are_numbers_and_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "method: random\n"
        "parameters:\n"
        "  optimizer: {value: sgd}\n"
        "  lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}\n"
        "  momentum: {min: 0.5, max: 0.9}\n"
        "  weight_decay: {values: ['1e-4', 1.0e-3, 1e-2]}\n"
    )
    sweep = read(path)
    assert sweep.space["optim.lr"] == LogUniform(1e-4, 0.1)
    assert sweep.space["optim.weight_decay"] == Choice((1e-4, 1e-3, 1e-2))
    notes = "\n".join(sweep.notes)
    for part in ("line 4: 1e-4", "line 4: 1e-1", "line 6: 1e-2", "'1e-4' was read"):
        assert part in notes
    assert len(sweep.notes) == 4, "0.5 and 1.0e-3 are numbers to everybody"
    assert "it wants 1.0e-4" in notes


def test_text_that_spells_numbers_is_read_as_numbers_from_python_too() -> None:
    sweep = changed(
        method="random",
        run_cap="5",
        parameters={"lr": {"min": "1e-3", "max": "0.1"}, "epochs": {"min": "1", "max": "3"}},
        early_terminate={"type": "hyperband", "min_iter": "2"},
        fallline={"seeds": "3", "budget": {"trials": "9"}},
    )
    assert sweep.space == {"train.epochs": Integers(1, 3), "optim.lr": Uniform(0.001, 0.1)}
    assert (sweep.run_cap, sweep.extension.seeds, sweep.extension.budget.trials) == (5, 3, 9)
    assert sweep.early_terminate
    assert sweep.early_terminate.bands[0] == 2
    assert len(sweep.notes) == 8
    assert sweep.wandb_config()["early_terminate"]["min_iter"] == 2


def test_one_whole_and_one_real_end_are_real_numbers_for_us_and_for_wandb() -> None:
    sweep = searching(label_smoothing={"min": 0, "max": 0.5})
    assert sweep.space["train.label_smoothing"] == Uniform(0.0, 0.5)
    sent = sweep.wandb_config()["parameters"]["label_smoothing"]
    assert [type(sent[key]) for key in ("min", "max")] == [float, float]
    assert "one end is whole and one is not" in sweep.notes[0]


def test_a_metric_of_a_run_may_be_written_with_an_underscore() -> None:
    sweep = changed(metric={"name": "val_accuracy", "goal": "maximize"})
    assert sweep.metric
    assert sweep.metric.name == "val/accuracy"
    assert sweep.wandb_config()["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert "val_accuracy was read as val/accuracy" in sweep.notes[0]


def test_without_a_metric_runs_are_judged_by_their_accuracy_on_val() -> None:
    sweep = changed(metric=None)
    assert sweep.metric is None
    assert sweep.objective
    assert (sweep.objective.name, sweep.objective.goal) == ("val/accuracy", "maximize")


def test_old_distributions_are_understood_and_called_old() -> None:
    sweep = searching(lr={"distribution": "log_uniform", "min": -7, "max": -2})
    assert "log_uniform_values takes the values themselves" in sweep.notes[0]


# what a sweep is known by again


@pytest.mark.parametrize(
    "parts",
    [
        {"run_cap": 5},
        {"name": "other"},
        {"description": "words"},
        {"fallline": {"data": "digits", "budget": {"time": "1h"}}},
        {"fallline": {"data": "digits", "per_device": 3}},
        {"parameters": dict(reversed(HOMEWORK["parameters"].items()))},
    ],
)
def test_caps_names_and_the_order_of_lines_are_not_part_of_a_sweeps_identity(
    parts: dict[str, Any],
) -> None:
    assert changed(**parts).fingerprint == changed().fingerprint


@pytest.mark.parametrize(
    ("parts", "change"),
    [
        ({"method": "random"}, 'method: "grid" -> "random"'),
        ({"fallline": {"data": "synthetic"}}, 'settings.data.name: "digits" -> "synthetic"'),
        ({"fallline": {"data": "digits", "seed": 1}}, "fallline.seed: 0 -> 1"),
        ({"metric": {"name": "val/loss"}}, 'metric.name: "val/accuracy" -> "val/loss"'),
        (
            {"parameters": {**HOMEWORK["parameters"], "epochs": {"value": 6}}},
            "parameters.epochs.value: 5 -> 6",
        ),
        (
            {"parameters": {**HOMEWORK["parameters"], "warmup": {"value": 0.1}}},
            "parameters.warmup.value: not there -> 0.1",
        ),
    ],
)
def test_what_decides_configurations_or_values_changes_a_sweeps_identity(
    parts: dict[str, Any], change: str
) -> None:
    before, after = changed(), changed(**parts)
    assert before.fingerprint != after.fingerprint
    assert change in changes(before.identity, after.identity)


# pruners of Optuna's


def test_every_pruner_takes_the_arguments_that_optunas_takes() -> None:
    for row in PRUNERS:
        theirs = set(inspect.signature(load(row.target)).parameters)
        assert set(row.arguments.model_fields) == theirs, row.name


def test_a_pruner_has_its_complete_arguments() -> None:
    pruner = changed(fallline={"pruner": {"name": "patient", "patience": 3}}).pruner
    assert pruner
    assert pruner.name == "patient"
    assert pruner.arguments == {"patience": 3, "min_delta": 0.0, "wrapped_pruner": None}
