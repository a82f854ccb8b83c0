"""What a run ran on and with: the content of environment.json."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from fallline.command import command_line
from fallline.machine import cpu_flags
from fallline.models import fused
from fallline.models.kernels import serving
from fallline.training.device import device_name
from fallline.training.job import Job

_TOLD = ("fallline", "torch", "numpy", "torchvision", "pytorch_optimizer")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def describe(job: Job, origins: dict[str, str]) -> dict[str, Any]:
    """Versions, device, CPU flags, data, command and where each setting came from."""
    return _sitting(job) | {
        "data": _data(job),
        "parameters": sum(p.numel() for p in job.model.parameters()),
        "origins": origins,
    }


def describe_again(job: Job, before: dict[str, Any]) -> dict[str, Any]:
    """What was told of a run before, and versions, device and command of one that goes on."""
    return before | {"resumed": [*before.get("resumed", []), _sitting(job)]}


def why_rounded_otherwise(told: dict[str, Any]) -> Iterator[str]:
    """Why a run that goes on will not end as if it had never been stopped, to the bit."""
    before, now = [told, *told["resumed"]][-2:]
    if now["threads"] != before["threads"]:
        yield f"CPU threads: {now['threads']}, not {before['threads']} as before"
    had = before.get("kernels")
    if had is not None and had != now["kernels"]:
        yield f"kernels for this CPU: {now['kernels'] or 'none'}, not {had} as before"


def _sitting(job: Job) -> dict[str, Any]:
    flags = cpu_flags()
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "device": str(job.device),
        "device_name": device_name(job.device),
        "precision": job.config.train.precision,
        "threads": torch.get_num_threads(),
        "cpu_flags": [flag for flag in _FLAGS if flag in flags],
        "kernels": serving() if suits_kernels(job) else None,
        "command": command_line(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def suits_kernels(job: Job) -> bool:
    """Whether kernels for the CPU compute some of it, where they are there."""
    batch, proxy = job.feeds.train.batch_size, job.proxy
    nets = [(job.model, proxy.kept(batch)), (proxy.net, batch)] if proxy else [(job.model, batch)]
    return (
        job.device.type == "cpu"
        and job.config.train.precision == "bf16"
        and any(fused.suit(net, images) for net, images in nets)
    )


@cache
def _versions() -> Mapping[str, str]:
    found = {}
    for package in _TOLD:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _data(job: Job) -> dict[str, Any]:
    splits = job.splits
    return {
        "name": job.images.name,
        "fingerprint": job.images.fingerprint,
        "classes": list(job.images.classes),
        "shape": list(job.images.shape),
        "train_images": len(splits.train),
        "val_images": len(splits.val),
        "test_images": len(splits.test) if splits.test else 0,
        "validation": splits.words,
        "mean": list(job.images.mean),
        "std": list(job.images.std),
        "notes": list(job.images.notes),
    }
