"""What was trained, ready to use: the weights a run is judged by, and how its images are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fallline.data import ImageSet, Split
from fallline.data.batches import Batches, Normalize
from fallline.data.decode import Plan, decode
from fallline.errors import DataError
from fallline.records import RunFolder
from fallline.training import checkpoint
from fallline.training.assemble import build_model
from fallline.training.device import pick_device
from fallline.training.evaluate import Evaluation, evaluate
from fallline.training.losses import LOSSES
from fallline.training.resolve import read_config


@dataclass(frozen=True)
class Prediction:
    """The classes of one image, likeliest first, with their probabilities."""

    file: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


class Classifier:
    """A run's network with the weights of its last checkpoint, averaged ones where it has them.

    Computes in fp32. Raises RunError if the folder is no run, CheckpointError if it holds no
    weights.
    """

    def __init__(self, path: str | Path, *, device: str = "auto") -> None:
        folder = RunFolder.open(path)
        facts = folder.read_environment()["data"]
        self.config = read_config(folder)
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])
        self.mean, self.std = tuple(facts["mean"]), tuple(facts["std"])
        self.device = pick_device(device)
        self.model = self._load(folder)

    def predict(self, files: Sequence[str | Path]) -> list[Prediction]:
        """Classifies image files. Raises DataError naming those that are no images."""
        channels, height, width = self.shape
        chunk = decode([Path(file) for file in files], Plan((height, width), channels))
        if chunk.faults:
            named = [f"{files[at]}: {why}" for at, why in chunk.faults.items()]
            raise DataError("cannot read the image", seen="\n        ".join(named))
        normalize = Normalize(
            self.mean, self.std, (height, width, channels), self.device, torch.float32
        )
        with torch.inference_mode():
            logits = self.model(normalize(torch.from_numpy(chunk.pixels).to(self.device)))
        return [
            self._prediction(str(file), row)
            for file, row in zip(files, logits.softmax(dim=1).cpu().numpy(), strict=True)
        ]

    def evaluate(self, images: ImageSet, split: Split, *, tta: str = "off") -> Evaluation:
        """Scores a split of an image set with the same classes. Raises DataError for others."""
        for what, seen, wanted in (
            ("classes", images.classes, self.classes),
            ("shape", images.shape, self.shape),
        ):
            if seen != wanted:
                raise DataError(
                    f"the image set has other {what} than the run",
                    seen=", ".join(map(str, seen[:10])),
                    allowed=", ".join(map(str, wanted[:10])),
                )
        batches = Batches(
            split,
            classes=len(self.classes),
            mean=self.mean,
            std=self.std,
            batch_size=self.config.train.eval_batch_size,
            device=self.device,
            dtype=torch.float32,
        )
        loss = partial(LOSSES[self.config.train.loss], smoothing=0.0, reduction="none")
        plain = partial(torch.autocast, self.device.type, enabled=False)
        return evaluate(self.model, batches.epoch(0), loss, autocast=plain, tta=tta)

    def _load(self, folder: RunFolder) -> nn.Module:
        state = checkpoint.load_latest(folder.checkpoints).state
        model: nn.Module = build_model(self.config, self.shape, len(self.classes))
        averaged = state["ema"]["mean"] if state["ema"] else {}
        model.load_state_dict({**state["model"], **averaged})
        return model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]

    def _prediction(self, file: str, probabilities: np.ndarray) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")
        return Prediction(
            file,
            tuple(self.classes[at] for at in order),
            tuple(float(probabilities[at]) for at in order),
        )
