"""The views that are averaged at a last evaluation."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import combinations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fallline.data.batches import Batch
from fallline.training.evaluate import VIEWS, evaluate
from fallline.training.progress import Progress

COUNTS = {"off": 1, "flip": 2, "flip_shift": 6, "flip_grid": 18}


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_as_many_as_said_and_all_different(name: str) -> None:
    images = torch.arange(2 * 3 * 8 * 9.0).view(2, 3, 8, 9)
    seen = [view(images) for _, view in VIEWS[name]]
    assert len(seen) == COUNTS[name]
    assert all(view.shape == images.shape for view in seen)
    assert not any(torch.equal(one, other) for one, other in combinations(seen, 2))
    assert sum(weight for weight, _ in VIEWS[name]) == pytest.approx(1)


@pytest.mark.parametrize("name", VIEWS)
def test_no_view_moves_a_pixel_by_more_than_one(name: str) -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1  # the middle stays the middle when it is mirrored
    for _, view in VIEWS[name]:
        row, column = divmod(int(view(image).argmax()), 9)
        assert max(abs(row - 4), abs(column - 4)) <= 1


class Corner(nn.Module):
    """Says class 1 where the corner pixel is positive, as surely as that pixel is large."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) -> (B, 2)."""
        corner = images[:, 0, 0, 0]
        return torch.stack([-corner, corner], dim=1)


def test_a_plain_and_an_averaged_accuracy_are_told_apart() -> None:
    images = torch.zeros(1, 1, 4, 4)
    images[0, 0, 0, 0], images[0, 0, 0, 3] = 1, -2  # the mirrored view is the surer one
    batch = Batch(images, torch.tensor([1]))

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, targets, reduction="none")

    scored = evaluate(Corner(), [batch], loss, autocast=nullcontext, tta="flip")
    assert (scored.accuracy, scored.accuracy_tta) == (1.0, 0.0)


def test_every_image_weighs_alike_whatever_its_batch() -> None:
    images, ones = torch.zeros(4, 1, 4, 4), torch.ones(4, dtype=torch.long)
    images[:, 0, 0, 0] = torch.tensor([1.0, 1, 1, -3])
    loss = partial(F.cross_entropy, reduction="none")
    parts = [Batch(images[:3], ones[:3]), Batch(images[3:], ones[3:])]
    scored = evaluate(Corner(), parts, loss, autocast=nullcontext)
    assert scored.loss == pytest.approx(loss(Corner()(images), ones).mean().item())
    assert scored.accuracy == 0.75


def test_an_epoch_weighs_images_alike_and_the_best_score_stays() -> None:
    progress = Progress(torch.device("cpu"))
    progress.count(30, 1, torch.tensor(1.0), torch.tensor(15))
    progress.count(10, 1, torch.tensor(3.0), torch.tensor(10))
    assert progress.close_epoch() == (1.5, 0.625)
    progress.score(1.0, 0.75)
    progress.score(0.5, 0.5)
    assert (progress.val_accuracy, progress.best_val_accuracy) == (0.5, 0.75)


def test_an_evaluation_that_fails_leaves_the_model_in_its_mode() -> None:
    model = Corner().train()

    def fail(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    batch = Batch(torch.zeros(1, 1, 4, 4), torch.tensor([1]))
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate(model, [batch], fail, autocast=nullcontext)
    assert model.training
