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
Betas = tuple[Below1, Below1]


class Rate(Section):
    """What every optimizer takes."""

    lr: Positive


class Decayed(Rate):
    """With weight decay: an L2 term in the gradient, or decoupled where the paper says so."""

    weight_decay: NonNegative = 0.0


class SGD(Decayed):
    """Options of `sgd`."""

    lr: Positive = 0.1
    weight_decay: NonNegative = 5e-4
    momentum: Below1 = 0.9
    dampening: Annotated[float, Field(ge=0, le=1)] = 0.0
    nesterov: bool = Field(True, description="where momentum is above 0 and dampening 0")


class Adam(Decayed):
    """Options of `adam`."""

    lr: Positive = 3e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    amsgrad: bool = False


class AdamW(Adam):
    """Options of `adamw`."""

    weight_decay: NonNegative = 0.01


class NAdam(Decayed):
    """Options of `nadam`."""

    lr: Positive = 3e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False


class RAdam(Decayed):
    """Options of `radam`."""

    lr: Positive = 0.01
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decoupled_weight_decay: bool = False


class Adamax(Decayed):
    """Options of `adamax`."""

    lr: Positive = 5e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8


class Adagrad(Decayed):
    """Options of `adagrad`."""

    lr: Positive = 0.03
    lr_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: Positive = 1e-10


class Adadelta(Decayed):
    """Options of `adadelta`."""

    lr: Positive = 1.0
    rho: Below1 = 0.9
    eps: Positive = 1e-6


class RMSprop(Decayed):
    """Options of `rmsprop`."""

    lr: Positive = 1e-3
    alpha: Below1 = 0.99
    eps: Positive = 1e-8
    momentum: Below1 = 0.0
    centered: bool = False


class ASGD(Decayed):
    """Options of `asgd`."""

    lr: Positive = 0.5
    lambd: NonNegative = 1e-4
    alpha: NonNegative = 0.75
    t0: Positive = 1e6


class Rprop(Rate):
    """Options of `rprop`."""

    lr: Positive = 1e-4
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]] = (0.5, 1.2)
    step_sizes: tuple[Positive, Positive] = (1e-6, 50.0)


class Adafactor(Decayed):
    """Options of `adafactor`."""

    lr: Positive = 0.03
    beta2_decay: Annotated[float, Field(le=0, allow_inf_nan=False)] = -0.8
    eps: tuple[Positive | None, Positive] = (None, 1e-3)
    d: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0


class LBFGS(Rate):
    """Options of `lbfgs`."""

    lr: Positive = 1.0
    max_iter: Count = 4
    max_eval: Count | None = None
    tolerance_grad: NonNegative = 1e-7
    tolerance_change: NonNegative = 1e-9
    history_size: Count = 10
    line_search_fn: Literal["strong_wolfe"] | None = "strong_wolfe"


class Muon(Decayed):
    """Options of `muon`; those of the second optimizer start with `rest_`."""

    lr: Positive = 0.24
    momentum: Below1 = 0.6
    nesterov: bool = True
    ns_steps: Annotated[int, Field(ge=1, le=20)] = 3
    adjust_lr_fn: Literal["original", "match_rms_adamw", "none"] = "original"
    normalize_filters: bool = Field(
        True, description="before each step, so that weight_decay bears on matrices and the head"
    )
    rest: Literal["adamw", "sgd"] = "adamw"


class TorchMuon(Decayed):
    """Options of `torch_muon`; those of the second optimizer start with `rest_`."""

    lr: Positive = 0.02
    momentum: Below1 = 0.95
    nesterov: bool = True
    ns_steps: Annotated[int, Field(ge=1, le=20)] = 5
    eps: Positive = 1e-7
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original"
    rest: Literal["adamw", "sgd"] = "adamw"


class SAM(Section):
    """Options of `sam`, beside those of its base."""

    rho: Positive = 0.05
    base: str = "sgd"


class ASAM(Section):
    """Options of `asam`, beside those of its base."""

    rho: Positive = 0.5
    eta: NonNegative = 0.01
    base: str = "sgd"
