"""Image files to pixels of one size: what is accepted, and what becomes of it.

Grey, palette, CMYK and 16-bit images become 8-bit RGB, or grey where the set has one channel;
what is transparent shows white; the orientation a camera notes (EXIF) is applied; of an animation
the first frame counts. Another size is reached by scaling (bicubic, antialiased) until the
shorter side fits, and cutting to the centre.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fallline.data.imageset import Pixels

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
ACCEPTED = "JPEG, PNG, BMP, WebP or GIF"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")  # of their names, as a rule
CONVERT = "convert it to PNG or JPEG"
OTHER_FORMATS = {  # how they start, at once or after a length of four bytes -> their name
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"ftypavif": "AVIF",
    b"ftyphe": "HEIC",
    b"ftypmif1": "HEIC",
    b"jP  ": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"JXL ": "JPEG XL",
    b"8BPS": "a Photoshop file",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"\0\0\1\0": "an icon",
}
SMALLEST, LARGEST = 8, 224  # pixels a side that models take
DEFAULT_SIZE = 64  # pixels a side, where the images do not agree on one
_GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height

File = Path | bytes


class BadImage(Exception):
    """A file cannot be decoded, with the reason. Never leaves this layer."""


@dataclass(frozen=True)
class Wish:
    """What the user asked images to become; None: as they are."""

    image_size: int | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Plan:
    """What images become.

    Attributes:
        size: (H, W) in pixels.
        channels: 1 or 3.
        same_size: guessed from one image: an image of another size refutes it.
        grey: guessed from one image: an image in colour refutes it.
    """

    size: tuple[int, int]
    channels: int
    same_size: bool = False
    grey: bool = False


class Refuted(Exception):
    """An image does not fit what was guessed from the first; `better` is the plan that does."""

    def __init__(self, better: Plan) -> None:
        self.better = better
        super().__init__(better)


@dataclass(frozen=True)
class Chunk:
    """Some files, decoded.

    Attributes:
        pixels: uint8 (n, H, W, C) of those that are images, in order.
        faults: position of a file that is not -> why.
        see_through: how many had transparent pixels.
    """

    pixels: Pixels
    faults: dict[int, str]
    see_through: int = 0


def guess(files: Sequence[File], wish: Wish) -> Plan | None:
    """The plan that the first readable image suggests; None if none of the files is one."""
    with _pillow_warnings():
        for file in files:
            try:
                with _opened(file) as image:
                    image.load()
                    return _plan_for(image, wish)
            except BadImage:
                continue
    return None


def fixed(wish: Wish) -> Plan:
    """The plan for files of which none has been readable yet."""
    side = wish.image_size or DEFAULT_SIZE
    return Plan((side, side), wish.channels or 3)


def _plan_for(image: Image.Image, wish: Wish) -> Plan:
    grey = image.mode in _GREY_MODES
    size, as_it_is = _upright(image, image.size), True
    if wish.image_size is not None:
        size, as_it_is = (wish.image_size, wish.image_size), False
    elif min(size) < SMALLEST or max(size) > LARGEST:
        size, as_it_is = (DEFAULT_SIZE, DEFAULT_SIZE), False
    channels = wish.channels or (1 if grey else 3)
    return Plan(size, channels, same_size=as_it_is, grey=grey and wish.channels is None)


def decode(files: Sequence[File], plan: Plan) -> Chunk:
    """Decodes files; raises Refuted when one shows that the plan was guessed wrong."""
    pixels = np.empty((len(files), *plan.size, plan.channels), np.uint8)
    faults: dict[int, str] = {}
    good = see_through = 0
    with _pillow_warnings():
        for index, file in enumerate(files):
            try:
                with _opened(file) as image:
                    see_through += _decode_into(pixels[good], image, plan)
                good += 1
            except BadImage as error:
                faults[index] = str(error)
    return Chunk(pixels[:good], faults, see_through)


def resize(pixels: Pixels, plan: Plan) -> Pixels:
    """Decoded images, uint8 (n, h, w, c), as the plan wants them: uint8 (n, H, W, C)."""
    if pixels.shape[1:] == (*plan.size, plan.channels):
        return pixels
    resized = np.empty((len(pixels), *plan.size, plan.channels), np.uint8)
    for target, image in zip(resized, pixels, strict=True):
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        _put(target, _with_channels(picture, plan.channels), plan)
    return resized


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """A bomb is an error; what else Pillow remarks on concerns nobody here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _opened(file: File) -> Iterator[Image.Image]:
    """The image in a file; whatever goes wrong with it while open becomes a BadImage."""
    try:
        with Image.open(_readable(file), formats=FORMATS) as image:
            yield image
    except (BadImage, Refuted):
        raise
    except UnidentifiedImageError:
        raise BadImage(_instead_of_an_image(file)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"claims more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels") from None
    except OSError as error:
        raise BadImage(error.strerror or str(error)) from error
    except Exception as error:  # a decoder raises whatever damaged bytes lead it to
        raise BadImage(f"{type(error).__name__}: {error}") from error


def _readable(file: File) -> Path | io.BytesIO:
    if isinstance(file, bytes):
        if not file:
            raise BadImage("the file is empty")
        return io.BytesIO(file)
    if not file.is_file():  # opening a pipe would wait for ever
        raise BadImage(_instead_of_a_file(file))
    if file.stat().st_size == 0:
        raise BadImage("the file is empty")
    return file


def _instead_of_a_file(path: Path) -> str:
    if path.is_dir():
        return "a folder, no image file"
    if path.exists():
        return "no regular file"
    return "a link that leads nowhere" if path.is_symlink() else "there is no such file"


def _instead_of_an_image(file: File) -> str:
    """What else a file is: an image of a format that can be converted, or none."""
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
        head = opened.read(32)
    for start, name in OTHER_FORMATS.items():
        if start in (head[: len(start)], head[4 : 4 + len(start)]):
            return f"{name}, which is not read: {CONVERT}"
    return f"no {ACCEPTED} image"


def _decode_into(target: Pixels, image: Image.Image, plan: Plan) -> bool:
    """Puts an image into `target`, uint8 (H, W, C); says whether it had transparent pixels."""
    size, mode = image.size, image.mode
    if not plan.same_size:
        side = 2 * max(plan.size)  # a JPEG is decoded at 1/2, 1/4 or 1/8 where that is enough
        image.draft("RGB", (side, side))
    image.load()  # after it EXIF is known, which may stand behind the pixels
    _refute(plan, _upright(image, size), mode)
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    image, see_through = _opaque(_eight_bit(image))
    _put(target, _with_channels(image, plan.channels), plan)
    return see_through


def _refute(plan: Plan, size: tuple[int, int], mode: str) -> None:
    better = plan
    if plan.same_size and size != plan.size:
        better = replace(better, size=(DEFAULT_SIZE, DEFAULT_SIZE), same_size=False)
    if plan.grey and mode not in _GREY_MODES:
        better = replace(better, channels=3, grey=False)
    if better != plan:
        raise Refuted(better)


def _upright(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of a size (W, H) once the image is turned as the camera noted."""
    turned = "exif" in image.info and image.getexif().get(_ORIENTATION) in _SIDEWAYS
    return size if turned else (size[1], size[0])


def _eight_bit(image: Image.Image) -> Image.Image:
    """A 16-bit grey image by its upper 8 bits; others as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _opaque(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image on white, and whether any of the white shows."""
    if not image.has_transparency_data:
        return image, False
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white, alpha.getextrema() != (255, 255)


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _put(target: Pixels, image: Image.Image, plan: Plan) -> None:
    """Scales and cuts an image to the size of `target`, uint8 (H, W, C)."""
    height, width = plan.size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    target[:] = np.asarray(image).reshape(target.shape)
