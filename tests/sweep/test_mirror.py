"""Run folders that are kept equal on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallline.storage import write_atomically
from fallline.sweep.mirror import Mirror, Parcel

NAMES = ("outcome.json", "metrics.jsonl", "checkpoints/step1.pt", "tensorboard/tfevents.1")
ACTIONS = st.tuples(
    st.sampled_from(["replace", "append", "remove", "send"]),
    st.sampled_from(NAMES),
    st.binary(max_size=20),
)


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def act(folder: Path, action: str, name: str, piece: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if action == "replace":
        write_atomically(path, piece)
    elif action == "append" and not name.endswith((".json", ".pt")):
        with path.open("ab") as file:
            file.write(piece)
    elif action == "remove":
        path.unlink(missing_ok=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, max_size=12))
def test_after_each_parcel_both_folders_are_equal(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str, bytes]]
) -> None:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    mirror = Mirror(here)
    for action, name, piece in [*actions, ("send", "", b"")]:
        if action != "send":
            act(here, action, name, piece)
            continue
        parcel = mirror.changes()
        if parcel is not None:
            parcel.unpack(there)
        assert content(there) == content(here)
        assert mirror.changes() is None


def test_a_longer_file_in_the_place_of_another_is_sent_whole(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    mirror, path = Mirror(here), here / "metrics.jsonl"
    for content_now in (b"one\n", b"another\n", b"another\nand more\n"):
        with path.open("r+b" if path.exists() else "wb") as file:  # the inode stays
            file.write(content_now)
        parcel = mirror.changes()
        assert parcel is not None
        parcel.unpack(there)
        assert content(there) == content(here)


def test_what_is_appended_to_is_sent_from_where_it_ended(tmp_path: Path) -> None:
    mirror, path = Mirror(tmp_path), tmp_path / "metrics.jsonl"
    path.write_bytes(b"one\n")
    assert mirror.changes() == Parcel({"metrics.jsonl": (0, b"one\n")})
    with path.open("ab") as file:
        file.write(b"two\n")
    assert mirror.changes() == Parcel({"metrics.jsonl": (4, b"two\n")})


def test_locks_half_written_files_and_links_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".outcome.json.xyz").touch()
    (tmp_path / "latest").symlink_to(tmp_path / ".lock")
    assert Mirror(tmp_path).changes() is None


def test_the_outcome_is_written_last(tmp_path: Path) -> None:
    """Whoever finds it may rely on all the rest; here the rest cannot be written."""
    (tmp_path / "zebra").touch()
    parcel = Parcel({"outcome.json": (0, b"{}"), "zebra/z.jsonl": (4, b"x")})
    with pytest.raises(Exception, match=r"z\.jsonl"):
        parcel.unpack(tmp_path)
    assert not (tmp_path / "outcome.json").exists()


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "a/../../escape"])
def test_a_parcel_writes_nowhere_but_below_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not below"):
        Parcel({name: (0, b"x")}).unpack(tmp_path)
    with pytest.raises(ValueError, match="not below"):
        Parcel({}, (name,)).unpack(tmp_path)
