"""The arguments of each optimizer that people may set, with types, ranges and defaults.

Names are torch's. Left out are the arguments that choose a kernel (`fused`, `foreach`,
`capturable`, `differentiable`), which `build` sets, and `maximize`.

Default rates are starting points, not tuned values: the best of one to three tried on the convnet
32/64/64 (stride 2, without dirac), two epochs of 15,000 images of a JPEG copy of CIFAR-10, batches
of 250, linear to 0, bf16, one seed, 2,500 validation images (1 point of noise). Not tried: Rprop,
L-BFGS and torch's Muon. SGD's is the field's usual one, Muon's options are airbench94_muon's
(https://github.com/KellerJordan/cifar10-airbench), rho is the papers'.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fallline.config import Count, NonNegative, Positive, Section

Below1 = Annotated[float, Field(ge=0, lt=1)]

Lr = Annotated[Positive, Field(description="peak learning rate")]
L2 = Annotated[NonNegative, Field(description="L2 term in the gradient")]
Decoupled = Annotated[NonNegative, Field(description="a step shrinks weights by lr times it")]
L2OrDecoupled = Annotated[NonNegative, Field(description="see decoupled_weight_decay")]
AsAdamW = Annotated[bool, Field(description="weight_decay is AdamW's instead of an L2 term")]
Momentum = Annotated[Below1, Field(description="share of the mean gradient kept by a step")]
Velocity = Annotated[Below1, Field(description="share of the velocity kept by a step")]
Betas = Annotated[
    tuple[Below1, Below1],
    Field(description="shares kept by a step of the mean gradient, of its mean square"),
]
Eps = Annotated[Positive, Field(description="added to the root that gradients are divided by")]
Amsgrad = Annotated[bool, Field(description="divide by the largest mean square so far")]
Nesterov = Annotated[bool, Field(description="look ahead by one more step of the momentum")]
NsSteps = Annotated[
    int, Field(ge=1, le=20, description="Newton-Schulz iterations that orthogonalize an update")
]
SHAPE = "factor on lr by a matrix's shape; match_rms_adamw: to be searched like AdamW's"
Base = Annotated[
    str, Field(description="optimizer that takes the steps; its settings stand beside these")
]


class Rate(Section):
    """What every optimizer takes."""

    lr: Lr


class Decayed(Rate):
    """With weight decay: an L2 term in the gradient, or decoupled where the paper says so."""

    weight_decay: L2 = 0.0


class SGD(Decayed):
    """Options of `sgd`."""

    lr: Lr = 0.1
    weight_decay: L2 = 5e-4
    momentum: Velocity = 0.9
    dampening: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the gradient that momentum does not take in"
    )
    nesterov: bool = Field(
        True, description="look ahead by the momentum, where that is above 0 and dampening 0"
    )


class Adam(Decayed):
    """Options of `adam`."""

    lr: Lr = 3e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    amsgrad: Amsgrad = False


class AdamW(Adam):
    """Options of `adamw`."""

    weight_decay: Decoupled = 0.01


class NAdam(Decayed):
    """Options of `nadam`."""

    lr: Lr = 3e-3
    weight_decay: L2OrDecoupled = 0.0
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    momentum_decay: NonNegative = Field(
        4e-3, description="how fast momentum rises from half of the first beta to all of it"
    )
    decoupled_weight_decay: AsAdamW = False


class RAdam(Decayed):
    """Options of `radam`."""

    lr: Lr = 0.01
    weight_decay: L2OrDecoupled = 0.0
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    decoupled_weight_decay: AsAdamW = False


class Adamax(Decayed):
    """Options of `adamax`."""

    lr: Lr = 5e-3
    betas: tuple[Below1, Below1] = Field(
        (0.9, 0.999), description="shares kept by a step of the mean gradient, of its largest size"
    )
    eps: Positive = Field(1e-8, description="added to the size that gradients are divided by")


class Adagrad(Decayed):
    """Options of `adagrad`."""

    lr: Lr = 0.03
    lr_decay: NonNegative = Field(0.0, description="after t steps lr is divided by 1 + t times it")
    initial_accumulator_value: NonNegative = Field(
        0.0, description="sum of squared gradients at the start"
    )
    eps: Eps = 1e-10


class Adadelta(Decayed):
    """Options of `adadelta`."""

    lr: Lr = 1.0
    rho: Below1 = Field(0.9, description="share of both mean squares kept by a step")
    eps: Positive = Field(1e-6, description="added below both roots: the larger, the bolder")


class RMSprop(Decayed):
    """Options of `rmsprop`."""

    lr: Lr = 1e-3
    alpha: Below1 = Field(0.99, description="share of the mean square kept by a step")
    eps: Eps = 1e-8
    momentum: Velocity = 0.0
    centered: bool = Field(
        False, description="divide by the deviation, not the mean square's root"
    )


class ASGD(Decayed):
    """Options of `asgd`."""

    lr: Lr = 0.5
    lambd: NonNegative = Field(
        1e-4,
        description="shrinks weights, and their lr in the course of steps; 0 for norms and biases",
    )
    alpha: NonNegative = Field(0.75, description="power by which lr falls")
    t0: Positive = Field(1e6, description="step from which weights are averaged")


class Rprop(Rate):
    """Options of `rprop`."""

    lr: Annotated[Positive, Field(description="size of the first step")] = 1e-4
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]] = Field(
        (0.5, 1.2), description="factors on a step where the gradient's sign turned, where not"
    )
    step_sizes: tuple[Positive, Positive] = Field(
        (1e-6, 50.0), description="the smallest and the largest"
    )


class Adafactor(Decayed):
    """Options of `adafactor`."""

    lr: Lr = 0.03
    weight_decay: Decoupled = 0.0
    beta2_decay: Annotated[float, Field(le=0, allow_inf_nan=False)] = Field(
        -0.8, description="step t keeps 1 - t to the power of it of the mean square"
    )
    eps: tuple[Positive | None, Positive] = Field(
        (None, 1e-3),
        description="least mean square (null: the number type's), least size of weights that a "
        "step is relative to",
    )
    d: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        1.0, description="root mean square that an update is clipped to"
    )


class LBFGS(Rate):
    """Options of `lbfgs`."""

    lr: Lr = 1.0
    max_iter: Count = Field(4, description="iterations in a step")
    max_eval: Count | None = Field(None, description="gradients in a step; null: max_iter * 5/4")
    tolerance_grad: NonNegative = Field(
        1e-7, description="a step ends where no gradient is larger"
    )
    tolerance_change: NonNegative = Field(
        1e-9, description="a step ends where loss or weights change by less"
    )
    history_size: Count = Field(10, description="updates by which the curvature is estimated")
    line_search_fn: Literal["strong_wolfe"] | None = Field(
        "strong_wolfe", description="finds how far an iteration goes; null: lr each time"
    )


class Muon(Decayed):
    """Options of `muon`; those of the second optimizer start with `rest_`."""

    lr: Lr = 0.24
    weight_decay: Decoupled = 0.0
    momentum: Momentum = 0.6
    nesterov: Nesterov = True
    ns_steps: NsSteps = 3
    adjust_lr_fn: Literal["original", "match_rms_adamw", "none"] = Field(
        "original", description=SHAPE
    )
    normalize_filters: bool = Field(
        True, description="rescale filters before each step, which undoes their weight_decay"
    )
    rest: Literal["adamw", "sgd"] = Field(
        "adamw", description="optimizer of the head, norms and biases"
    )


class TorchMuon(Decayed):
    """Options of `torch_muon`; those of the second optimizer start with `rest_`."""

    lr: Lr = 0.02
    weight_decay: Decoupled = 0.0
    momentum: Momentum = 0.95
    nesterov: Nesterov = True
    ns_steps: NsSteps = 5
    eps: Annotated[Positive, Field(description="least norm that an update is divided by")] = 1e-7
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = Field("original", description=SHAPE)
    rest: Literal["adamw", "sgd"] = Field(
        "adamw", description="optimizer of filters, the head, norms and biases"
    )


class SAM(Section):
    """Options of `sam`, beside those of its base."""

    rho: Positive = Field(0.05, description="radius of the neighbourhood, of all weights together")
    base: Base = "sgd"


class ASAM(Section):
    """Options of `asam`, beside those of its base."""

    rho: Positive = Field(0.5, description="radius of the neighbourhood, relative to the weights")
    eta: NonNegative = Field(
        0.01, description="added to a weight's size, so that small ones move too"
    )
    base: Base = "sgd"
