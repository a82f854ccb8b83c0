"""Training on the hardest images: which they are, and that only they are trained on."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fallline import train
from fallline.data.batches import Batch
from fallline.errors import ConfigError, Diverged
from fallline.training.losses import cross_entropy
from fallline.training.proxy import Proxy

LOSS = partial(cross_entropy, smoothing=0.0, reduction="none")


def proxy(share: float, images: Tensor, classes: int = 2) -> Proxy:
    torch.manual_seed(0)
    channels, height, width = images.shape[1:]
    return Proxy(
        (channels, height, width),
        classes,
        share=share,
        images=images,
        device=torch.device("cpu"),
        loss=LOSS,
        autocast=nullcontext,
    )


def bright_and_dark(count: int = 64) -> Tensor:
    """Images (count, 1, 12, 12) in turn bright and dark."""
    noise = torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    sign = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0)
    return (noise + 2 * sign.view(-1, 1, 1, 1)).to(memory_format=torch.channels_last)


def test_the_images_with_a_wrong_label_are_hardest_once_it_has_learned_the_rest() -> None:
    images = bright_and_dark()
    labels = torch.arange(len(images)) % 2
    net = proxy(4 / 64, images)
    for _ in range(20):
        net.hardest(Batch(images, labels), 1.0)
    wrong = torch.tensor([3, 20, 33, 50])
    mislabelled = labels.clone()
    mislabelled[wrong] = 1 - labels[wrong]
    kept = net.hardest(Batch(images, mislabelled), 1.0)
    assert torch.equal(kept.inputs, images[wrong])
    assert torch.equal(kept.targets, mislabelled[wrong])
    assert kept.inputs.is_contiguous(memory_format=torch.channels_last)


def test_targets_that_are_mixed_are_kept_with_their_images() -> None:
    images = bright_and_dark()
    targets = torch.rand(len(images), 2, generator=torch.Generator().manual_seed(2))
    kept = proxy(0.25, images).hardest(Batch(images, targets), 1.0)
    places = [int((images == image).flatten(1).all(dim=1).nonzero()) for image in kept.inputs]
    assert len(places) == 16
    assert places == sorted(places)
    assert torch.equal(kept.targets, targets[places])


def test_it_learns_at_the_rate_of_the_schedule() -> None:
    images = bright_and_dark()
    net = proxy(0.5, images)
    net.hardest(Batch(images, torch.zeros(64, dtype=torch.int64)), 0.25)
    for group in net.optimizer.param_groups:
        assert group["lr"] == 0.25 * group["initial_lr"]


def test_a_run_trains_on_that_share_of_its_images(tmp_path: Path, small: dict[str, Any]) -> None:
    whole, half = (
        train(
            data="synthetic",
            settings=small | {"train.hardest": share},
            out=tmp_path,
            name=f"share-{share}",
            show="quiet",
        ).outcome
        for share in (1.0, 0.5)
    )
    assert half.steps == whole.steps
    assert half.images_seen == whole.images_seen / 2


@pytest.mark.parametrize("share", [0.0, 1.5, -0.5])
def test_a_share_that_is_none_is_refused(share: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.hardest"):
        train(data="synthetic", settings={"train.hardest": share}, out=tmp_path, show="quiet")


def test_a_small_net_that_diverges_ends_the_run() -> None:
    images = bright_and_dark()
    with pytest.raises(Diverged, match="the net that chooses images"):
        proxy(0.5, images).hardest(Batch(images * torch.inf, torch.zeros(64).long()), 1.0)


def test_a_share_that_leaves_one_image_to_batch_norm_is_refused(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    settings = small | {"model": "mlp", "train.batch_size": 16, "train.hardest": 0.05}
    with pytest.raises(ConfigError, match="a step on one image") as caught:
        train(data="synthetic", settings=settings, out=tmp_path, show="quiet")
    assert "0.05 of them kept" in str(caught.value)
    assert "--set train.batch_size=40" in str(caught.value)
    assert not list(tmp_path.iterdir())
