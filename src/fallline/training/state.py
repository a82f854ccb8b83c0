"""All that the rest of a run depends on: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import torch

from fallline.config import RunConfig
from fallline.errors import CheckpointError
from fallline.training.assemble import Job
from fallline.training.progress import Progress


def state_of(job: Job, progress: Progress) -> dict[str, Any]:
    """All that the rest of the run depends on, as tensors and plain values."""
    return {
        "format": 1,
        "model": job.model.state_dict(),
        "optimizer": job.optimizer.state_dict(),
        "ema": job.ema.state_dict() if job.ema else None,
        "progress": progress.state_dict(),
        "random": _random_state(),
        "config": config_digest(job.config),
        "fingerprint": job.images.fingerprint,
    }


def restore(job: Job, progress: Progress, state: dict[str, Any]) -> None:
    """Puts a job where a checkpoint's state left it. Raises CheckpointError if it is another's."""
    for what, here in (
        ("config", config_digest(job.config)),
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
    progress.load_state_dict(state["progress"])
    _set_random_state(state["random"])


def config_digest(config: RunConfig) -> str:
    """A digest of all settings that bear on weights; where measurements go does not."""
    text = config.model_dump_json(exclude={"track": True, "train": {"checkpoint_seconds"}})
    return hashlib.sha256(text.encode()).hexdigest()


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda, "python": random.getstate()}


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    random.setstate(state["python"])
