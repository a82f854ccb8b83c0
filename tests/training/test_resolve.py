"""Settings: layers, short names, rows' options, and every fault at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fallline.config import LrScaleConfig, RunConfig, declared_fields
from fallline.errors import ConfigError
from fallline.training.layers import Layer, parse_assignments, preset_layer, read_layer
from fallline.training.resolve import Resolved, resolve
from fallline.values import typed


def settled(*assignments: str) -> Resolved:
    return resolve([preset_layer("steady"), parse_assignments(assignments)])


def faults(*assignments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settled(*assignments)
    return str(caught.value)


def test_the_config_is_complete_and_survives_the_trip_through_json() -> None:
    config = settled("data=synthetic").config
    assert config.optim.lr is not None
    assert config.model.options["widths"]
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_a_later_layer_wins_and_each_setting_knows_where_it_came_from() -> None:
    resolved = resolve(
        [Layer("first", {"lr": 0.5, "epochs": 3}), Layer("second", {"optim": {"lr": 0.25}})]
    )
    assert resolved.config.optim.lr == 0.25
    assert resolved.origins["optim.lr"] == "second"
    assert resolved.origins["train.epochs"] == "first"
    assert "seed" not in resolved.origins


@pytest.mark.parametrize(
    ("short", "field"),
    [("learning_rate=0.5", "lr"), ("lr=0.5", "lr"), ("optim.lr=5e-1", "lr")],
)
def test_short_names_and_dotted_keys_mean_the_same_field(short: str, field: str) -> None:
    assert getattr(settled("optimizer=sgd", short).config.optim, field) == 0.5


def test_another_row_drops_the_options_meant_for_the_one_before() -> None:
    config = resolve(
        [
            Layer("preset", {"model": {"name": "convnet", "widths": [8, 8, 8]}}),
            Layer("--set", {"model": "mlp"}),
        ]
    ).config
    assert config.model.options["widths"] == [1024, 512]


def test_the_same_row_named_again_keeps_its_options() -> None:
    config = resolve(
        [
            Layer("preset", {"optim": {"name": "sgd", "momentum": 0.5}}),
            Layer("--set", {"optimizer": "sgd"}),
        ]
    ).config
    assert config.optim.options["momentum"] == 0.5


def test_rates_by_role_go_with_the_optimizer_they_were_meant_for() -> None:
    fast = preset_layer("fast70")
    assert resolve([fast]).config.optim.lr_scale.head > 12
    for other in ({"optimizer": "adamw"}, {"optimizer": "lbfgs"}, {"optim.rest": "adamw"}):
        assert resolve([fast, Layer("--set", other)]).config.optim.lr_scale == LrScaleConfig()
    kept = resolve([fast, Layer("--set", {"optimizer": "muon", "lr": 0.1})]).config.optim
    assert kept.lr_scale.head > 12


@pytest.mark.parametrize(
    ("outer", "field", "inner", "kept"),
    [
        ({"optimizer": "sam", "rho": 0.2}, "base", "adamw", {"rho": 0.2}),
        ({"optimizer": "asam", "eta": 0.2}, "base", "muon", {"eta": 0.2}),
        ({"optimizer": "muon", "momentum": 0.5}, "rest", "sgd", {"momentum": 0.5}),
        ({"optimizer": "sam", "base": "muon", "ns_steps": 2}, "rest", "sgd", {"ns_steps": 2}),
    ],
)
def test_another_optimizer_inside_drops_the_options_of_the_one_before(
    outer: dict[str, Any], field: str, inner: str, kept: dict[str, Any]
) -> None:
    given = {"optim": {"name": outer.pop("optimizer"), **outer}, "data": "synthetic"}
    complete = resolve([Layer("given", given)]).config
    changed = {f"optim.{field}": inner}
    optim = resolve([Layer("run", complete.model_dump()), Layer("sweep", changed)]).config.optim
    fresh = resolve([Layer("given", given), Layer("sweep", changed)]).config.optim
    assert optim == fresh
    assert optim.options[field] == inner
    assert kept.items() <= optim.options.items()


def test_naming_the_default_keeps_what_was_set_for_it() -> None:
    layers = [Layer("first", {"lr": 0.5}), Layer("second", {"optimizer": "muon"})]
    assert resolve(layers).config.optim.lr == 0.5


def test_a_text_for_a_section_names_its_row() -> None:
    config = settled("optim=adamw", "model=mlp", "data=synthetic", "schedule=cosine").config
    assert (config.optim.name, config.model.name) == ("adamw", "mlp")
    assert (config.data.name, config.schedule.name) == ("synthetic", "cosine")


def test_the_default_config_is_itself_settings() -> None:
    config = resolve([Layer("settings", RunConfig().model_dump())]).config
    assert config == resolve([]).config
    assert config.optim.lr == 0.24
    nulls = settled("optimizer=sgd", "optim.lr=null", "weight_decay=null").config
    assert nulls == settled("optimizer=sgd").config


def test_dotted_keys_reach_every_field_of_the_schema() -> None:
    assert settled("optim.lr_scale.bias=64").config.optim.lr_scale.bias == 64
    texts = [f"{key}={typed(field.default)}" for key, field in declared_fields().items()]
    resolve([parse_assignments(texts)])


def test_a_wrapping_optimizer_takes_the_options_of_its_base() -> None:
    options = settled("optimizer=sam", "optim.base=adamw", "optim.rho=0.1").config.optim.options
    assert options["rho"] == 0.1
    assert options["base"] == "adamw"
    assert "betas" in options


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("optimizer=adamm", ["unknown optimizer", "adamm", "did you mean adam"]),
        ("model=convnett", ["unknown model", "did you mean convnet"]),
        ("data=cifar11", ["no such image set", "did you mean cifar10"]),
        ("schedule=cosin", ["unknown schedule", "did you mean cosine"]),
        ("lerning_rate=1", ["unknown setting", "did you mean learning_rate"]),
        ("model.wdiths=[3]", ["unknown setting", "did you mean model.widths"]),
        ("train.epoch=1", ["unknown setting", "did you mean train.epochs"]),
        ("lr=-1", ["optim.lr", "a number above 0", "seen: -1", "for example"]),
        ("lr=fast", ["optim.lr", "a number above 0", "fast"]),
        ("lr=0,1", ["optim.lr", "did you mean 0.1"]),
        ("epochs=0", ["train.epochs", "a number above 0", "train.epochs=10"]),
        ("batch_size=2.5", ["train.batch_size", "a whole number from 1 up", "2.5"]),
        ("label_smoothing=1", ["train.label_smoothing", "a number from 0 to below 1"]),
        ("device=gpu", ["train.device", "gpu", "auto, cpu, cuda, cuda:1 or mps"]),
        ("data.image_size=4", ["data.image_size", "from 8 to 224", "data.image_size=32"]),
        ("optim=5", ["optim.name", "seen: 5", "text"]),
        ("train=5", ["train is a section", "5", "train.epochs"]),
        ("data.augment=flip", ["data.augment is a section", "'flip'", "data.augment.shift"]),
        ("optim.lr_scale.bais=2", ["unknown setting", "did you mean optim.lr_scale.bias"]),
        ("momentum=null", ["optim.momentum", "None"]),
        ("model.widths=[0,8,8]", ["model.widths", "0 in place 1", "from 1 to 65536"]),
        ("optim.betas=[0.9,0.99]", ["unknown setting", "optim.betas", "optim.momentum"]),
        ("optim.rho=0.1", ["of sgd", "sam, asam", "fallline list optimizers sgd"]),
        ("optim.nothing=1", ["unknown setting", "fallline list optimizers sgd"]),
        ("rho=0.1", ["unknown setting", "did you mean optim.rho?"]),
        ("loss=hinge", ["cross_entropy or squared_error", "loss=cross_entropy"]),
        ("loss=cross_entrop", ["did you mean cross_entropy"]),
        ("wandb=maybe", ["off, offline or online"]),
        ("data.channels=2", ["1, 3 or null"]),
        ("model.widths=128", ["a list of 3", "for example model.widths=[64, 128, 128]"]),
        ("schedule.milestones=0.5", ["each a number from 0 to 1", "did you mean [0.5]"]),
    ],
)
def test_a_fault_says_what_was_seen_and_what_is_allowed(assignment: str, parts: list[str]) -> None:
    text = (
        faults("optimizer=sgd", assignment)
        if "optimizer" not in assignment
        else faults(assignment)
    )
    for part in parts:
        assert part in text


def test_a_section_given_one_value_does_not_hide_its_other_faults() -> None:
    text = faults("train=5", "train.epochs=-1", "data.augment=no", "optim=[1]")
    for part in (
        "train is a section",
        "train.epochs does not take",
        "data.augment is a section",
        "optim.name",
    ):
        assert part in text


def test_all_faults_are_found_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settled("epochs=-1", "model=nope", "optim.nope=1", "data=nowhere", "nope=1")
    text = str(caught.value)
    assert len(caught.value.faults) == 5
    unknown = ("unknown model\n    seen: nope", "unknown setting\n    seen: nope")
    for seen in ("train.epochs", *unknown, "optim.nope", "nowhere"):
        assert seen in text


@pytest.mark.parametrize("text", ["lr", "=3", "", "a=[1"])
def test_an_assignment_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot read --set"):
        parse_assignments([text])


def test_numbers_are_read_as_yaml_1_2_reads_them() -> None:
    assert parse_assignments(["a=1e-3", "b=no", "c=[1, 2]"]).values == {
        "a": 1e-3,
        "b": "no",
        "c": [1, 2],
    }


def test_a_config_file_may_nest_and_is_named_as_origin(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("optimizer: adamw\noptim:\n  lr: 1e-3\ndata:\n  augment: {shift: 3}\n")
    resolved = resolve([preset_layer("steady"), read_layer(file)])
    assert resolved.config.optim.lr == 1e-3
    assert resolved.config.data.augment.shift == 3
    assert str(file) in resolved.origins["optim.lr"]


@pytest.mark.parametrize("content", ["- 1\n", "a: [", "\x00", "!!python/object:os.system {}"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match="cannot read the config"):
        resolve([read_layer(file)])


def test_the_config_of_a_run_is_itself_a_config_file(tmp_path: Path) -> None:
    config = settled("optimizer=sam", "data=synthetic").config
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    assert resolve([read_layer(file)]).config == config
