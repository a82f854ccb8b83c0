from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_files import paint

from fallline.data import cache, cached_sets, check_cached, load
from fallline.errors import DataError


class Seen:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.calls.append((what, done, total))


def the_file(own_cache: Path) -> Path:
    (path,) = own_cache.rglob("*.images")
    return path


def flip(path: Path, position: int) -> None:
    """One bit of a file, as failing hardware does it: the time of modification stays."""
    facts = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def script(code: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


def test_the_second_load_decodes_nothing(pets: Path, own_cache: Path) -> None:
    first, second = Seen(), Seen()
    one = load(str(pets), progress=first)
    two = load(str(pets), progress=second)
    assert first.calls[-1] == ("decode pets", 14, 14)
    assert first.calls.count(("decode pets", 14, 14)) == 1  # which ends the line, once
    assert second.calls == []
    assert one.fingerprint == two.fingerprint
    assert one.notes == two.notes == ()
    assert np.array_equal(one.train.images, two.train.images)


def test_other_options_get_a_file_of_their_own(pets: Path, own_cache: Path) -> None:
    assert load(str(pets), image_size=8).shape == (3, 8, 8)
    assert load(str(pets), channels=1).shape == (1, 16, 16)
    assert load(str(pets)).shape == (3, 16, 16)
    assert {found.shape for found in cached_sets()} == {(8, 8, 3), (16, 16, 1), (16, 16, 3)}


@pytest.mark.parametrize("change", ["content", "new", "gone", "renamed"])
def test_a_source_that_changed_is_decoded_again(pets: Path, own_cache: Path, change: str) -> None:
    before = load(str(pets))
    picture = pets / "train" / "cat" / "0.png"
    if change == "content":
        paint(picture, "blue")
    elif change == "new":
        paint(picture.with_name("new.png"))
    elif change == "gone":
        picture.unlink()
    else:
        picture.rename(pets / "train" / "dog" / "zero.png")
    after = load(str(pets))
    assert after.fingerprint != before.fingerprint
    assert after.notes == (f"decoded again, the source has changed: {pets}",)
    assert load(str(pets)).notes == ()


def positions(path: Path) -> list[int]:
    """A byte of every part of a cache file."""
    size = path.stat().st_size
    pixels = cache.PAGE + 14 * 16 * 16 * 3
    return [0, 9, 40, 4000, cache.PAGE, pixels - 1, pixels, size - 200, size - 20, size - 1]


@pytest.mark.parametrize("index", range(10))
def test_one_flipped_bit_anywhere_is_noticed_and_the_file_rebuilt(
    pets: Path, own_cache: Path, index: int
) -> None:
    good = load(str(pets))
    path = the_file(own_cache)
    content = path.read_bytes()
    flip(path, positions(path)[index])
    again = load(str(pets))
    assert again.fingerprint == good.fingerprint
    assert str(path) in again.notes[0]
    assert "was damaged and made again" in again.notes[0]
    assert path.read_bytes()[cache.PAGE :][: 14 * 768] == content[cache.PAGE :][: 14 * 768]
    assert load(str(pets)).notes == ()


@pytest.mark.parametrize("kept", [0, 100, 5000, -1])
def test_a_cache_file_cut_short_is_noticed_and_rebuilt(
    pets: Path, own_cache: Path, kept: int
) -> None:
    good = load(str(pets))
    path = the_file(own_cache)
    path.write_bytes(path.read_bytes()[:kept])
    again = load(str(pets))
    assert again.fingerprint == good.fingerprint
    assert "was damaged and made again" in again.notes[0]
    assert load(str(pets)).notes == ()


def test_a_change_to_a_file_too_large_to_read_each_time_is_noticed_by_its_time(
    pets: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ALWAYS_READ_THROUGH", 0)
    load(str(pets))
    path = the_file(own_cache)
    assert load(str(pets)).notes == ()
    flip(path, cache.PAGE)
    assert load(str(pets)).notes == ()  # the price of not reading it through ...
    with pytest.raises(DataError, match="block 1 of 1 are damaged"):
        check_cached(path)  # ... and the way to pay it
    path.touch()
    assert "was damaged" in load(str(pets)).notes[0]


def test_what_is_cached_can_be_listed_and_checked(pets: Path, own_cache: Path) -> None:
    assert cached_sets() == []
    load(str(pets))
    load("synthetic")
    pet, synthetic = cached_sets()
    assert (pet.name, pet.source, pet.images, pet.classes) == ("pets", str(pets), 14, 2)
    assert (synthetic.shape, synthetic.fault) == ((16, 16, 3), None)
    assert len(check_cached(pet.path).train) == 10
    pet.path.write_bytes(b"nonsense")
    assert any(found.fault == "it is cut short" for found in cached_sets())
    with pytest.raises(DataError, match="delete it"):
        check_cached(pet.path)


LOAD = """
import sys
from fallline.data import load, workers
workers.ALONE_SECONDS = 0
calls = []
found = load({path!r}, progress=lambda *told: calls.append(told))
print(found.fingerprint, sum(what.startswith("decode") for what, *_ in calls) > 0)
"""


def test_of_two_processes_that_start_together_one_decodes(tmp_path: Path, own_cache: Path) -> None:
    for index in range(600):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png", (index % 256, 0, 0))
    both = [script(LOAD.format(path=str(tmp_path / "set"))) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    (one, who), (other, who_else) = (answer[0].split() for answer in answers)
    assert one == other
    assert sorted((who, who_else)) == ["False", "True"]


def test_a_process_killed_while_decoding_leaves_nothing_in_the_way(
    tmp_path: Path, own_cache: Path
) -> None:
    for index in range(600):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png")
    process = script(LOAD.format(path=str(tmp_path / "set")))
    deadline = time.monotonic() + 30
    while not list(own_cache.rglob(".*.images.*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(own_cache.rglob("*.images"))
    assert len(load(str(tmp_path / "set")).train) == 600
    assert not list(own_cache.rglob(".*.images.*"))


def test_without_a_writable_cache_the_set_is_decoded_for_this_run_alone(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "a file" / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = load(str(pets))
    assert len(found.train) == 10
    assert found.train.images[0].shape == (16, 16, 3)
    assert "the cache cannot be written" in found.notes[0]
    assert not list(tmp_path.rglob("*.images"))


def limited(code: str, megabytes: int) -> subprocess.CompletedProcess[str]:
    """Runs code that can write no file larger than that: the disk is full for it."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * 2**20, megabytes * 2**20))

    return subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, preexec_fn=limit
    )


def test_a_full_disk_is_an_error_with_the_path_and_leaves_nothing(
    tmp_path: Path, own_cache: Path
) -> None:
    for index in range(12):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png", size=(200, 200))
    ended = limited(LOAD.format(path=str(tmp_path / "set")), megabytes=1)
    assert "fallline.errors.StorageError: cannot write" in ended.stderr
    assert str(own_cache) in ended.stderr
    assert "free" in ended.stderr
    assert not [path for path in own_cache.rglob("*") if "images" in path.suffixes]


def test_a_script_without_a_main_guard_can_load_from_many_processes(
    tmp_path: Path, own_cache: Path
) -> None:
    for index in range(300):
        paint(tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png")
    (tmp_path / "script.py").write_text(LOAD.format(path=str(tmp_path / "set")))
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], text=True, capture_output=True
    )
    assert (ended.stdout.count("\n"), ended.stderr) == (1, "")


@pytest.mark.alone
@pytest.mark.cifar
def test_the_jpeg_copy_of_cifar10_loads_whole_and_starts_at_once(
    cifar_jpeg: Path, own_cache: Path
) -> None:
    found = load(str(cifar_jpeg))
    assert found.shape == (3, 32, 32)
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (50_000, 10_000)
    assert np.bincount(found.train.targets).tolist() == [5_000] * 10
    assert np.bincount(found.test.targets).tolist() == [1_000] * 10
    assert found.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.001)  # the originals'
    assert found.notes[0].startswith("JPEG copy")
    start = time.perf_counter()
    again = load(str(cifar_jpeg))
    again.train.images[again.train.rows[:500]].sum()
    assert time.perf_counter() - start < 1
