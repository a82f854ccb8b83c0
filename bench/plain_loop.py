"""The loop most people write: DataLoader, torchvision transforms, SGD, float32.

The images are in memory as `torchvision.datasets.CIFAR10` would hold them, and become PIL images
one by one as it makes them, so that no time goes into decoding JPEG. A worker per core, batches of
128, cross-entropy, momentum 0.9, weight decay 5e-4; a constant rate, or one cycle that ends at
zero after a length chosen in advance.

python -m bench.plain_loop DATA EPOCHS PEAK_LR SEED     one such cycle: seconds, and accuracy
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.racers import OnPoint
from fallline.data import load
from fallline.data.imageset import ImageSet, Split
from fallline.machine import usable_cores

BATCH, SCORES_PER_EPOCH = 128, 2
WORKERS = usable_cores()
LR, PEAK_LR, CYCLE = 0.01, 0.05, 2.0  # constant; of a cycle; epochs of one that reaches 70 %


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """A split as torchvision's sets are: a PIL image and a label for an index."""

    def __init__(self, split: Split, transform: Any) -> None:
        self.images, self.labels = split.images[split.rows], split.targets
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def loaders(images: ImageSet) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Batches to train on, cropped and flipped at random, and batches to score."""
    assert images.test is not None
    plain = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
    random = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train = Pictures(images.train, transforms.Compose(random + plain))
    test = Pictures(images.test, transforms.Compose(plain))
    return (
        DataLoader(train, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True),
        DataLoader(test, 1000),
    )


def net() -> nn.Module:
    """Three times [convolution, BatchNorm, ReLU, pooling], and a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 64), (64, 128), (128, 256)):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, 10))


def score(model: nn.Module, batches: DataLoader[Any]) -> float:
    """Share of images classified right."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, labels in batches:
            right += int((model(inputs).argmax(1) == labels).sum())
            count += len(labels)
    model.train()
    return right / count


def run(
    data: str, seed: int, on_point: OnPoint, epochs: float | None = None, peak: float = PEAK_LR
) -> None:
    """Trains until told to stop, or through one cycle; the clock stands still while scoring."""
    torch.manual_seed(seed)
    train, test = loaders(load(data))
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), LR, momentum=0.9, weight_decay=5e-4)
    steps = round(epochs * len(train)) if epochs else None
    cycle = steps and OneCycleLR(optimizer, peak, total_steps=steps)
    # A cycle is scored at its end, where it is at its best: as often as `fast70`.
    clock, due = 0.0, steps or len(train) // SCORES_PER_EPOCH
    began = time.perf_counter()
    step = 0
    for _ in itertools.count():
        for inputs, labels in train:
            loss = F.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            if cycle:
                cycle.step()
            if step % due == 0:
                clock += time.perf_counter() - began
                if on_point(clock, score(model, test)) or step == steps:
                    return
                began = time.perf_counter()


def cycle(data: str, seed: int, on_point: OnPoint) -> None:
    """The same loop with the shortest cycle found that reaches 70 % (docs/log.md)."""
    run(data, seed, on_point, CYCLE)


def main(data: str, epochs: str, peak: str, seed: str) -> None:
    """Runs one cycle and prints what it came to."""
    from fallline.training.threads import set_threads

    set_threads(0)

    def on_point(seconds: float, accuracy: float) -> bool:
        print(f"{epochs} epochs, peak {peak}, seed {seed}: {accuracy:.2%} in {seconds:.0f} s")
        return True

    run(data, int(seed), on_point, float(epochs), float(peak))


if __name__ == "__main__":
    main(*sys.argv[1:])
