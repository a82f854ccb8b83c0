"""The convnet of the CIFAR-10 speed records, for any image size and for CPUs.

Jordan 2024 (arXiv 2404.00498), after Page's ResNet-9 and hlb-CIFAR10: a stem of 2x2 filters that
whitens patches and stays frozen, three groups of [conv, pool, norm, act, conv, norm, act], a
global max-pooling, a head without bias. Pooling before the norm leaves it a quarter of the work.

Ours: the stem may have stride 2; directions in which patches do not vary are left out of it; the
norms' eps is torch's, as 1e-12 gave NaN in bfloat16 on CPUs; pooling stops before nothing is left
of small images, and the stem pools large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, log2
from typing import Literal, cast

import torch
from torch import nn
from torch.nn import functional as F

from fallline.models import fused
from fallline.models.conv import Conv3x3
from fallline.models.layers import ACTIVATIONS, as_weights, conv_norm_act

PATCH = 2  # px, side of the stem's filters
STEM_SIDE = 64  # px; the stem pools images of a larger side as if they had this one
STRIDE_SIDE = 24  # px; from this side on the stem may halve images
SMALLEST_POOLED = 4  # px; a map with a smaller side than this is not pooled further
EIGENVALUE_FLOOR = 5e-4  # keeps directions of little variance from being blown up; airbench94_muon
FLAT = EIGENVALUE_FLOOR / 100  # a direction with less variance counts as one without
BIAS = 2.0  # of the direction that varies most; that which varies least has its negative


def stem_filters(channels: int) -> int:
    """Channels of the stem: a filter for each dimension of a patch, and its negative.

    They are not padded to 32, which made steps 3 to 10 % slower (docs/log.md).
    """
    return 2 * channels * PATCH**2


class WhiteningStem(nn.Module):
    """2x2 filters that make patches uncorrelated with unit variance, and their negatives.

    The filters are frozen; before `whiten` they are random. Where their biases are, too, they fall
    from 2 to -2 deviations, from the direction that varies most to that which varies least: of
    what is smooth nearly all passes the activation, of fine detail only what stands out.

    Args:
        channels: C of the images; there are 8 C filters.
        stride: 1 or 2.
        trained_bias: biases start at 0 and are trained.

    Attributes:
        by_patches: where kernels serve, it is one product, whose output lies as they want it.
    """

    def __init__(self, channels: int, stride: int, trained_bias: bool = False) -> None:
        super().__init__()
        self.by_patches = True
        filters = stem_filters(channels)
        self.conv = nn.Conv2d(channels, filters, PATCH, stride=stride)
        bias = self.conv.get_parameter("bias").requires_grad_(trained_bias)
        self.conv.weight.requires_grad_(False)
        with torch.no_grad():
            bias.copy_(torch.linspace(BIAS, -BIAS, filters // 2).repeat(2))
            bias *= not trained_bias

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, 8 C, (H - 2) // stride + 1, (W - 2) // stride + 1)."""
        if self.by_patches and fused.serve(images):
            patches = fused.patches(images, PATCH, self.conv.stride[0])
            return fused.maps(F.linear(patches, self.conv.weight.flatten(1), self.conv.bias))
        whitened: torch.Tensor = self.conv(images)
        return whitened

    @torch.no_grad()
    def whiten(self, images: torch.Tensor) -> None:
        """Sets the filters to the whitening transform of the patches of `images` (B, C, H, W)."""
        filters = whitening_filters(images).to(self.conv.weight)
        self.conv.weight.copy_(torch.cat([filters, -filters]))


def whitening_filters(images: torch.Tensor) -> torch.Tensor:
    """Filters float32 (4 C, C, 2, 2) whose responses to the patches of `images` are white.

    Eigenvectors of the patches' second moments, largest first, over the root of their eigenvalues
    (plus a floor). Directions without variance (grey images in three channels have many) give way
    to a second copy of the others: a channel that is always 0 has no variance, and six norms on
    its identities' way would multiply its gradient by 1 / sqrt(eps) each.
    """
    size = images.shape[1] * PATCH**2
    moments = torch.zeros(size, size, dtype=torch.float64)
    products, count = [], 0
    for chunk in torch.split(images, 64):  # images; all at once would take 12 times their memory
        patches = F.unfold(chunk.float(), PATCH).transpose(0, 1).flatten(1)  # (4 C, b h w)
        products.append(patches @ patches.T)
        count += patches.shape[1]
    for product in torch.stack(products).cpu():  # a GPU is waited for once
        moments += product.double()
    eigenvalues, eigenvectors = torch.linalg.eigh(moments / count)
    scaled = eigenvectors.T / (eigenvalues[:, None] + EIGENVALUE_FLOOR).sqrt()
    varied = max(1, int((eigenvalues > FLAT).sum()))
    largest_first = scaled.flip(0)[torch.arange(size) % varied]
    filters: torch.Tensor = largest_first.float().view(size, images.shape[1], PATCH, PATCH)
    return filters


class Group(nn.Module):
    """[conv, pool, norm, act], then [conv, norm, act] for each further convolution.

    Args:
        inputs: channels of the input.
        norms: a norm for each convolution; their number and width are the group's.
        activation: after each norm.
        residual: adds the first activation to the last norm's output.
    """

    def __init__(
        self, inputs: int, norms: list[nn.BatchNorm2d], activation: nn.Module, residual: bool
    ) -> None:
        super().__init__()
        widths = [inputs] + [norm.num_features for norm in norms]
        self.convs = nn.ModuleList(map(Conv3x3, widths[:-1], widths[1:]))
        self.norms = nn.ModuleList(norms)
        self.activation = activation
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, width, H // 2, W // 2)."""
        pairs = list(zip(self.convs, self.norms, strict=True))
        layers = cast("list[tuple[nn.Conv2d, nn.BatchNorm2d]]", pairs)
        first = x = conv_norm_act(x, *layers[0], self.activation, pooled=is_pooled(x))
        for k, layer in enumerate(layers[1:], 2):
            plus = first if self.residual and k == len(layers) else None
            x = conv_norm_act(x, *layer, self.activation, plus=plus)
        return x


def is_pooled(x: torch.Tensor) -> bool:
    """Whether a group halves the sides of a map; too small ones it does not."""
    return min(x.shape[2:]) >= SMALLEST_POOLED


class Convnet(nn.Module):
    """Whitening stem, three groups of 3x3 convolutions, global max-pooling, a head without bias.

    Args:
        shape: (C, H, W) of an image.
        classes: number of logits.
        widths: channels of the three groups.
        convs: 3x3 convolutions per group.
        residual: a group's first output is added to its last.
        stem_stride: 1 or 2; auto: 2 where images have the pixels for it.
        whitening: the stem is frozen, to be set by `calibrate`; else it is a trained convolution
            with norm.
        stem_bias: a bias for each channel of the frozen stem is trained; else they are fixed, so
            that no gradient has to pass the first 3x3 convolution.
        dirac: each 3x3 convolution starts as the identity on as many channels as it can.
        scaled_head: head weights start with deviation 1 and logits are divided by the width.
        norm_weight: BatchNorm weights are trained as well as the biases.
        norm_momentum: share of a batch in the running statistics.
        activation: a name in `ACTIVATIONS`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, int, int] = (64, 128, 128),
        convs: int = 2,
        residual: bool = False,
        stem_stride: int | Literal["auto"] = "auto",
        whitening: bool = True,
        stem_bias: bool = False,
        dirac: bool = True,
        scaled_head: bool = True,
        norm_weight: bool = False,
        norm_momentum: float = 0.4,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        stride = stem_stride
        if stride == "auto":
            stride = 2 if min(shape[1:]) >= STRIDE_SIDE else 1
        norm = partial(batch_norm, momentum=norm_momentum, weight=norm_weight)
        act = ACTIVATIONS[activation]()
        self.stem = (
            WhiteningStem(shape[0], stride, stem_bias)
            if whitening
            else plain_stem(shape[0], stride, norm)
        )
        self.activation = act
        self.stem_pools = max(0, ceil(log2(max(shape[1:]) / STEM_SIDE)))
        inputs = [stem_filters(shape[0]), *widths]
        self.groups = nn.Sequential(
            *(
                Group(inputs[k], [norm(width) for _ in range(convs)], act, residual)
                for k, width in enumerate(widths)
            )
        )
        first = next(m for m in self.groups.modules() if isinstance(m, nn.Conv2d))
        self.lays_out = fused.knows_conv(first) and fused.knows_activation(act)
        if isinstance(self.stem, WhiteningStem):
            self.stem.by_patches = self.lays_out and not self.stem_pools
        self.head = nn.Linear(widths[-1], classes, bias=False)
        self.head_factor = 1 / widths[-1] if scaled_head else 1.0
        self._initialize(dirac, scaled_head)

    @torch.no_grad()
    def _initialize(self, dirac: bool, scaled_head: bool) -> None:
        if dirac:
            start_as_identity(self.groups)
        if scaled_head:
            self.head.weight /= self.head.weight.std()

    def calibrate(self, images: torch.Tensor) -> None:
        """Sets the whitening stem, if there is one, from normalized images (B, C, H, W)."""
        if isinstance(self.stem, WhiteningStem):
            self.stem.whiten(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, classes) of normalized images, float (B, C, H, W)."""
        x = self.activation(self.stem(as_weights(images, self.head.weight)))
        for _ in range(self.stem_pools):
            x = F.max_pool2d(x, 2)
        if self.lays_out:
            x = fused.laid_out(x)
        x = self.groups(x)
        x = F.max_pool2d(x, tuple(x.shape[2:])).flatten(1)
        logits: torch.Tensor = self.head(x) * self.head_factor
        return logits.float()


def batch_norm(width: int, *, momentum: float, weight: bool) -> nn.BatchNorm2d:
    """A BatchNorm whose bias is trained, and its weight if `weight` says so."""
    layer = nn.BatchNorm2d(width, momentum=momentum)
    layer.weight.requires_grad_(weight)
    return layer


def plain_stem(channels: int, stride: int, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """A trained convolution of as many channels as the whitening stem's, and its norm."""
    outputs = stem_filters(channels)
    conv = nn.Conv2d(channels, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, norm(outputs))


@torch.no_grad()
def start_as_identity(net: nn.Module) -> None:
    """Makes the first min(inputs, outputs) filters of each convolution pass their channel on."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight[: module.in_channels])
