"""The one place that reads a config and builds what it names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fallline.config import RunConfig
from fallline.data import ImageSet
from fallline.data.augment import Augment
from fallline.data.batches import Batches
from fallline.errors import ConfigError
from fallline.models.table import MODELS
from fallline.optim.build import build as build_optimizer
from fallline.optim.ema import EMA
from fallline.optim.row import ROLES
from fallline.optim.schedule import factor
from fallline.optim.table import row as optimizer_row
from fallline.registry import load
from fallline.training.device import pick_device
from fallline.training.job import Autocast, Feeds, Job
from fallline.training.losses import LOSSES
from fallline.training.progress import Clock
from fallline.training.proxy import Proxy
from fallline.training.splits import Splits
from fallline.training.step import Step
from fallline.training.threads import on_own_cores, set_threads

CALIBRATION_IMAGES = 5000  # airbench's number for the whitening statistics (Jordan 2024)


def assemble(config: RunConfig, images: ImageSet, splits: Splits, *, fresh: bool) -> Job:
    """Builds everything a settled config names, the model initialized from the seed.

    `fresh` is False where a checkpoint follows, which makes calibration needless.
    """
    train = config.train
    threads = set_threads(train.threads)
    device = pick_device(train.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # what names no device means this one
    autocast = _autocast(device, train.precision)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # the shapes are the same each step
    feeds = _feeds(config, images, splits, device)
    torch.manual_seed(config.seed)
    model = build_model(config, images.shape, len(images.classes))
    _refuse_single_images(model, feeds.train.batch_size, train.hardest, len(splits.train))
    model = model.to(device, memory_format=torch.channels_last)
    compiled = _compiler() if train.compile else _as_it_is
    loss = LOSSES[train.loss].value
    image_loss = partial(loss, smoothing=0.0, reduction="none")
    proxy, calibration = None, Clock(device)
    calibrates = fresh and MODELS[config.model.name].calibrates
    if calibrates and device.type == "cuda":
        model.calibrate(feeds.train.sample(CALIBRATION_IMAGES))  # loads CUDA's libraries, untimed
    with on_own_cores(threads if device.type == "cpu" else 1), calibration.running():
        if calibrates:
            model.calibrate(feeds.train.sample(CALIBRATION_IMAGES))
        if train.hardest < 1:
            proxy = Proxy(
                images.shape,
                len(images.classes),
                share=train.hardest,
                images=feeds.train.sample(CALIBRATION_IMAGES) if fresh else None,
                device=device,
                loss=image_loss,
                autocast=autocast,
                compiled=compiled,
            )
    optimizer = _optimizer(config, model)
    total = max(1, round((train.epochs or 1) * feeds.train.steps_per_epoch))
    total = min(total, train.max_steps or total)
    return Job(
        config=config,
        images=images,
        splits=splits,
        feeds=feeds,
        model=model,
        optimizer=optimizer,
        averages=optimizer_row(config.optim.name).averages,
        ema=EMA(model, train.ema) if train.ema else None,
        proxy=proxy,
        step=Step(
            compiled(model),
            model.parameters(),
            optimizer,
            partial(loss, smoothing=train.label_smoothing, reduction="mean"),
            autocast=autocast,
            clip=train.grad_clip,
        ),
        image_loss=image_loss,
        autocast=autocast,
        device=device,
        total_steps=total,
        lr_factor=_lr_factor(config, total),
        calibration_seconds=calibration.read(),
    )


def _compiler() -> Callable[[Any], Any]:
    """What compiles this job's nets, for one shape of input each."""
    torch.compiler.reset()  # else a ninth net of one class would run uncompiled
    return partial(torch.compile, dynamic=False, fullgraph=True)


def _as_it_is(net: Any) -> Any:
    return net


def _refuse_single_images(model: nn.Module, batch_size: int, share: float, images: int) -> None:
    """BatchNorm has no deviation of one image. Raises ConfigError where a step would see one."""
    kept, size = max(1, round(share * batch_size)), min(max(16, ceil(2 / share)), images)
    if kept == 1 and any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise ConfigError(
            "a step on one image is too small for this model: it has BatchNorm",
            seen=f"batches of {batch_size}" + (f", {share:g} of them kept" if share < 1 else ""),
            allowed="2 images or more",
            next="--set train."
            + (f"batch_size={size}" if round(share * size) > 1 else "hardest=1"),
        )


def build_model(config: RunConfig, shape: tuple[int, int, int], classes: int) -> Any:
    """The network the config names, for images of shape (C, H, W), initialized at random."""
    row = MODELS[config.model.name]
    return load(row.target)(shape, classes, **config.model.options)


def _feeds(config: RunConfig, images: ImageSet, splits: Splits, device: torch.device) -> Feeds:
    make = partial(
        Batches,
        classes=len(images.classes),
        mean=images.mean,
        std=images.std,
        device=device,
        dtype=torch.bfloat16 if config.train.precision == "bf16" else torch.float32,
    )
    scored = partial(make, batch_size=config.train.eval_batch_size)
    return Feeds(
        train=make(
            splits.train,
            batch_size=config.train.batch_size or len(splits.train),
            augment=Augment(**config.data.augment.model_dump()),
            seed=config.seed,
        ),
        val=scored(splits.val),
        test=None if splits.test is None else scored(splits.test),
    )


def _optimizer(config: RunConfig, model: nn.Module) -> torch.optim.Optimizer:
    optim = config.optim
    return build_optimizer(
        optim.name,
        model,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        decay_norm_and_bias=optim.decay_norm_and_bias,
        lr_scale={role: getattr(optim.lr_scale, role) for role in ROLES},
        options=optim.options,
    )


def _lr_factor(config: RunConfig, total_steps: int) -> Callable[[int], float]:
    if not optimizer_row(config.optim.name).scheduled:
        return lambda step: 1.0
    shape = config.schedule.model_dump()
    return partial(factor, shape.pop("name"), total_steps=total_steps, **shape)


def _autocast(device: torch.device, precision: str) -> Autocast:
    bf16 = precision == "bf16"
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=bf16)
