"""Every row of the model table keeps the contract of the table, at any image size."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from fallline.models.convnet import Convnet, Group, WhiteningStem
from fallline.models.layers import ACTIVATIONS
from fallline.models.mlp import Components, Mlp
from fallline.models.resnet import Resnet18, Resnet20, Subsample
from fallline.models.table import MODELS, Activation
from fallline.registry import load

SIZES = (8, 28, 32, 64, 224)
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"widths": (32, 16)},
    "convnet": {"widths": (8, 16, 16)},
    "resnet18": {"width": 4},
    "resnet20": {"width": 4},
}
"""Options that make a row cheap and leave its shape as it is; a row without has its defaults."""


def build(name: str, shape: tuple[int, int, int], classes: int = 10, **options: Any) -> nn.Module:
    row = MODELS[name]
    torch.manual_seed(0)
    net: nn.Module = load(row.target)(shape, classes, **row.options(**options).model_dump())
    if row.calibrates:
        load(row.target).calibrate(net, images_of(shape, 32))
    return net


def images_of(shape: tuple[int, int, int], count: int, seed: int = 0) -> torch.Tensor:
    """Normalized images of which neighbouring pixels are alike, channels_last."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *shape, generator=generator)
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1) * 3
    return smooth.to(memory_format=torch.channels_last)


def parameter_count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", MODELS.names)
def test_options_and_signature_are_the_same(name: str) -> None:
    row = MODELS[name]
    parameters = dict(inspect.signature(load(row.target)).parameters)
    assert list(parameters)[:2] == ["shape", "classes"]
    declared = {k: field.default for k, field in row.options.model_fields.items()}
    assert {k: p.default for k, p in list(parameters.items())[2:]} == declared
    assert all(field.description for field in row.options.model_fields.values())


@pytest.mark.parametrize("name", MODELS.names)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_trains_every_parameter(name: str, channels: int, size: int) -> None:
    net = build(name, (channels, size, size), classes=7, **SMALL.get(name, {}))
    logits = net(images_of((channels, size, size), 3))
    assert logits.shape == (3, 7)
    F.cross_entropy(logits, torch.tensor([0, 3, 6])).backward()  # type: ignore[no-untyped-call]
    for parameter_name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", MODELS.names)
@pytest.mark.parametrize("shape", [(2, 8, 13), (5, 70, 20), (4, 33, 129)])
def test_uneven_sides_and_odd_channels_are_fine(name: str, shape: tuple[int, int, int]) -> None:
    net = build(name, shape, **SMALL.get(name, {}))
    assert net(images_of(shape, 2)).isfinite().all()


@pytest.mark.parametrize("name", MODELS.names)
def test_the_head_is_the_last_layer(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {}))
    assert isinstance(net.head, nn.Linear)
    assert net.head.out_features == 10
    net.eval()
    with torch.no_grad():
        net.head.weight.zero_()
        logits = net(images_of((3, 16, 16), 4))
    assert torch.equal(logits, logits[:1].expand(4, 10))


@pytest.mark.parametrize("name", MODELS.names)
def test_evaluation_is_deterministic_and_image_by_image(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {})).eval()
    images = images_of((3, 16, 16), 6)
    with torch.no_grad():
        together, again = net(images), net(images)
        alone = torch.cat([net(images[k : k + 1]) for k in range(6)])
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", MODELS.names)
def test_bf16_autocast_trains_and_agrees_with_float32(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {}))
    images = images_of((3, 16, 16), 64)
    with torch.no_grad():
        reference = net(images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images.bfloat16())
        F.cross_entropy(logits, torch.arange(64) % 10).backward()  # type: ignore[no-untyped-call]
    assert logits.dtype == torch.float32
    assert (logits - reference).norm() < 0.05 * reference.norm()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", MODELS.names)
def test_images_in_bf16_are_taken_without_autocast_too(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {})).eval()
    images = images_of((3, 16, 16), 4).bfloat16()
    assert torch.equal(net(images), net(images.float()))


@pytest.mark.parametrize("name", MODELS.names)
def test_a_seed_repeats_weights_and_a_step_bitwise(name: str) -> None:
    runs = [one_step(name) for _ in range(2)]
    for key, value in runs[0].items():
        assert torch.equal(value, runs[1][key]), key


def one_step(name: str) -> dict[str, torch.Tensor]:
    net = build(name, (3, 16, 16), **SMALL.get(name, {}))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    F.cross_entropy(net(images_of((3, 16, 16), 16)), torch.arange(16) % 10).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("name", MODELS.names)
def test_thirty_two_images_can_be_learned_by_heart(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {}))
    images, labels = images_of((3, 16, 16), 32), torch.arange(32) % 10
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert (net(images).argmax(1) == labels).float().mean() == 1


@pytest.mark.parametrize("name", MODELS.names)
def test_the_state_carries_everything_evaluation_needs(name: str) -> None:
    net = build(name, (3, 16, 16), **SMALL.get(name, {}))
    net(images_of((3, 16, 16), 16))
    torch.manual_seed(1)
    row = MODELS[name]
    other = load(row.target)((3, 16, 16), 10, **row.options(**SMALL.get(name, {})).model_dump())
    other.load_state_dict(net.state_dict())
    images = images_of((3, 16, 16), 4, seed=2)
    assert torch.equal(net.eval()(images), other.eval()(images))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mlp", {"widths": (0,)}),
        ("mlp", {"norm": "group"}),
        ("mlp", {"dropout": 1.0}),
        ("mlp", {"width": 3}),
        ("convnet", {"widths": (64, 128)}),
        ("convnet", {"stem_stride": 3}),
        ("convnet", {"convs": 1}),
        ("convnet", {"norm_momentum": 0.0}),
        ("resnet18", {"stem": "huge"}),
        ("resnet20", {"width": -16}),
    ],
)
def test_options_out_of_range_are_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        MODELS[name].options(**options)


def test_resnets_have_the_published_number_of_parameters() -> None:
    assert parameter_count(Resnet18((3, 32, 32), 10)) == 11_173_962
    assert parameter_count(Resnet18((3, 224, 224), 1000)) == 11_689_512
    assert parameter_count(Resnet20((3, 32, 32), 10)) == 269_722


def test_resnet18_takes_the_large_stem_above_64_pixels_or_when_told() -> None:
    assert stem_kernel(Resnet18((3, 64, 64), 10, width=4)) == 3
    assert stem_kernel(Resnet18((3, 65, 32), 10, width=4)) == 7
    assert stem_kernel(Resnet18((3, 32, 32), 10, width=4, stem="large")) == 7
    assert stem_kernel(Resnet18((3, 224, 224), 10, width=4, stem="small")) == 3


def stem_kernel(net: Resnet18) -> int:
    conv = net.stem[0]
    assert isinstance(conv, nn.Conv2d)
    return conv.kernel_size[0]


def test_every_activation_that_options_take_is_there_and_no_other() -> None:
    assert set(get_args(Activation)) == ACTIVATIONS.keys()


def test_an_mlp_without_widths_is_linear() -> None:
    net = Mlp((3, 8, 8), 10, widths=())
    assert parameter_count(net) == 3 * 8 * 8 * 10 + 10
    images = images_of((3, 8, 8), 4)
    torch.testing.assert_close(net(2 * images) - net(images), net(images) - net(0 * images))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("activation", get_args(Activation))
def test_an_mlp_takes_every_norm_and_activation(norm: str, activation: str) -> None:
    net = build("mlp", (1, 8, 8), widths=(16, 8, 4), norm=norm, activation=activation, dropout=0.5)
    assert net(images_of((1, 8, 8), 4)).isfinite().all()
    assert sum(isinstance(m, nn.Dropout) for m in net.modules()) == 3


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_whitening_makes_patches_uncorrelated_with_unit_variance(
    channels: int, stride: int
) -> None:
    images = images_of((channels, 17, 17), 200)
    stem = WhiteningStem(channels, stride)
    stem.whiten(images)
    count = 4 * channels
    with torch.no_grad():
        biased = stem(images) - stem.conv.get_parameter("bias")[:, None, None]
        responses = biased.transpose(0, 1).flatten(1)
    moments = responses[:count] @ responses[:count].T / responses.shape[1]
    torch.testing.assert_close(moments, torch.eye(count), atol=0.08, rtol=0)
    torch.testing.assert_close(responses[count:], -responses[:count])


def test_whitening_stays_frozen_and_a_plain_stem_is_trained() -> None:
    white, plain = Convnet((3, 32, 32), 10), Convnet((3, 32, 32), 10, whitening=False)
    frozen = {name for name, p in white.named_parameters() if not p.requires_grad}
    assert {"stem.conv.weight", "stem.conv.bias"} <= frozen
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    plain.calibrate(images_of((3, 32, 32), 16))
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())
    assert plain.get_parameter("stem.0.weight").requires_grad


def test_constant_images_do_not_break_whitening() -> None:
    net = Convnet((3, 16, 16), 10, widths=(8, 8, 8))
    net.calibrate(torch.zeros(10, 3, 16, 16))
    assert net(torch.zeros(4, 3, 16, 16)).isfinite().all()


@pytest.mark.parametrize("widths", [(32, 32, 32), (48, 40, 64)])
def test_dirac_convolutions_start_as_identities(widths: tuple[int, int, int]) -> None:
    net = Convnet((3, 32, 32), 10, widths=widths, convs=3)
    convs = [m for g in net.groups for m in g.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        x = torch.randn(2, conv.in_channels, 6, 6)
        shared = min(conv.in_channels, conv.out_channels)
        torch.testing.assert_close(conv(x)[:, :shared], x[:, :shared])


def test_without_dirac_convolutions_start_at_random() -> None:
    net = Convnet((3, 32, 32), 10, dirac=False)
    conv = next(m for m in net.groups.modules() if isinstance(m, nn.Conv2d))
    assert conv.weight.count_nonzero() == conv.weight.numel()


def test_a_scaled_head_starts_at_deviation_one_and_divides_by_the_width() -> None:
    net = Convnet((3, 32, 32), 10, widths=(8, 8, 16))
    assert net.head.weight.std().item() == pytest.approx(1, abs=1e-5)
    features: list[torch.Tensor] = []
    net.head.register_forward_hook(lambda _m, args, _out: features.append(args[0]))
    logits = net(images_of((3, 32, 32), 4))
    torch.testing.assert_close(logits, features[0] @ net.head.weight.T / 16)


@pytest.mark.parametrize("convs", [2, 3])
def test_a_residual_group_adds_its_first_output_to_its_last(convs: int) -> None:
    torch.manual_seed(0)
    plain = Group(4, [nn.BatchNorm2d(8) for _ in range(convs)], nn.Identity(), residual=False)
    torch.manual_seed(0)
    residual = Group(4, [nn.BatchNorm2d(8) for _ in range(convs)], nn.Identity(), residual=True)
    x = torch.randn(5, 4, 8, 8)
    first = plain.norms[0](F.max_pool2d(plain.convs[0](x), 2))
    torch.testing.assert_close(residual(x), plain(x) + first)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_the_last_map_of_the_convnet_is_small_and_never_empty(size: int, stride: int) -> None:
    net = Convnet((1, size, size), 10, widths=(8, 8, 8), stem_stride=stride)
    maps: list[torch.Size] = []
    net.groups.register_forward_hook(lambda _m, _args, out: maps.append(out.shape))
    net(images_of((1, size, size), 2))
    assert 1 <= maps[0][2] <= 8


def test_norm_weights_are_trained_only_when_told() -> None:
    for told in (False, True):
        net = Convnet((3, 32, 32), 10, norm_weight=told)
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {m.weight.requires_grad for m in norms} == {told}
        assert all(m.bias.requires_grad for m in norms)


def test_resnet20_shortcuts_keep_every_other_pixel_and_add_empty_channels() -> None:
    net = Resnet20((3, 32, 32), 10)
    shortcut = next(m for m in net.modules() if isinstance(m, Subsample))
    x = torch.randn(2, 16, 9, 9)
    out = shortcut(x)
    assert out.shape == (2, 32, 5, 5)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


def test_grey_images_in_three_channels_leave_no_filter_of_the_stem_without_a_response() -> None:
    stem = WhiteningStem(3, 1)
    images = images_of((1, 17, 17), 200).expand(-1, 3, -1, -1)
    stem.whiten(images)
    responses = stem(images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(responses.std(1), torch.ones(24), atol=0.08, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_convnet_starts_with_gradients_of_ordinary_size(channels: int, colours: int) -> None:
    torch.manual_seed(0)
    model = Convnet((channels, 32, 32), 10)
    images = torch.randn(64, min(channels, colours), 32, 32).expand(-1, channels, -1, -1)
    model.calibrate(images)
    loss = F.cross_entropy(model(images), torch.arange(64) % 10)
    gradients = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
    assert max(g.norm().item() for g in gradients) < 100


@pytest.mark.parametrize("count", [40, 400])
def test_components_are_the_first_hardly_correlated_and_more_equal(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(1, -1, 3 * 8 * 8)
    mixing = torch.linalg.qr(torch.randn(192, 192, generator=generator)).Q
    images = (torch.randn(count, 192, generator=generator) * scales @ mixing).view(-1, 3, 8, 8)
    components = Components(192, 20)
    components.calibrate(images)
    seen = components(images.flatten(1))
    moments = seen.T @ seen / count
    variances = moments.diagonal()
    torch.testing.assert_close(moments / variances, torch.eye(20), rtol=0, atol=0.01)
    raw = (images.flatten(1) @ F.normalize(components.directions, dim=1).T).square().mean(0)
    torch.testing.assert_close(variances, (raw / (raw + 1e-2).sqrt()), rtol=1e-2, atol=1e-3)
    assert raw[0] == raw.max()
    best = torch.linalg.svdvals(images.flatten(1))[:20].square().sum() / count
    assert raw.sum() > 0.999 * best


def test_more_components_than_images_leave_the_rest_random() -> None:
    net = Mlp((3, 8, 8), 10, widths=(8,), components=20)
    net.calibrate(images_of((3, 8, 8), 6))
    assert net(images_of((3, 8, 8), 4)).isfinite().all()


@pytest.mark.parametrize("trained", [False, True])
def test_a_stems_biases_are_fixed_or_start_at_zero(trained: bool) -> None:
    net = Convnet((3, 32, 32), 10, widths=(8, 8, 8), stem_bias=trained)
    assert isinstance(net.stem, WhiteningStem)
    bias = net.stem.conv.get_parameter("bias")
    assert [p is bias for p in net.stem.parameters() if p.requires_grad] == [True] * trained
    if trained:
        assert not bias.any()
    else:  # a filter and its negative have the same, from 2 down to -2
        assert torch.equal(bias[:12], bias[12:])
        assert (bias[0].item(), bias[11].item()) == (2, -2)
        assert (bias[:12].diff() < 0).all()
