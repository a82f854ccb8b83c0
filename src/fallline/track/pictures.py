"""The confusion matrix and the worst mistakes, drawn to arrays.

Pure functions of plain arrays. Drawn by matplotlib's object API: no pyplot, no window system, no
state shared with the caller's figures. Class names are drawn as they are, never read as formulas.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fallline.track.terminal import clean

DOTS_PER_INCH: Final = 100
MOST_NAMED: Final = 120  # classes; above, names would be smaller than a letter
MOST_NUMBERED: Final = 20  # classes; above, numbers do not fit their cells
LONGEST_NAME: Final = 20  # characters
WIDEST_KEPT: Final = 96  # pixels of a mistake in the run folder
LONGEST_CAPTION: Final = 14  # characters, beside the loss
FONTS: Final = ["DejaVu Sans", "Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei"]
INK, PALE, RIGHT, WRONG = "#1f2430", "#6b7280", "#1a7f4b", "#c2410c"


def confusion_picture(matrix: np.ndarray, classes: Sequence[str], title: str) -> np.ndarray:
    """Draws which classes are taken for which.

    Args:
        matrix: counts `int (K, K)`; row the true class, column the predicted one.
        classes: the K names.
        title: the line above.

    Returns `uint8 (H, W, 3)`. A cell's colour and number are its share of the row (percent): right
    answers blue, mistakes orange, whose colour grows with the root, so that rare ones show.
    """
    with drawing():
        return _confusion(
            np.asarray(matrix), [_short(name) for name in classes], _short(title, 90)
        )


def mistakes_picture(
    images: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    losses: np.ndarray,
    classes: Sequence[str],
) -> np.ndarray:
    """Draws wrongly classified images with what they are, what they were taken for, and the loss.

    Args:
        images: `uint8 (n, H, W, C)`, C 1 or 3, in the order to show them; n may be 0.
        true, predicted: class indices `int (n,)`.
        losses: `float (n,)`.
        classes: the names.

    Returns `uint8 (H, W, 3)`.
    """
    names = [_short(name, LONGEST_CAPTION) for name in classes]
    told = zip(true, predicted, losses, strict=True)
    captions = [(names[t], names[p], float(loss)) for t, p, loss in told]
    with drawing():
        return _mistakes(np.asarray(images), captions)


def column(images: np.ndarray) -> bytes:
    """The images `uint8 (n, H, W, C)` one below the other, as a PNG at most 96 pixels wide."""
    from PIL import Image

    count, height, width, channels = images.shape
    pixels = images.reshape(count * height, width, channels)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if width > WIDEST_KEPT:
        high = round(height * WIDEST_KEPT / width)
        tiles = [picture.crop((0, i * height, width, (i + 1) * height)) for i in range(count)]
        picture = Image.new(picture.mode, (WIDEST_KEPT, count * high))
        for index, tile in enumerate(tiles):
            picture.paste(tile.resize((WIDEST_KEPT, high)), (0, index * high))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a confusion matrix lie; lengths in inches."""

    left: float
    bottom: float
    side: float
    width: float
    height: float
    font: float

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[str], title: str) -> _Layout:
        """The layout that gives these names and this title their room."""
        count = len(names)
        cell = 0.52 if count <= 12 else 0.4 if count <= MOST_NUMBERED else 0.16
        side = max(cell * min(count, MOST_NAMED), 2.4)
        font = 8.5 if count <= MOST_NUMBERED else 7.0
        letter = 0.0092 * font
        named = count <= MOST_NAMED
        left, bottom = (0.55 + letter * _longest(words) * named for words in (rows, names))
        width = max(left + side + 0.3, 0.5 + 0.085 * len(title))
        return cls(left, bottom, side, width, bottom + side + 0.75, font)

    @property
    def square(self) -> tuple[float, float, float, float]:
        """The matrix, in fractions of the figure."""
        across, up = self.side / self.width, self.side / self.height
        return self.left / self.width, self.bottom / self.height, across, up


def _longest(words: Sequence[str]) -> int:
    return max((len(word) for word in words), default=0)


def _confusion(matrix: np.ndarray, names: list[str], title: str) -> np.ndarray:
    totals = matrix.sum(axis=1)
    rows = [f"{name}  {total:,}" for name, total in zip(names, totals, strict=True)]
    layout = _Layout.of(names, rows, title)
    figure = _figure(layout.width, layout.height)
    axes = figure.add_axes(layout.square)
    share = matrix / np.maximum(totals, 1)[:, None]
    axes.imshow(_cell_colours(share), interpolation="nearest")
    if len(names) <= MOST_NUMBERED:
        _number_cells(axes, share)
    _name_classes(axes, names, rows, layout.font)
    place = {"x": 0.2 / layout.width, "ha": "left", "parse_math": False}
    line = 1 / layout.height
    figure.text(y=1 - 0.28 * line, s=title, color=INK, fontsize=11, **place)
    key = "percent of each true class; right answers blue, mistakes orange"
    figure.text(y=1 - 0.5 * line, s=key, color=PALE, fontsize=8, **place)
    return _pixels(figure)


def _cell_colours(share: np.ndarray) -> np.ndarray:
    """`float (K, K, 3)` in 0..1: white to blue on the diagonal, white to orange beside it."""
    white, blue, orange = np.ones(3), np.array([0.13, 0.38, 0.66]), np.array([0.85, 0.33, 0.05])
    right = np.eye(len(share), dtype=bool)[..., None]
    strength = np.where(right, share[..., None], np.sqrt(share)[..., None])
    return white + strength * (np.where(right, blue, orange) - white)


def _number_cells(axes: Any, share: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(share):
        strength = value if row == column else np.sqrt(value)
        if value > 0:
            text = f"{100 * value:.0f}" if round(100 * value) else "·"
            colour = "white" if strength > 0.55 else INK
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


def _name_classes(axes: Any, names: list[str], rows: list[str], size: float) -> None:
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_color("#d1d5db")
    axes.set_xlabel("predicted", color=PALE, fontsize=9)
    axes.set_ylabel("true class, images", color=PALE, fontsize=9)
    places = range(len(names)) if len(names) <= MOST_NAMED else ()
    style = {"fontsize": size, "parse_math": False}
    axes.set_xticks(places, names if places else (), rotation=90, **style)
    axes.set_yticks(places, rows if places else (), **style)


def _mistakes(images: np.ndarray, captions: list[tuple[str, str, float]]) -> np.ndarray:
    columns = max(1, min(6, len(images)))
    lines = -(-len(images) // columns)
    width, height = max(4.4, 1.55 * columns + 0.2), 2.05 * lines + 0.6
    figure = _figure(width, height)
    title = "worst mistakes" if len(images) else "no mistakes"
    figure.text(0.15 / width, 1 - 0.26 / height, title, color=INK, fontsize=11, ha="left")
    key = "true class green, prediction orange, loss grey"
    figure.text(1 - 0.15 / width, 1 - 0.26 / height, key, color=PALE, fontsize=8, ha="right")
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        line, column = divmod(index, columns)
        top = height - 0.5 - 2.05 * line
        box = ((0.15 + 1.55 * column) / width, (top - 1.9) / height, 1.4 / width, 1.4 / height)
        _tile(figure.add_axes(box), image, *caption)
    return _pixels(figure)


def _tile(axes: Any, image: np.ndarray, true: str, predicted: str, loss: float) -> None:
    colours = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    axes.imshow(colours, interpolation="nearest")
    axes.set_axis_off()
    style = {"transform": axes.transAxes, "fontsize": 8, "parse_math": False}
    axes.text(0, 1.17, true, color=RIGHT, va="bottom", **style)
    axes.text(0, 1.03, predicted, color=WRONG, va="bottom", **style)
    axes.text(1, 1.03, f"{loss:.1f}", color=PALE, va="bottom", ha="right", **style)


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib with its own defaults: the user's style file may ask for LaTeX.

    A letter that no font has is drawn as a box. What matplotlib says about fonts (that it looks
    for them, that one is not here, that none has this letter) is dropped.
    """
    import matplotlib

    logger = logging.getLogger("matplotlib.font_manager")
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = FONTS
        was_disabled, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = was_disabled


def _figure(width: float, height: float) -> Any:
    """An empty white figure of that many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")


def _pixels(figure: Any) -> np.ndarray:
    """The figure as `uint8 (H, W, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _short(text: str, most: int = LONGEST_NAME) -> str:
    """The text in one line, its end cut off where it has more letters."""
    line = clean(text)
    return line if len(line) <= most else line[: most - 1] + "…"
