"""Lightning's own CIFAR-10 recipe, on the images of the other racers.

After the "CIFAR10 ~94% baseline" of its tutorials: torchvision's ResNet-18 with a 3x3 stem and no
pooling after it, batches of 64 (256 where CUDA is), random crops and flips, SGD 0.05 with momentum
0.9 and weight decay 5e-4, one cycle to 0.1 over 30 epochs; float32, as Lightning does by default.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.data import DataLoader

from bench.plain_loop import loaders, score
from bench.racers import OnPoint
from fallline.data import load

BATCH, EPOCHS, SCORES_PER_EPOCH = 64, 30, 8  # on a CPU


def resnet18() -> nn.Module:
    """torchvision's, for small images."""
    model: nn.Module = torchvision.models.resnet18(weights=None, num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


class Recipe(L.LightningModule):
    """The training step and its schedule."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.model = resnet18()
        self.steps = steps

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        inputs, labels = batch
        return F.cross_entropy(self.model(inputs), labels)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


class Scores(L.Callback):
    """Scores the test split several times an epoch, its clock stopped."""

    def __init__(self, due: int, test: DataLoader[Any], on_point: OnPoint) -> None:
        self.due, self.test, self.on_point = due, test, on_point
        self.clock = 0.0

    def on_train_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        if (index + 1) % self.due == 0:
            self.clock += time.perf_counter() - self.began
            trainer.should_stop = self.on_point(self.clock, score(module.model, self.test))
            self.began = time.perf_counter()


def run(data: str, seed: int, on_point: OnPoint) -> None:
    """Trains 30 epochs or until told to stop."""
    warnings.filterwarnings("ignore")  # Lightning advises on workers and logging
    L.seed_everything(seed, verbose=False)
    small, test = loaders(load(data))
    train = DataLoader(
        small.dataset, BATCH, shuffle=True, num_workers=small.num_workers, persistent_workers=True
    )
    trainer = L.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Scores(len(train) // SCORES_PER_EPOCH, test, on_point)],
    )
    trainer.fit(Recipe(EPOCHS * len(train)), train)
