from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import pickle
import pickletools
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fallline import registry
from fallline.data import DATA, available, download, load
from fallline.data.imageset import silent
from fallline.data.published import read_cifar, read_idx
from fallline.errors import DataError, DataUnavailable

BUILT_IN = [row.name for row in DATA if row.origin == "built-in"]


@pytest.mark.parametrize("row", DATA, ids=lambda row: row.name)
def test_every_row_points_to_code_and_says_where_it_comes_from(row: Any) -> None:
    assert callable(registry.load(row.target))
    assert row.source
    assert bool(row.files) == bool(row.torchvision) == (row.origin == "download")


def test_a_set_shows_itself_without_its_pixels() -> None:
    digits = load("digits")
    assert repr(digits.train) == f"<Split: {len(digits.train):,} of 1,797 images>"
    assert repr(digits.train) in repr(digits)
    assert len(repr(digits)) < 1000


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_set_is_what_its_row_says(name: str) -> None:
    row, found = DATA[name], load(name)
    assert available(name)
    assert found.name == name
    assert found.shape == (row.channels, row.image_size, row.image_size)
    assert len(found.classes) == row.classes
    assert found.test is not None
    assert (len(found.train), found.val, len(found.test)) == (row.train, None, row.test)
    assert found.mirror == row.mirror
    assert not set(found.train.rows) & set(found.test.rows)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_set_takes_another_size_and_channels(name: str) -> None:
    assert load(name, image_size=20, channels=1).shape == (1, 20, 20)
    assert load(name, image_size=9, channels=3).shape == (3, 9, 9)


def test_digits_span_the_whole_range_and_the_classes_are_balanced() -> None:
    found = load("digits")
    assert found.test is not None
    assert (found.train.images.min(), found.train.images.max()) == (0, 255)
    assert np.bincount(found.test.targets).tolist() == pytest.approx([36] * 10, abs=1)


def test_synthetic_is_always_the_same(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load("synthetic").fingerprint
    monkeypatch.setenv("FALLLINE_CACHE", str(own_cache / "another"))
    assert load("synthetic").fingerprint == one


def test_synthetic_can_be_learned() -> None:
    found = load("synthetic")
    assert found.test is not None
    power = np.abs(np.fft.fft2(found.train.images.mean(3), axes=(1, 2)))
    power[:, 0, 0] = 0
    centres = np.stack(
        [power[found.train.rows][found.train.targets == c].mean(0) for c in range(4)]
    )
    distance = ((power[found.test.rows, None] - centres) ** 2).sum((2, 3))
    assert (distance.argmin(1) == found.test.targets).mean() > 0.95


def as_python2(content: bytes) -> bytes:
    """A pickle as Python 2 wrote it, like those of CIFAR: texts are byte strings."""
    changed = bytearray(content)
    old = {"SHORT_BINBYTES": b"U", "BINBYTES": b"T", "BINUNICODE": b"T"}
    for opcode, _, position in pickletools.genops(content):
        if opcode.name in old:
            changed[position or 0] = old[opcode.name][0]
    return bytes(changed).replace(b"numpy._core.", b"numpy.core.")


def cifar_archive(path: Path, files: dict[str, Any], folder: str = "cifar-10-batches-py") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, value in files.items():
            content = value if isinstance(value, bytes) else as_python2(pickle.dumps(value, 3))
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def batch(start: int, key: bytes = b"labels") -> dict[bytes, Any]:
    pixels = np.arange(start, start + 2 * 3072).reshape(2, 3072) % 251
    return {b"data": pixels.astype(np.uint8), key: [start % 10, 1], b"batch_label": b"x"}


CIFAR10 = {
    "data_batch_2": batch(2),
    "readme.html": b"<html>",
    "test_batch": batch(9),
    "data_batch_1": batch(1),
    "batches.meta": {b"label_names": [b"airplane", b"automobile"]},
}


def test_cifar10_is_read_in_the_order_of_its_batches(tmp_path: Path) -> None:
    classes, parts = read_cifar(cifar_archive(tmp_path / "c.tar.gz", CIFAR10))
    assert classes == ("airplane", "automobile")
    assert [split for split, _, _ in parts] == [0, 0, 2]
    assert [labels.tolist() for _, _, labels in parts] == [[1, 1], [2, 1], [9, 1]]
    images = parts[0][1]
    assert images.shape == (2, 32, 32, 3)
    plane = np.arange(1, 3073).reshape(3, 32, 32) % 251
    assert np.array_equal(images[0], plane.transpose(1, 2, 0))  # red, green, blue planes


def test_cifar100_is_read_by_its_fine_labels(tmp_path: Path) -> None:
    files = {
        "meta": {b"fine_label_names": [b"apple"], b"coarse_label_names": [b"fruit"]},
        "test": batch(5, b"fine_labels") | {b"coarse_labels": [0, 0]},
        "train": batch(4, b"fine_labels") | {b"coarse_labels": [0, 0]},
    }
    archive = cifar_archive(tmp_path / "c.tar.gz", files, "cifar-100-python")
    classes, parts = read_cifar(archive)
    assert classes == ("apple",)
    assert [(split, labels.tolist()) for split, _, labels in parts] == [(0, [4, 1]), (2, [5, 1])]


class Evil:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    content = pickle.dumps(Evil(tmp_path / "was here"))
    pickle.loads(content)  # the trap works ...
    (tmp_path / "was here").unlink()
    archive = cifar_archive(tmp_path / "c.tar.gz", CIFAR10 | {"data_batch_1": content})
    with pytest.raises(DataError, match="which no image set needs"):
        read_cifar(archive)
    assert not (tmp_path / "was here").exists()  # ... and we do not step into it


@pytest.mark.parametrize(
    "content", [b"", b"junk", pickle.dumps({b"labels": [1]}), pickle.dumps(3)]
)
def test_an_archive_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    archive = cifar_archive(tmp_path / "c.tar.gz", CIFAR10 | {"data_batch_1": content})
    with pytest.raises(DataError, match="not in its format"):
        read_cifar(archive)


def idx(values: np.ndarray) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(struct.pack(">HBB", 0, 8, values.ndim) + shape + values.tobytes())


def test_idx_files_are_read(tmp_path: Path) -> None:
    images = np.arange(2 * 28 * 28).astype(np.uint8).reshape(2, 28, 28)
    (tmp_path / "images.gz").write_bytes(idx(images))
    assert np.array_equal(read_idx(tmp_path / "images.gz"), images)


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", gzip.compress(b"\0\0\x0d\1\0\0\0\0"), b"cut"],
    ids=["empty", "junk", "of another type", "cut"],
)
def test_other_files_are_no_idx(tmp_path: Path, content: bytes) -> None:
    whole = idx(np.zeros((2, 3), np.uint8))
    (tmp_path / "x.gz").write_bytes(whole[:-12] if content == b"cut" else content)
    with pytest.raises(DataError, match="not in its format"):
        read_idx(tmp_path / "x.gz")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; /silent never answers, /half breaks off."""

    def do_GET(self) -> None:
        if self.path == "/silent":
            time.sleep(3)
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(bytes(500))
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder tmp_path/site."""
    (tmp_path / "site").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_mnist_is_downloaded_checked_read_and_kept(
    tmp_path: Path, site: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets

    arrays = [np.zeros((6, 28, 28)), np.arange(6), np.ones((4, 28, 28)), np.arange(4)]
    contents = [idx(array.astype(np.uint8)) for array in arrays]
    resources = [
        (name, md5(content)) for name, content in zip(DATA["mnist"].files, contents, strict=True)
    ]
    for (name, _), content in zip(resources, contents, strict=True):
        (tmp_path / "site" / name).write_bytes(content)
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [site + "gone/", site])
    assert not available("mnist")
    told: list[str] = []
    found = load("mnist", progress=lambda what, done, total: told.append(what))
    assert f"download {resources[0][0]}" in told
    assert available("mnist")
    assert found.shape == (1, 28, 28)
    assert found.test is not None
    assert (found.train.targets.tolist(), len(found.test)) == ([0, 1, 2, 3, 4, 5], 4)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    (image,) = own_cache.rglob("*.images")
    image.unlink()
    assert available("mnist")
    assert load("mnist").fingerprint == found.fingerprint  # from the files, without a network


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("http://127.0.0.1:9/file", "refused"),
        ("http://name.invalid/file", "not known|resolution|resolve|No address|nodename"),
        ("{site}gone", "404 File not found"),
        ("{site}silent", "no answer within 0.3 s|timed out"),
        ("{site}half", "broke off|another checksum"),
        ("{site}other", "another checksum"),
    ],
)
def test_what_cannot_be_fetched_is_told_apart_soon_and_leaves_nothing(
    tmp_path: Path, site: str, where: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "other").write_bytes(b"something else")
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
    addresses = socket.getaddrinfo

    def known(host: str | None, *more: Any, **options: Any) -> Any:
        if host == "name.invalid":  # whatever a network here would answer
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    url = where.format(site=site)
    monkeypatch.setattr(download, "_published", lambda row: [("file", [url], md5(b"right"))])
    with pytest.raises(DataUnavailable, match=said) as caught:
        download.fetch(DATA["cifar10"], silent)
    assert url in str(caught.value)
    assert "--data digits" in str(caught.value)
    assert str(tmp_path / "cache" / "downloads" / "cifar10") in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_half_a_file_is_removed_unless_somebody_is_still_writing_it(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "file").write_bytes(b"right")
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "cache"))
    path = download.downloads_folder(DATA["cifar10"]) / "file"
    path.parent.mkdir(parents=True)
    killed, going_on, another = (path.with_name(f".{n}") for n in ("file.a", "file.b", "other.a"))
    for half in (killed, going_on, another):
        half.write_bytes(b"ri")
    for half in (killed, another):
        os.utime(half, (time.time() - 100, time.time() - 100))
    published = [("file", [f"{site}file"], md5(b"right"))]
    monkeypatch.setattr(download, "_published", lambda row: published)
    download.fetch(DATA["cifar10"], silent)
    assert sorted(path.parent.iterdir()) == sorted([path, going_on, another])


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file may be put that no address has, and whose content is to be `right`."""
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(download, "_published", lambda row: [("file", [], md5(b"right"))])
    path = download.downloads_folder(DATA["cifar10"]) / "file"
    path.parent.mkdir(parents=True)
    return path


def test_a_file_put_there_by_hand_that_is_another_is_named(by_hand: Path) -> None:
    by_hand.write_bytes(b"half")
    with pytest.raises(DataUnavailable, match="it is there, with another checksum"):
        download.fetch(DATA["cifar10"], silent)


def test_a_file_put_there_by_hand_needs_no_network(by_hand: Path) -> None:
    by_hand.write_bytes(b"right")
    assert download.fetch(DATA["cifar10"], silent) == [by_hand]
