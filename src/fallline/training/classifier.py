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
from fallline.data.decode import ACCEPTED, Plan, decode
from fallline.errors import DataError
from fallline.optim.random_numbers import rewound
from fallline.records import RunFolder
from fallline.track.terminal import tell
from fallline.training import checkpoint
from fallline.training.assemble import build_model
from fallline.training.device import pick_device
from fallline.training.evaluate import Evaluation, evaluate
from fallline.training.losses import LOSSES
from fallline.training.resolve import read_config
from fallline.training.state import judged_weights


@dataclass(frozen=True)
class Prediction:
    """The classes of one image, likeliest first, with their probabilities."""

    file: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


class Classifier:
    """A run's network with the weights of its last checkpoint, averaged ones where it has them.

    Computes in fp32 (cuDNN convolves in TF32 where a GPU has it) on `device`: cpu, mps, cuda,
    cuda:1 and so on, or auto for the best there is.
    Raises RunError if the folder is no run, ConfigError if its config is none, CheckpointError if
    it holds no weights, DeviceError if there is no such device.
    """

    def __init__(self, path: str | Path, *, device: str = "auto") -> None:
        folder = RunFolder.open(path)
        facts = folder.read_environment()["data"]
        self.config = read_config(folder)
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])
        self.mean, self.std = tuple(facts["mean"]), tuple(facts["std"])
        self.fingerprint: str = facts["fingerprint"]
        self.device = pick_device(device)
        self._loss = LOSSES[self.config.train.loss]
        self._normalize = Normalize(
            self.mean, self.std, (*self.shape[1:], self.shape[0]), self.device, torch.float32
        )
        self.model = self._load(folder)

    def predict(self, files: Sequence[str | Path]) -> list[Prediction]:
        """Classifies image files. Raises DataError naming those that are no images."""
        predictions, error = self.classify(files)
        if error is not None:
            raise error
        return predictions

    def classify(self, files: Sequence[str | Path]) -> tuple[list[Prediction], DataError | None]:
        """The predictions of those files that are images, and the error that names the others."""
        channels, height, width = self.shape
        plan = Plan((height, width), channels)
        at_once = self.config.train.eval_batch_size
        predictions: list[Prediction] = []
        faults: list[str] = []
        for start in range(0, len(files), at_once):
            part = files[start : start + at_once]
            chunk = decode([Path(file) for file in part], plan)
            faults += [f"{part[at]}: {why}" for at, why in chunk.faults.items()]
            good = [file for at, file in enumerate(part) if at not in chunk.faults]
            if good:
                predictions += map(self._prediction, good, self._probabilities(chunk.pixels))
        if not faults:
            return predictions, None
        return predictions, DataError(
            "cannot read the image",
            seen="\n        ".join(faults),
            allowed=f"{ACCEPTED} files",
            next="name the files themselves, as in FOLDER/*.jpg; convert other formats",
        )

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
                    next="name images like those the run was trained on: --data PATH",
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
        loss = partial(self._loss.value, smoothing=0.0, reduction="none")
        plain = partial(torch.autocast, self.device.type, enabled=False)
        return evaluate(self.model, batches.epoch(0), loss, autocast=plain, tta=tta)

    def _load(self, folder: RunFolder) -> nn.Module:
        loaded = checkpoint.load_latest(folder.checkpoints)
        for line in loaded.damaged:
            tell(line)
        state = loaded.state
        with rewound(torch.device("cpu")):  # it is no business of whoever trains on
            model: nn.Module = build_model(self.config, self.shape, len(self.classes))
        model.load_state_dict(judged_weights(state))
        return model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]

    def _probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Of each class, (B, classes), for uint8 (B, H, W, C)."""
        with torch.inference_mode():
            logits = self.model(self._normalize(torch.from_numpy(pixels).to(self.device)))
            return self._loss.probabilities(logits).cpu().numpy()

    def _prediction(self, file: str | Path, probabilities: np.ndarray) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")
        return Prediction(
            str(file),
            tuple(self.classes[at] for at in order),
            tuple(float(probabilities[at]) for at in order),
        )
