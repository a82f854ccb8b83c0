"""All that the rest of a run depends on: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import torch

from fallline.errors import CheckpointError
from fallline.records import RunFolder
from fallline.training.job import Job
from fallline.training.progress import Progress

FORMAT = 1
_BESIDE_THE_WEIGHTS = ("checkpoint_seconds", "keep_weights")


def state_of(job: Job, progress: Progress, digest: str) -> dict[str, Any]:
    """All that the rest of the run depends on, as tensors and plain values.

    `digest` is that of the run's config.
    """
    return {
        "format": FORMAT,
        "model": job.model.state_dict(),
        "judged": _judged(job),
        "optimizer": job.optimizer.state_dict(),
        "ema": job.ema.state_dict() if job.ema else None,
        "proxy": job.proxy.state_dict() if job.proxy else None,
        "progress": progress.state_dict(),
        "random": _random_state(job.device),
        "config": digest,
        "fingerprint": job.images.fingerprint,
    }


def judged_weights(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Of a checkpoint's state, the weights its run is judged by: averaged where there are any."""
    averaged = state["ema"]["mean"] if state["ema"] else state["judged"]
    return {**state["model"], **averaged}


def restore(job: Job, progress: Progress, state: dict[str, Any], folder: RunFolder) -> None:
    """Puts a job where a checkpoint's state left it. Raises CheckpointError if it is another's."""
    if state.get("format") != FORMAT:
        raise CheckpointError(
            "the checkpoint is of another version of fallline",
            seen=f"format {state.get('format')}, not {FORMAT}",
            next="go on with the version in environment.json, or start a new run",
        )
    digest = config_digest(folder)
    if state["config"] not in (digest, config_digest(folder, with_name=True)):
        raise _another("config.json", digest, state["config"])
    check_images(job.images.fingerprint, state["fingerprint"])
    job.model.load_state_dict(state["model"])
    job.optimizer.load_state_dict(state["optimizer"])
    if job.ema:
        job.ema.load_state_dict(state["ema"])
    if job.proxy:
        job.proxy.load_state_dict(state["proxy"])
    progress.load_state_dict(state["progress"])
    _set_random_state(state["random"], job.device)


def check_images(here: str, before: str) -> None:
    """Raises CheckpointError where the fingerprint of the images is another than it was."""
    if here != before:
        raise _another("the image set", here, before)


def _another(noun: str, here: str, before: str) -> CheckpointError:
    return CheckpointError(
        f"{noun} is not what the run was started with",
        seen=f"{here[:12]}, not {before[:12]}",
        next=f"bring {noun} back as it was, or start a new run",
    )


def config_digest(folder: RunFolder, *, with_name: bool = False) -> str:
    """A digest of all settings that bear on weights; where measurements go does not.

    It is of config.json as it was written: a setting that a later version adds does not change it.
    `with_name` is the digest of checkpoints that were written before images could be moved.
    """
    config = folder.read_config()
    train = {k: v for k, v in config.get("train", {}).items() if k not in _BESIDE_THE_WEIGHTS}
    data = {k: v for k, v in config.get("data", {}).items() if with_name or k != "name"}
    bearing = {k: v for k, v in config.items() if k != "track"} | {"train": train, "data": data}
    return hashlib.sha256(json.dumps(bearing, sort_keys=True).encode()).hexdigest()


def _judged(job: Job) -> dict[str, torch.Tensor]:
    """The weights that the optimizer averages, which are nowhere in its state as such."""
    if not job.averages:
        return {}
    with job.judged_weights():
        return {name: value.clone() for name, value in job.model.state_dict().items()}


def _random_state(device: torch.device) -> dict[str, Any]:
    own = None
    if device.type == "cuda":
        own = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        own = torch.mps.get_rng_state()
    return {"torch": torch.get_rng_state(), "device": own, "python": random.getstate()}


def _set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["device"], device)
    elif state["device"] is not None and device.type == "mps":
        torch.mps.set_rng_state(state["device"])
    random.setstate(state["python"])
