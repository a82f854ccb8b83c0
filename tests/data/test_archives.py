from __future__ import annotations

import io
import shutil
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from image_files import paint

from fallline.data import archive as archives
from fallline.data import load
from fallline.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")


def pack(folder: Path, path: Path, inside: str = "") -> Path:
    """Packs a folder in the order of its paths; the kind is told by the suffix of `path`."""
    files = sorted(folder.rglob("*"))
    names = [f"{inside}{file.relative_to(folder).as_posix()}" for file in files]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for file, name in zip(files, names, strict=True):
                target.write(file, name)
        return path
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".tar": "w"}[path.suffix]
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for file, name in zip(files, names, strict=True):
            tar.add(file, name, recursive=False)
    return path


def tar_with(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(str(path))
    return str(caught.value)


@pytest.mark.parametrize("inside", ["", "./", "pets/"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_archive_gives_the_same_set_as_the_folder(
    pets: Path, suffix: str, inside: str
) -> None:
    path = pack(pets, pets.parent / f"my.pets{suffix}", inside)
    found = load(str(path))
    assert found.name == "my.pets"
    assert found.notes == ()
    assert found.fingerprint == load(str(pets)).fingerprint


@pytest.mark.parametrize("flagged", [True, False], ids=["with its flag", "without its flag"])
def test_a_zip_path_in_utf8_is_read_as_utf8(pets: Path, flagged: bool) -> None:
    (pets / "train" / "cat").rename(pets / "train" / "eight_eacute")
    (pets / "test" / "cat").rename(pets / "test" / "eight_eacute")
    path = pack(pets, pets.parent / "pets.zip")
    content = path.read_bytes().replace(b"eight_eacute", "eight éäö".encode())
    path.write_bytes(content)  # as zip on Linux and macOS's Finder write it: no flag says UTF-8
    if flagged:
        (pets / "train" / "eight_eacute").rename(pets / "train" / "eight éäö")
        (pets / "test" / "eight_eacute").rename(pets / "test" / "eight éäö")
        path = pack(pets, pets.parent / "flagged.zip")
    assert load(str(path)).classes == ("dog", "eight éäö")


def test_a_zip_path_of_code_page_437_is_read_as_such(pets: Path) -> None:
    for split in ("train", "test"):
        (pets / split / "cat").rename(pets / split / "eight_e")
    path = pack(pets, pets.parent / "pets.zip")
    path.write_bytes(path.read_bytes().replace(b"eight_e", "eight_é".encode("cp437")))
    assert load(str(path)).classes == ("dog", "eight_é")


def test_the_kind_of_an_archive_is_told_by_its_content(pets: Path) -> None:
    path = pack(pets, pets.parent / "pets.tar.xz").rename(pets.parent / "pets.dat")
    assert len(load(str(path)).train) == 10


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_stray_image_in_an_archive_does_not_decide_the_size(pets: Path, suffix: str) -> None:
    paint(pets / "a logo.png", size=(300, 100))
    found = load(str(pack(pets, pets.parent / f"pets{suffix}")))
    assert found.shape == (3, 16, 16)
    assert "a logo.png" in found.notes[0]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_folders_that_are_no_classes_are_passed_over_in_archives(pets: Path, kind: str) -> None:
    path = pack(pets, pets.parent / f"pets.{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as target:
            for name in ("./", "__MACOSX/", "train/.cache/"):
                target.writestr(name, b"")
    else:
        with tarfile.open(path, "a") as tar:
            for name in (".", "__MACOSX", "train/.cache"):
                tar.addfile(member(name, tarfile.DIRTYPE))
    assert load(str(path)).fingerprint == load(str(pets)).fingerprint


def test_an_empty_class_folder_in_an_archive_is_noticed(pets: Path) -> None:
    (pets / "train" / "newt").mkdir()
    for suffix in (".zip", ".tar"):
        assert "train/newt" in refusal(pack(pets, pets.parent / f"pets{suffix}"))


def test_a_zip_made_on_windows_has_folders_too(pets: Path) -> None:
    path = pets.parent / "windows.zip"
    with zipfile.ZipFile(path, "w") as target:
        for file in sorted(pets.rglob("*.png")):
            info = zipfile.ZipInfo("x")
            info.filename = str(file.relative_to(pets)).replace("/", "\\")
            target.writestr(info, file.read_bytes())
    assert load(str(path)).fingerprint == load(str(pets)).fingerprint


@pytest.mark.parametrize(
    "hostile",
    [
        member("../train/cat/1.png"),
        member("train/../../cat/1.png"),
        member("/etc/train/cat/1.png"),
        member("C:/train/cat/1.png"),
        member("train\\..\\..\\1.png"),
        member("train/cat/1.png", tarfile.SYMTYPE, "/etc/passwd"),
        member("train/cat/1.png", tarfile.LNKTYPE, "../../secret.png"),
        member("train/cat/1.png", tarfile.CHRTYPE),
        member("train/cat/1.png", tarfile.BLKTYPE),
        member("train/cat/1.png", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_a_tar_with_links_devices_or_paths_that_lead_out_is_refused(
    tmp_path: Path, hostile: tarfile.TarInfo
) -> None:
    message = refusal(tar_with(tmp_path / "bad.tar", hostile))
    assert "what no image set needs" in message
    assert "1.png" in message


def old_sparse(size: int) -> bytes:
    """GNU tar's header of a file of `size` bytes that is one hole."""
    info = member("train/cat/1.png", tarfile.GNUTYPE_SPARSE)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % size, b"%011o\0" % 0
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_sparse(size: int) -> bytes:
    """The same as the pax format has it."""
    info = member("train/cat/1.png")
    info.pax_headers = {"GNU.sparse.map": f"{size},0", "GNU.sparse.size": str(size)}
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize("header", [old_sparse, pax_sparse])
def test_files_with_holes_are_refused_before_the_holes_are_filled(
    tmp_path: Path, header: Callable[[int], bytes]
) -> None:
    path = tmp_path / "holes.tar"
    path.write_bytes(header(200 * 2**20) + bytes(10_240))
    with tarfile.open(path) as tar:
        assert [info.issparse() for info in tar] == [True]
    assert "1.png is a file with holes" in refusal(path)


@pytest.mark.parametrize("name", ["../cat/1.png", "/cat/1.png", "a/..\\..\\1.png", "link"])
def test_a_zip_with_links_or_paths_that_lead_out_is_refused(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    info.filename = name
    info.external_attr = (0o120777 if name == "link" else 0o100644) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as target:
        target.writestr(info, b"/etc/passwd")
    assert "what no image set needs" in refusal(tmp_path / "bad.zip")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_that_unpacks_to_absurdly_much_is_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 2**20)
    monkeypatch.setattr(archives, "RATIO", 20)
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.bmp").write_bytes(bytes(2**24))
    path = pack(tmp_path / "set", tmp_path / f"bomb{suffix}")
    if suffix == ".tar":  # not compressed: its size is honest
        assert "files in the class folders cannot be used" in refusal(path)
    else:
        assert "unpacks to absurdly much" in refusal(path)


def test_a_file_too_large_for_an_image_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = member("train/cat/1.bmp", size=2**40).tobuf()
    (tmp_path / "large.tar").write_bytes(header + bytes(10_240))
    assert "too large for an image" in refusal(tmp_path / "large.tar")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_an_archive_cut_short_is_noticed(pets: Path, suffix: str, kept: float) -> None:
    path = pack(pets, pets.parent / f"pets{suffix}")
    content = path.read_bytes()
    end = len(content.rstrip(b"\0")) if suffix == ".tar" else len(content)
    path.write_bytes(content[: int(end * kept)])
    assert "cut short, damaged" in refusal(path)


def test_a_tar_cut_between_two_files_is_noticed(pets: Path) -> None:
    path = pack(pets, pets.parent / "pets.tar")
    with tarfile.open(path) as tar:
        whole = [info.offset for info in tar if info.isreg()]
    path.write_bytes(path.read_bytes()[: whole[-1]])
    assert "its end is missing" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"only text", b"PK\3\4 and no zip", b"\x1f\x8b and no gzip", b"\xfd7zXZ\0 and no xz"],
)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.zip").write_bytes(content)
    assert ".zip .tar .tar.gz .tgz .tar.xz" in refusal(tmp_path / "file.zip")


def test_an_encrypted_zip_is_refused(pets: Path) -> None:
    path = pack(pets, pets.parent / "pets.zip")
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            content[start + offset] |= 1
    path.write_bytes(content)
    assert "cannot be read" in refusal(path)


def test_nothing_is_unpacked_to_disk(pets: Path, own_cache: Path) -> None:
    path = pack(pets, pets.parent / "pets.tar.gz")
    shutil.rmtree(pets)
    load(str(path))
    assert not list(path.parent.rglob("*.png"))
    assert list(own_cache.rglob("*.images"))


def test_a_damaged_header_within_a_tar_is_not_taken_for_its_end(pets: Path) -> None:
    packed = pack(pets, pets.parent / "pets.tar")
    with tarfile.open(packed) as tar:
        inside = tar.getmembers()[3].offset
    content = bytearray(packed.read_bytes())
    content[inside + 2] ^= 1  # of its name, which its checksum covers
    packed.write_bytes(content)
    assert "a header is damaged" in refusal(packed)


def test_several_tars_in_one_file_are_refused(pets: Path) -> None:
    packed = pack(pets, pets.parent / "pets.tar")
    packed.write_bytes(packed.read_bytes() * 2)
    assert "more stands behind its end" in refusal(packed)


def test_a_header_of_many_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = member("train/cat/1.png")
        info.pax_headers = {"comment": "x" * (archives.LARGEST_HEADER + 1)}
        tar.addfile(info)
    assert "a header of 1,04" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_by_a_method_that_python_unpacks_whole_is_refused(
    tmp_path: Path, method: int
) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", method) as target:
        target.writestr("train/cat/1.png", bytes(2**20))
    assert "packed by a method that is not read" in refusal(path)


def test_a_zip_whose_name_is_not_the_utf8_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "name.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("train/c\u00e4t/1.png", b"")
    path.write_bytes(path.read_bytes().replace("\u00e4".encode(), b"\xc3\xc3"))
    assert "cannot be read" in refusal(path)


def test_a_zip_that_claims_less_than_it_holds_is_not_unpacked_whole(tmp_path: Path) -> None:
    path, size = tmp_path / "set.zip", 64 * 2**20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("cat/1.png", bytes(size))
        target.writestr("dog/1.png", bytes(size))
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 10)))
    tracemalloc.start()
    try:
        assert "damaged" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(pets: Path, tmp_path: Path, suffix: str) -> None:
    path = pack(pets, tmp_path / f"set{suffix}")
    again = pets / "train" / "cat" / "0.png"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "a") as target:
            target.write(again, "train/cat/0.png")
    else:
        with tarfile.open(path, "a") as tar:
            tar.add(again, "train/cat/0.png")
    assert "train/cat/0.png" in refusal(path)
    assert "twice" in refusal(path)
