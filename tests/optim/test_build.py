"""Options and groups: what is taken, what is refused, which weights decay."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from optim_problems import Net, equal, network, take
from torch import nn

from fallline.errors import ConfigError
from fallline.optim import library
from fallline.optim.build import build
from fallline.optim.groups import parameter_groups, parameters_by_role
from fallline.optim.row import ROLES
from fallline.optim.schema import check_options, options_schema, search_space
from fallline.optim.table import OPTIMIZERS, row
from fallline.registry import load
from fallline.space import Choice, LogUniform, Space, Uniform


def test_every_trainable_parameter_is_in_exactly_one_group() -> None:
    model = Net()
    model.conv.weight.requires_grad_(False)
    grouped = [id(p) for group in parameter_groups(model, lr=0.1) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_roles_are_told_apart() -> None:
    model = Net()
    by_role = parameters_by_role(model)
    assert by_role["filter"] == [model.conv.weight, model.twin.weight]
    assert by_role["matrix"] == [model.linear.weight]
    assert by_role["head"] == [model.head.weight]
    assert by_role["norm"] == [model.norm.weight]
    assert by_role["bias"] == [model.norm.bias, model.linear.bias, model.head.bias]


def test_shared_parameters_are_stepped_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert [len(g["params"]) for g in parameter_groups(model, lr=0.1)] == [1, 2]


def test_rates_scale_by_role() -> None:
    groups = parameter_groups(Net(), lr=0.1, lr_scale={"bias": 64, "head": 0})
    rates = {g["role"]: (g["lr"], g["initial_lr"]) for g in groups}
    assert rates["bias"] == (6.4, 6.4)
    assert rates["head"] == (0.0, 0.0)
    assert rates["matrix"] == (0.1, 0.1)


DECAYED = [r.name for r in OPTIMIZERS if r.decays]


@pytest.mark.parametrize("name", DECAYED)
def test_decay_does_not_touch_norms_and_biases_unless_told_to(name: str) -> None:
    """All gradients are zero, so only decay can move a weight."""
    for told in (False, True):
        model, _ = network()
        with torch.no_grad():
            model.linear.bias.fill_(0.5)
        options = {"normalize_filters": False} if name == "muon" else {}
        if OPTIMIZERS[name].takes != ROLES:
            options["rest_weight_decay"] = 0.5  # type: ignore[assignment]
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimizer = build(
            name, model, lr=0.1, weight_decay=0.5, decay_norm_and_bias=told, options=options
        )
        take(optimizer, lambda m=model: sum(0 * p.sum() for p in m.parameters()), 2)  # type: ignore[misc]
        moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
        assert {"conv.weight", "linear.weight", "head.weight"} <= moved
        spared = {"norm.weight", "linear.bias"}
        assert moved & spared == (spared if told else set())


@pytest.mark.parametrize(("told", "lambd"), [(False, 0.0), (True, 1e-4)])
def test_norms_and_biases_are_spared_what_else_shrinks_weights_unless_told(
    told: bool, lambd: float
) -> None:
    groups = build("asgd", Net(), decay_norm_and_bias=told).param_groups
    assert {g["role"]: g["lambd"] for g in groups if g["role"] in ("norm", "bias", "filter")} == {
        "norm": lambd,
        "bias": lambd,
        "filter": 1e-4,
    }


def test_an_unknown_option_names_what_the_optimizer_takes() -> None:
    with pytest.raises(ConfigError) as error:
        build("sgd", Net(), options={"momentun": 0.9, "betas": (0.9, 0.99)})
    assert len(error.value.faults) == 2
    first = error.value.faults[0]
    assert first.what == "optim.momentun is no option of sgd"
    assert first.allowed == "dampening, lr, momentum, nesterov, weight_decay"
    assert first.next == "did you mean momentum?"


def test_weight_decay_is_refused_where_the_optimizer_has_none() -> None:
    with pytest.raises(ConfigError, match="weight_decay is no option of rprop"):
        build("rprop", Net(), weight_decay=0.1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"lr": 0}),
        ("adamw", {"lr": float("nan")}),
        ("adam", {"betas": (0.9,)}),
        ("rprop", {"etas": (0.5, 0.9)}),
        ("muon", {"rest": "lion"}),
        ("sam", {"base": "sam"}),
        ("lbfgs", {"max_iter": 0}),
    ],
)
def test_values_out_of_range_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        check_options(name, options)


@pytest.mark.parametrize("options", [{"momentum": 0.0}, {"dampening": 0.1}])
def test_sgd_without_momentum_or_with_dampening_is_plain(options: dict[str, float]) -> None:
    optimizer = build("sgd", Net(), options=options)
    assert not any(group["nesterov"] for group in optimizer.param_groups)
    assert all(group["nesterov"] for group in build("sgd", Net()).param_groups)


def test_an_unknown_optimizer_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean adamw"):
        build("adamww", Net())


def test_lbfgs_refuses_rates_by_role() -> None:
    with pytest.raises(ConfigError, match="one learning rate"):
        build("lbfgs", Net(), lr_scale={"bias": 2.0})


@pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda r: r.name)
def test_every_row_is_complete(row: object) -> None:
    row = OPTIMIZERS[row.name]  # type: ignore[attr-defined]
    schema = options_schema(row.name)
    assert issubclass(load(row.target), torch.optim.Optimizer)
    assert schema.model_validate({}).model_dump() == dict(check_options(row.name, {}))
    assert "lr" in schema.model_fields
    assert ("weight_decay" in schema.model_fields) == bool(row.decays)
    assert row.paper
    assert all(field.description for field in schema.model_fields.values())


def everyone() -> list[str]:
    library_names = library.NAMES if find_spec("pytorch_optimizer") else ()
    return list(dict.fromkeys((*OPTIMIZERS.names, *library_names)))


@pytest.mark.parametrize("name", everyone())
def test_a_search_tries_every_optimizers_rate_and_decay(name: str) -> None:
    schema, space = options_schema(name), search_space(name)
    assert {"lr", "weight_decay"} & set(schema.model_fields) <= set(space)
    if row(name).inner == "rest":
        assert "rest_lr" in space
    for setting, dimension in space.items():
        for u in (0.0, 0.37, 1.0):
            check_options(name, {setting: dimension.at(u)})
    default = space["lr"].at(0), schema.model_fields["lr"].default, space["lr"].at(1)
    assert default == tuple(sorted(default))


def test_what_sam_searches_is_its_bases_space_and_rho() -> None:
    assert search_space("sam") == {**row("sgd").space, **row("sam").space}
    assert set(row("sam").space) == {"rho"}
    assert search_space("sam", "adamw")["lr"] == row("adamw").space["lr"]
    assert search_space("asam", "muon").keys() == {"rho"} | search_space("muon").keys()
    for base in ("sgd", "adadelta", "muon"):
        check_options("sam", {"base": base} | lows(search_space("sam", base)))


def test_what_muon_searches_holds_the_rate_of_its_rest() -> None:
    assert search_space("muon")["rest_lr"] == row("adamw").space["lr"]
    assert search_space("muon", "sgd")["rest_lr"] == row("sgd").space["lr"]
    check_options("muon", {"rest": "sgd"} | lows(search_space("muon", "sgd")))


def lows(space: Space) -> dict[str, Any]:
    return {setting: dimension.at(0) for setting, dimension in space.items()}


def test_a_search_of_what_cannot_be_inside_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot hold this optimizer as its base"):
        search_space("sam", "lbfgs")


def test_checked_options_survive_json() -> None:
    for name in OPTIMIZERS.names:
        checked = check_options(name, {})
        assert type(checked).model_validate_json(checked.model_dump_json()) == checked


def test_the_tables_load_no_torch() -> None:
    code = (
        "import sys, fallline.optim.table, fallline.optim.schema, fallline.optim.schedule;"
        "assert 'torch' not in sys.modules and 'pytorch_optimizer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fused_kernels_are_used_where_torch_has_them() -> None:
    fused = {n for n in OPTIMIZERS.names if build(n, Net()).defaults.get("fused")}
    assert fused == {"sgd", "adam", "adamw", "adagrad", "sam", "asam"}


def test_frozen_weights_stay() -> None:
    model, loss = network()
    model.conv.weight.requires_grad_(False)
    before = model.conv.weight.clone()
    take(build("muon", model), loss, 2)
    assert equal([before], [model.conv.weight])


def test_dimensions_map_the_unit_interval() -> None:
    assert [Uniform(1, 3).at(u) for u in (0, 0.5, 1)] == [1, 2, 3]
    assert [LogUniform(0.01, 1).at(u) for u in (0, 0.5, 1)] == pytest.approx([0.01, 0.1, 1])
    assert LogUniform(3e-4, 3e-2).at(1.0) <= 3e-2
    assert [Choice(("a", "b")).at(u) for u in (0, 0.49, 0.5, 1)] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "broken", [lambda: Uniform(2, 1), lambda: LogUniform(0, 1), lambda: Choice(())]
)
def test_an_empty_space_is_refused(broken: object) -> None:
    with pytest.raises(ValueError, match="needs"):
        broken()  # type: ignore[operator]


def test_no_optimizer_loads_the_compiler() -> None:
    names = [row.name for row in OPTIMIZERS if row.name != "torch_muon"]  # the net has no matrix
    script = f"""
import sys, torch
from fallline.optim.build import build
for name in {names}:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    optimizer = build(name, net)
    def closure():
        optimizer.zero_grad()
        loss = net(torch.ones(2, 1, 3, 3)).square().mean()
        loss.backward()
        return loss
    optimizer.step(closure)
    optimizer.load_state_dict(optimizer.state_dict())
    assert "torch._dynamo" not in sys.modules, name
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
