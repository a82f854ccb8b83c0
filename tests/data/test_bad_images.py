from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from image_files import paint
from PIL import Image

from fallline.data import available, load
from fallline.errors import DataError


def refusal(path: Path | str, **options: int) -> str:
    """The message of the error, after a look that it has all four parts."""
    with pytest.raises(DataError) as caught:
        load(str(path), **options)  # type: ignore[arg-type]
    (fault,) = caught.value.faults
    assert fault.seen
    assert fault.allowed
    return str(caught.value)


def test_a_typing_error_gets_a_suggestion_the_names_and_the_word_path() -> None:
    message = refusal("cifra10")
    assert "did you mean cifar10?" in message
    assert "fashion_mnist, digits, synthetic, or the path of a folder or archive" in message
    assert not available("cifra10")


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b"])
def test_a_name_that_cannot_be_a_path_is_refused_like_any_other(name: str) -> None:
    assert "there is no such image set" in refusal(name)


@pytest.mark.parametrize("name", ["~nobody-here/pets", "./pets", "a/b", "pets.zip", "c:\\pets"])
def test_a_path_to_nothing_is_refused_as_a_path(name: str) -> None:
    message = refusal(name)
    assert "there is no such file or folder" in message
    assert f"{name}, looked for in {Path.cwd()}" in message


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no archive of images" in refusal(tmp_path / "pipe")


def test_a_path_that_does_not_exist_gets_its_neighbour_as_a_suggestion(pets: Path) -> None:
    assert f"did you mean {pets}?" in refusal(pets.with_name("pest"))


@pytest.mark.parametrize(
    ("options", "seen"),
    [({"image_size": 7}, "7"), ({"image_size": 225}, "225"), ({"channels": 2}, "2")],
)
def test_sizes_and_channels_out_of_range_are_refused(options: dict[str, int], seen: str) -> None:
    assert f"seen: {seen}" in refusal("digits", **options)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "0 files, no class folders" in refusal(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    paint(tmp_path / "1.png")
    message = refusal(tmp_path)
    assert "1 files, no class folders" in message
    assert "train/<class>/<image>" in message


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "cat" / "1.png")
    assert "the class cat alone" in refusal(tmp_path)


def test_a_class_without_images_is_named(pets: Path) -> None:
    (pets / "train" / "newt").mkdir()
    message = refusal(pets)
    assert "a class has no images" in message
    assert "train/newt" in message


def test_a_class_of_test_that_train_lacks_is_named_with_a_suggestion(pets: Path) -> None:
    paint(pets / "test" / "dogs" / "1.png")
    message = refusal(pets)
    assert "a class that train lacks" in message
    assert "dogs" in message
    assert "did you mean dog?" in message


def png_claiming(width: int, height: int) -> bytes:
    def part(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (width // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


def spoil(path: Path, how: str) -> str:
    """Makes a file that is no image; returns what the message must say of it."""
    if how == "text":
        path.write_text("not a picture")
        return "no JPEG, PNG, BMP, WebP or GIF image"
    if how == "empty":
        path.write_bytes(b"")
        return "the file is empty"
    if how == "half a JPEG":
        Image.effect_noise((64, 64), 50).save(path, "JPEG")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return "image file is truncated"
    if how == "bomb":
        path.write_bytes(png_claiming(20_000, 20_000))
        assert path.stat().st_size < 60_000
        return "claims more than"
    if how == "damaged PNG":
        paint(path, format="PNG")
        content = bytearray(path.read_bytes())
        content[20] ^= 0xFF
        path.write_bytes(content)
        return ""
    if how == "pipe":
        os.mkfifo(path)
        return "no regular file"
    path.symlink_to("nowhere")
    return "a link that leads nowhere"


SPOILED = ["text", "empty", "half a JPEG", "bomb", "damaged PNG", "pipe", "dangling link"]


@pytest.mark.parametrize("how", SPOILED)
def test_bad_files_among_few_are_an_error_that_names_them(pets: Path, how: str) -> None:
    said = spoil(pets / "train" / "cat" / "bad.png", how)
    spoil(pets / "train" / "dog" / "notes.txt", "text")
    message = refusal(pets)
    assert "2 of 16 files" in message
    assert f"train/cat/bad.png: {said}" in message


def test_one_bad_file_is_skipped_and_named_however_few_there_are(pets: Path) -> None:
    before = load(str(pets))
    spoil(pets / "train" / "cat" / "notes.txt", "text")
    found = load(str(pets))
    assert len(found.train) == len(before.train)
    assert any(
        note.startswith("1 file no image, skipped: train/cat/notes") for note in found.notes
    )


def test_bad_files_among_many_are_skipped_counted_and_named(tmp_path: Path) -> None:
    for index in range(300):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index:03}.png", size=(9, 9))
    spoil(tmp_path / "set" / "cat" / "000.png", "text")
    spoil(tmp_path / "set" / "dog" / "299.png", "empty")
    found = load(str(tmp_path / "set"))
    assert found.shape == (3, 9, 9)
    assert len(found.train) == 298
    (note,) = found.notes
    assert note.startswith("2 files no image, skipped: cat/000.png (no JPEG")
    assert "dog/299.png (the file is empty)" in note


def test_an_error_names_ten_bad_files_and_counts_the_rest(pets: Path) -> None:
    for index in range(13):
        spoil(pets / "train" / "cat" / f"bad {index}", "text")
    message = refusal(pets)
    assert "13 of 27 files" in message
    assert message.count("train/cat/bad") == 10
    assert "and 3 more" in message


def test_a_class_of_which_every_image_is_bad_is_an_error_however_large_the_set(
    tmp_path: Path,
) -> None:
    for index in range(200):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index:03}.png", size=(8, 8))
    (tmp_path / "set" / "newt").mkdir()
    spoil(tmp_path / "set" / "newt" / "1.png", "text")
    assert f"{tmp_path / 'set'}: newt\n" in refusal(tmp_path / "set")


def test_an_empty_class_folder_is_named_as_it_lies_there(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        paint(tmp_path / kind / "1.png")
    (tmp_path / "four").mkdir()
    assert f"{tmp_path}: four\n" in refusal(tmp_path)


@pytest.mark.parametrize("names", [["test"], ["val"], ["val", "test"]])
def test_splits_without_train_are_no_classes(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        for kind in ("cat", "dog"):
            paint(tmp_path / name / kind / "1.png")
    message = refusal(tmp_path)
    assert f"there is {', '.join(f'{name}/' for name in sorted(names))} but no train/" in message
    assert "put the images to train on into train/<class>/" in message


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_an_image_of_another_format_is_to_be_converted(
    tmp_path: Path, head: bytes, name: str
) -> None:
    for kind in ("cat", "dog"):
        paint(tmp_path / kind / "1.png")
    for place in ("2.png", "3.png"):
        (tmp_path / "cat" / place).write_bytes(head.ljust(64, b"\1"))
    message = refusal(tmp_path)
    assert f"cat/2.png: {name}, which is not read: convert it to PNG or JPEG" in message
    assert "next: convert these files, or delete them" in message


def test_a_real_tiff_is_to_be_converted_and_a_single_one_counted_as_one(tmp_path: Path) -> None:
    for index in range(150):
        paint(tmp_path / ("cat", "dog")[index % 2] / f"{index}.png", (index, 0, 0), (8, 8))
    paint(tmp_path / "cat" / "x.tif", format="TIFF")
    (note,) = load(str(tmp_path)).notes
    assert note.startswith("1 file no image, skipped: cat/x.tif (TIFF, which is not read")


def test_a_bad_file_does_not_decide_the_size_of_the_others(tmp_path: Path) -> None:
    for index in range(200):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index:03}.png", size=(9, 9))
    spoil(tmp_path / "set" / "cat" / "000.png", "half a JPEG")
    assert load(str(tmp_path / "set")).shape == (3, 9, 9)


def test_an_unreadable_folder_is_named(pets: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (pets / "train" / "cat").chmod(0)
    assert "a folder cannot be read" in refusal(pets)


def test_names_that_are_no_unicode_do_no_harm(pets: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe.png")
    try:
        paint(pets / "train" / "cat" / "plain.png").rename(pets / "train" / "cat" / odd)
    except OSError:
        pytest.skip("this file system allows Unicode names only")
    assert len(load(str(pets)).train) == 11
