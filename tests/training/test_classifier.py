"""What was trained, used: probabilities that mean something, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from fallline import train
from fallline.config import TrainConfig
from fallline.errors import DataError
from fallline.records import Record, RunFolder
from fallline.training.classifier import Classifier
from fallline.training.losses import LOSSES, LossRow


def pictures(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    settings: dict[str, Any] = {
        "data": "synthetic",
        "max_steps": 2,
        "model": {"name": "convnet", "widths": [8, 8, 8]},
        "train": {"eval_batch_size": 4, "threads": 1, "precision": "fp32"},
        "track": {"tensorboard": False},
    }
    run = train(settings=settings, out=tmp_path_factory.mktemp("runs"), show="quiet")
    return Classifier(run.path)


def test_what_is_no_image_file_is_named_with_the_formats_and_what_to_do(
    classifier: Classifier, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        classifier.predict([tmp_path, tmp_path / "none.png", *pictures(tmp_path, 1)])
    said = str(caught.value)
    assert f"{tmp_path}: a folder, no image file" in said
    assert f"{tmp_path / 'none.png'}: there is no such file" in said
    assert "allowed: JPEG, PNG, BMP, WebP or GIF files" in said
    assert "FOLDER/*.jpg" in said


def test_loading_leaves_the_random_numbers_of_whoever_trains_alone(
    classifier: Classifier, tmp_path: Path
) -> None:
    def load_again(record: Record) -> None:
        before = torch.get_rng_state()
        Classifier(RunFolder.all_in(tmp_path)[0].path)
        assert torch.equal(torch.get_rng_state(), before)
        loaded.append(record.step)

    loaded: list[int] = []
    often = {"train.checkpoint_seconds": 0, "train.threads": 1, "track.tensorboard": False}
    settings = {"model": "mlp", "epochs": 2, "model.widths": [8]} | often
    run = train(data="synthetic", settings=settings, out=tmp_path, on_eval=load_again)
    assert loaded[-1] == run.outcome.steps


def test_older_weights_are_said_to_be_used(
    classifier: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"max_steps": 2, "train.threads": 1, "track.tensorboard": False}
    run = train(
        data="synthetic", settings=settings | {"train.checkpoint_seconds": 0}, out=tmp_path
    )
    *_, newest = sorted(run.folder.checkpoints.glob("step*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    capsys.readouterr()
    Classifier(run.path)
    assert "is damaged" in capsys.readouterr().err


def test_files_are_decoded_and_classified_a_batch_at_a_time(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pictures(tmp_path, 10)
    sizes: list[int] = []
    forward = classifier.model.forward

    def counted(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return torch.as_tensor(forward(images))

    monkeypatch.setattr(classifier.model, "forward", counted)
    predictions = classifier.predict(files)
    assert sizes == [4, 4, 2]
    assert [prediction.file for prediction in predictions] == [str(file) for file in files]
    one_by_one = [classifier.predict([file])[0] for file in files]
    for together, alone in zip(predictions, one_by_one, strict=True):
        assert together.classes == alone.classes
        assert together.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


def test_all_files_that_are_no_images_are_named(classifier: Classifier, tmp_path: Path) -> None:
    files = pictures(tmp_path, 10)
    for index in (1, 8):
        files[index].write_text("no image")
    with pytest.raises(DataError) as caught:
        classifier.predict(files)
    assert str(files[1]) in str(caught.value)
    assert str(files[8]) in str(caught.value)


def test_files_that_are_no_images_keep_none_of_the_others_from_being_classified(
    classifier: Classifier, tmp_path: Path
) -> None:
    files = pictures(tmp_path, 9)
    for index in (0, 1, 2, 3, 6):  # the first batch whole, and one of the second
        files[index].write_text("no image")
    predictions, error = classifier.classify(files)
    good = [files[index] for index in (4, 5, 7, 8)]
    assert [(p.file, p.classes) for p in predictions] == [
        (p.file, p.classes) for p in classifier.predict(good)
    ]
    assert error is not None
    assert [str(file) in str(error) for file in files] == [file not in good for file in files]


def test_no_files_make_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_every_loss_that_settings_take_is_a_row_and_no_other() -> None:
    allowed = get_args(TrainConfig.model_fields["loss"].annotation)
    assert set(allowed) == {row.name for row in LOSSES}


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
def test_smoothing_mixes_labels_with_the_uniform_distribution(row: LossRow) -> None:
    logits, soft = torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([[0.85, 0.05, 0.05, 0.05]])
    smoothed = row.value(logits, torch.tensor([0]), smoothing=0.2, reduction="none")
    torch.testing.assert_close(smoothed, row.value(logits, soft, smoothing=0.0, reduction="none"))


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
def test_the_logits_of_a_loss_say_probabilities_in_their_own_order(row: Any) -> None:
    logits = torch.randn(200, 7, generator=torch.Generator().manual_seed(0))
    for scale in (0.1, 1.0, 30.0):
        probabilities = row.probabilities(scale * logits)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(200))
        assert probabilities.min() >= 0
        assert torch.equal(probabilities.argmax(1), logits.argmax(1))


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
def test_logits_that_are_trained_to_be_certain_say_so(row: Any) -> None:
    """The best logits for labels that are drawn with known probabilities say these."""
    truth = torch.tensor([0.7, 0.2, 0.1, 0.0])
    logits = torch.zeros(1, 4, requires_grad=True)
    for _ in range(2000):
        values = row.value(logits.expand(4, 4), torch.arange(4), smoothing=0.0, reduction="none")
        (gradient,) = torch.autograd.grad((truth * values).sum(), logits)
        logits.data -= 0.4 * gradient
    torch.testing.assert_close(row.probabilities(logits)[0], truth, atol=2e-3, rtol=0)


def test_squared_error_says_the_nearest_probabilities() -> None:
    nearest = LOSSES["squared_error"].probabilities
    exact = torch.tensor([[0.9, 0.1, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(nearest(exact), exact)
    some = torch.tensor([[1.2, 0.1, -0.2], [-1.0, -1.1, -3.0]])
    torch.testing.assert_close(nearest(some), torch.tensor([[1.0, 0, 0], [0.55, 0.45, 0]]))
