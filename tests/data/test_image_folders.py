from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from image_files import paint
from PIL import Image

from fallline.data import ImageSet, load
from fallline.data.folder import FolderSource
from fallline.data.layout import natural_key
from fallline.errors import DataError


def pixel(found: ImageSet, row: int = 0) -> list[int]:
    image: np.ndarray = found.train.images[row]
    middle: list[int] = image[image.shape[0] // 2, image.shape[1] // 2].tolist()
    return middle


def test_train_and_test_folders_become_splits_of_one_array(pets: Path) -> None:
    found = load(str(pets))
    assert found.name == "pets"
    assert found.classes == ("cat", "dog")
    assert found.shape == (3, 16, 16)
    assert (len(found.train), found.val) == (10, None)
    assert found.test is not None
    assert found.test.images is found.train.images
    assert found.test.targets.tolist() == [0, 0, 1, 1]
    assert np.bincount(found.train.targets).tolist() == [5, 5]
    assert not found.train.images.flags.writeable
    assert found.train.images[found.train.rows[5]][0, 0].tolist() == [0, 0, 200]
    assert found.notes == ()


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_validation_folder_goes_by_several_names(pets: Path, name: str) -> None:
    (pets / "test").rename(pets / name)
    found = load(str(pets))
    assert found.val is not None
    assert (len(found.val), found.test) == (4, None)


def test_class_folders_alone_are_one_train_split(pets: Path) -> None:
    found = load(str(pets / "train"))
    assert (len(found.train), found.val, found.test) == (10, None, None)


def test_a_folder_around_the_set_is_passed_over(pets: Path) -> None:
    around = pets.parent / "download"
    around.mkdir()
    pets.rename(around / "pets")
    assert len(load(str(around)).train) == 10


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for vehicle in ("bus", "train", "tram"):
        paint(tmp_path / "vehicles" / vehicle / "1.png")
    assert load(str(tmp_path / "vehicles")).classes == ("bus", "train", "tram")


def test_classes_are_numbered_in_natural_order(tmp_path: Path) -> None:
    for name in ("10", "9", "apple 2", "Apple 10", "éclair"):
        paint(tmp_path / "set" / name / "1.png")
    assert load(str(tmp_path / "set")).classes == ("9", "10", "apple 2", "Apple 10", "éclair")


def test_an_umlaut_is_the_same_class_however_it_is_written(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("test", "NFD")):
        for name in ("Bär", "Löwe"):
            folder = unicodedata.normalize(form, name)  # type: ignore[arg-type]
            paint(tmp_path / "zoo" / split / folder / "1.png")
    found = load(str(tmp_path / "zoo"))
    assert found.classes == ("Bär", "Löwe")
    assert found.test is not None


def test_hidden_files_and_what_systems_leave_behind_are_not_seen(pets: Path) -> None:
    for clutter in (".DS_Store", "train/cat/._0.png", "train/dog/Thumbs.db", "__MACOSX/a/b.png"):
        (pets / clutter).parent.mkdir(parents=True, exist_ok=True)
        (pets / clutter).write_bytes(b"junk")
    found = load(str(pets))
    assert len(found.train) == 10
    assert found.notes == ()


def test_files_outside_the_class_folders_are_named_and_decide_nothing(pets: Path) -> None:
    (pets / "README.txt").write_text("pets")
    paint(pets / "logo.png", size=(300, 100))
    found = load(str(pets))
    assert found.shape == (3, 16, 16)
    assert found.notes == ("2 files outside the class folders, passed over: README.txt, logo.png",)


def test_files_deeper_in_a_class_folder_belong_to_the_class(pets: Path) -> None:
    paint(pets / "train" / "dog" / "puppies" / "small" / "1.png")
    assert np.bincount(load(str(pets)).train.targets).tolist() == [5, 6]


def test_links_to_folders_are_followed_and_a_loop_ends(pets: Path) -> None:
    elsewhere = pets.parent / "elsewhere"
    paint(elsewhere / "1.png")
    (pets / "train" / "bird").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(elsewhere)
    found = load(str(pets))
    assert found.classes == ("bird", "cat", "dog")
    assert np.bincount(found.train.targets).tolist() == [1, 5, 5]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "WEBP", "GIF"])
def test_every_format_is_known_by_content_not_by_name(tmp_path: Path, format: str) -> None:
    for name in "ab":
        paint(tmp_path / "set" / name / "picture.xyz", (250, 120, 10), format=format)
    assert np.abs(np.subtract(pixel(load(str(tmp_path / "set"))), (250, 120, 10))).max() <= 3


@pytest.mark.parametrize(
    ("mode", "colour", "format", "rgb", "grey"),
    [
        ("L", 90, "PNG", [90, 90, 90], 90),
        ("1", 1, "PNG", [255, 255, 255], 255),
        ("I;16", 40_000, "PNG", [156, 156, 156], 156),  # 40,000 / 256
        ("LA", (90, 255), "PNG", [90, 90, 90], 90),
        ("RGBA", (10, 20, 30, 255), "PNG", [10, 20, 30], 18),
        ("RGBA", (10, 20, 30, 0), "PNG", [255, 255, 255], 255),
        ("P", 0, "PNG", [0, 0, 0], 0),
        ("CMYK", (0, 255, 255, 0), "JPEG", [254, 0, 0], 76),
    ],
)
def test_every_mode_becomes_rgb_or_grey(
    tmp_path: Path,
    mode: str,
    colour: object,
    format: str,
    rgb: list[int],
    grey: int,
) -> None:
    for name in "ab":
        paint(tmp_path / "set" / name / "1", colour, mode=mode, format=format)
    assert pixel(load(str(tmp_path / "set"), channels=3)) == pytest.approx(rgb, abs=2)
    assert pixel(load(str(tmp_path / "set"), channels=1)) == pytest.approx([grey], abs=2)


def test_grey_images_have_one_channel_unless_a_late_one_is_in_colour(tmp_path: Path) -> None:
    for index in range(200):
        paint(tmp_path / "set" / "ab"[index % 2] / f"{index:03}.png", 7, (9, 9), "L")
    assert load(str(tmp_path / "set")).shape == (1, 9, 9)
    paint(tmp_path / "set" / "b" / "last.png", "red", (9, 9))
    found = load(str(tmp_path / "set"))
    assert found.shape == (3, 9, 9)
    assert len(found.train) == 201
    assert pixel(found, 200) == [255, 0, 0]


def test_one_image_of_another_size_makes_all_64(tmp_path: Path) -> None:
    for index in range(200):
        paint(tmp_path / "set" / "ab"[index % 2] / f"{index:03}.png", size=(20, 12))
    assert load(str(tmp_path / "set")).shape == (3, 12, 20)
    paint(tmp_path / "set" / "b" / "last.png", size=(20, 13))
    found = load(str(tmp_path / "set"))
    assert found.shape == (3, 64, 64)
    assert "resized to 64x64" in found.notes[0]


@pytest.mark.parametrize("side", [4, 300])
def test_a_common_size_that_models_do_not_take_becomes_64(tmp_path: Path, side: int) -> None:
    for name in "ab":
        paint(tmp_path / "set" / name / "1.png", size=(side, side))
    assert load(str(tmp_path / "set")).shape == (3, 64, 64)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_resizing_keeps_the_aspect_and_the_centre(tmp_path: Path, format: str) -> None:
    flag = Image.new("RGB", (900, 300), "red")
    flag.paste("lime", (300, 0, 600, 300))
    flag.paste("blue", (600, 0, 900, 300))
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        flag.save(tmp_path / "set" / name / "flag", format)
    found = load(str(tmp_path / "set"), image_size=24)
    assert found.shape == (3, 24, 24)
    assert np.abs(found.train.images[0][:, 2:-2].astype(int) - (0, 255, 0)).max() < 12


def test_a_fine_pattern_is_averaged_not_sampled(tmp_path: Path) -> None:
    board = np.indices((256, 256)).sum(0) % 2 * 255
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(board.astype(np.uint8)).save(tmp_path / "set" / name / "board.png")
    images = load(str(tmp_path / "set"), image_size=32).train.images
    assert np.abs(images.astype(int) - 127).max() <= 2


def test_the_camera_s_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 16), "blue")
    picture.paste("red", (0, 0, 16, 16))  # red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: red on top
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        picture.save(tmp_path / "set" / name / "1.jpg", exif=exif, quality=95)
    found = load(str(tmp_path / "set"))
    assert found.shape == (3, 32, 16)
    top, bottom = found.train.images[0][4, 8], found.train.images[0][28, 8]
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        path = tmp_path / "set" / name / "1.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    assert pixel(load(str(tmp_path / "set"))) == [255, 0, 0]


def test_transparent_parts_show_white_and_a_note_says_so(tmp_path: Path) -> None:
    for name in "ab":
        paint(tmp_path / "set" / name / "1.png", (0, 0, 0, 0), mode="RGBA")
        paint(tmp_path / "set" / name / "2.png", (0, 0, 0, 255), mode="RGBA")
    found = load(str(tmp_path / "set"))
    assert pixel(found) == [255, 255, 255]
    assert found.notes[0] == "2 images with transparent parts: shown on white"


def test_mean_and_deviation_are_those_of_the_train_images(pets: Path) -> None:
    found = load(str(pets))
    images = found.train.images[found.train.rows] / 255
    assert found.mean == pytest.approx(images.mean((0, 1, 2)), abs=1e-12)
    assert found.std == pytest.approx(images.std((0, 1, 2)), abs=1e-12)


def test_sets_of_single_characters_are_not_mirrored(tmp_path: Path) -> None:
    for name in "bd":
        paint(tmp_path / "letters" / name / "1.png")
    found = load(str(tmp_path / "letters"))
    assert not found.mirror
    assert "not mirrored" in found.notes[0]


def test_equal_images_have_equal_fingerprints_wherever_they_lie(pets: Path) -> None:
    before = load(str(pets)).fingerprint
    moved = pets.rename(pets.with_name("moved"))
    assert load(str(moved)).fingerprint == before
    (moved / "train" / "cat" / "0.png").rename(moved / "train" / "dog" / "cat.png")
    assert load(str(moved)).fingerprint != before


def test_a_split_that_is_a_link_to_another_is_that_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            paint(tmp_path / "pets" / split / name / "1.png")
    (tmp_path / "pets" / "val").symlink_to("test")
    (tmp_path / "pets" / "train" / "cat" / "up").symlink_to(tmp_path / "pets")
    found = load(str(tmp_path / "pets"))
    assert found.val is not None
    assert found.test is not None
    assert (len(found.train), len(found.val), len(found.test)) == (2, 2, 2)


def test_nested_links_do_not_stand_for_billions_of_folders(tmp_path: Path) -> None:
    for level in range(24):
        here = tmp_path / "deep" / f"{level:02}"
        here.mkdir(parents=True)
        for name in ("a", "b"):
            (here / name).symlink_to(tmp_path / "deep" / f"{level + 1:02}")
    with pytest.raises(DataError, match="too many links"):
        FolderSource(tmp_path / "deep")


def test_a_class_may_be_called_by_thousands_of_digits() -> None:
    names = ["2", "10", "9" * 5000, "1" * 20]
    assert sorted(names, key=natural_key) == ["2", "10", "1" * 20, "9" * 5000]


def test_exif_behind_the_pixels_turns_an_image_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(4):
        path = tmp_path / "late" / ("cat", "dog")[index % 2] / f"{index}.png"
        paint(path, (60 * index, 0, 0), (20, 12))
        with Image.open(path) as image:
            image.save(path, exif=exif)
        content = path.read_bytes()
        start = content.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        stop = content.index(b"IEND") - 4
        path.write_bytes(content[:start] + content[end:stop] + content[start:end] + content[stop:])
    assert load(str(tmp_path / "late")).shape == (3, 20, 12)
