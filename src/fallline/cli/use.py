"""`fallline evaluate` and `fallline predict`: what was trained, used."""

from __future__ import annotations

from pathlib import Path

from fallline.cli.tables import print_grid
from fallline.data import ImageSet, load
from fallline.data.decode import ACCEPTED, ENDINGS
from fallline.data.layout import is_hidden
from fallline.errors import ConfigError, DataError, unknown_name
from fallline.track.terminal import drawn_progress, say, tell
from fallline.training.classifier import Classifier
from fallline.training.evaluate import VIEWS
from fallline.training.splits import split


def print_scores(run: Path, data: str | None, tta: str, device: str) -> None:
    """Prints the loss and accuracy on every split of the run's data, or of other data."""
    if tta not in VIEWS:
        raise ConfigError(unknown_name("choice of views", tta, tuple(VIEWS)))
    classifier = Classifier(run, device=device)
    channels, height, width = classifier.shape
    side = height if height == width else None  # other shapes are a set's own
    settings = classifier.config.data
    images = load(
        data or settings.name,
        image_size=settings.image_size if data is None else side,
        channels=settings.channels if data is None else channels,
        progress=drawn_progress("auto"),
    )
    if data is None:
        _refuse_changed(classifier, images)
        splits = split(classifier.config, images)
        parts = {"train": splits.train, "val": splits.val, "test": splits.test}
        say(splits.words)
    else:
        parts = {"train": images.train, "val": images.val, "test": images.test}
        if images.val is None and images.test is None:
            parts = {"all": images.train}
    lines = []
    for word, part in parts.items():
        if part is not None:
            scored = classifier.evaluate(images, part, tta=tta)
            views = "" if scored.accuracy_tta is None else f"{scored.accuracy_tta:.2%}"
            accuracy = f"{scored.accuracy:.2%}"
            lines.append((word, f"{len(part):,}", f"{scored.loss:.4f}", accuracy, views))
    print_grid(("split", "images", "loss", "accuracy", "views averaged"), lines)


def _refuse_changed(classifier: Classifier, images: ImageSet) -> None:
    """Of other images other ones would be held out: some that the run was trained on."""
    if images.fingerprint != classifier.fingerprint:
        raise DataError(
            "the images are not those the run was trained on: its splits cannot be drawn again",
            seen=f"{images.name}: {images.fingerprint[:12]}, not {classifier.fingerprint[:12]}",
            next="bring them back as they were, or name the images to score: --data PATH",
        )


def print_predictions(run: Path, images: list[Path], top: int, device: str) -> None:
    """Prints the likeliest classes of each image; of a folder, of each in it.

    Raises DataError, after that, naming the files that are no images.
    """
    files = [file for path in images for file in _files(path)]
    if not files:
        raise DataError(
            "there is nothing to classify",
            seen=", ".join(map(str, images)),
            allowed=f"{ACCEPTED} files, or folders of them ({' '.join(ENDINGS)})",
            next="name the files themselves, or the folder that holds them",
        )
    predictions, error = Classifier(run, device=device).classify(files)
    lines = [
        (
            prediction.file,
            *(
                f"{name} {probability:.1%}"
                for name, probability in zip(
                    prediction.classes[:top], prediction.probabilities[:top], strict=True
                )
            ),
        )
        for prediction in predictions
    ]
    if lines:
        columns = ("image", *(f"{place}." for place in range(1, len(lines[0]))))
        print_grid(columns, lines, wrap=False)
    if error is not None:
        raise error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    seen = [
        file
        for file in path.rglob("*")
        if file.is_file() and not is_hidden(file.relative_to(path).as_posix())
    ]
    images = [file for file in seen if file.suffix.lower() in ENDINGS]
    if len(images) < len(seen):
        tell(
            f"{len(seen) - len(images)} files in {path} are no images by their names: passed over"
        )
    return sorted(images)
