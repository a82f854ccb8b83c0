"""All that the rest of a run depends on: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import torch

from fallline.errors import CheckpointError
from fallline.records import RunFolder
from fallline.training.assemble import Job
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


def restore(job: Job, progress: Progress, state: dict[str, Any], digest: str) -> None:
    """Puts a job where a checkpoint's state left it. Raises CheckpointError if it is another's."""
    if state.get("format") != FORMAT:
        raise CheckpointError(
            "the checkpoint is of another version of fallline",
            seen=f"format {state.get('format')}, not {FORMAT}",
            next="go on with the version in environment.json, or start a new run",
        )
    for what, here in (
        ("config", digest),
        ("fingerprint", job.images.fingerprint),
    ):
        if state[what] != here:
            noun = {"config": "config.json", "fingerprint": "the image set"}[what]
            raise CheckpointError(
                f"{noun} is not what the run was started with",
                seen=f"{here[:12]}, not {state[what][:12]}",
                next=f"bring {noun} back as it was, or start a new run",
            )
    job.model.load_state_dict(state["model"])
    job.optimizer.load_state_dict(state["optimizer"])
    if job.ema:
        job.ema.load_state_dict(state["ema"])
    if job.proxy:
        job.proxy.load_state_dict(state["proxy"])
    progress.load_state_dict(state["progress"])
    _set_random_state(state["random"], job.device)


def config_digest(folder: RunFolder) -> str:
    """A digest of all settings that bear on weights; where measurements go does not.

    It is of config.json as it was written: a setting that a later version adds does not change it.
    """
    config = folder.read_config()
    train = {k: v for k, v in config.get("train", {}).items() if k not in _BESIDE_THE_WEIGHTS}
    data = {k: v for k, v in config.get("data", {}).items() if k != "name"}  # images may move
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
