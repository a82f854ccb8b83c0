"""Where a study is kept: each kind keeps all, admits one coordinator, and outlives a kill."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.study import StudyDirection
from scripted import Plot, Scripted

from fallline.errors import ConfigError, RunError
from fallline.sweep.coordinator import Coordinator
from fallline.sweep.search import SweepSearch
from fallline.sweep.store import address, open_store, open_to_read

OpenSearch = Callable[..., SweepSearch]
HOLD = """
import sys, time
from pathlib import Path
from fallline.sweep.store import open_store
with open_store(sys.argv[1] or None, Path(sys.argv[2]), "sweep"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real server of the test's own, in a folder that its user may enter where we are root."""
    pytest.importorskip("pgserver", reason="there is no wheel of pgserver for this Python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from pgserver.postgres_server import get_server
    folder = tempfile.mkdtemp(prefix="fallline-pg-")
    Path(folder).chmod(0o755)
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Each kind of storage, as --storage says it."""
    if request.param == "sqlite":
        return None
    if request.param == "journal":
        return f"journal:{tmp_path / 'study.log'}"
    address: str = request.getfixturevalue("postgresql")
    return address


def test_a_study_is_the_same_when_it_is_opened_again(
    small: dict[str, Any], open_search: OpenSearch, where: str | None, tmp_path: Path
) -> None:
    name = f"again-{tmp_path.name}"
    search = open_search(small, where, name)
    plots = lambda number, seed: Plot([0.1, 0.2 + number / 10])  # noqa: E731
    Coordinator(search, Scripted(plots, 2), lambda news: None).run()
    before = search.trials
    after = open_search(small, where, name).trials
    assert [(t.parameters, t.status, t.values, t.curve) for t in after] == [
        (t.parameters, t.status, t.values, t.curve) for t in before
    ]
    assert [t.curve for t in after] == [((1, 0.1), (2, 0.2 + i / 10)) for i in range(4)]


def test_a_second_coordinator_is_refused_until_the_first_is_killed(
    where: str | None, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", HOLD, where or "", str(tmp_path / "one")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        folder = tmp_path / ("one" if where is None else "another")  # the store itself is locked
        with pytest.raises(RunError, match="under way in another process"):
            open_store(where, folder, "sweep").__enter__()
        first.kill()
        first.wait()
        with open_store(where, folder, "sweep"):
            pass
    finally:
        first.kill()
        first.communicate()


def test_a_journal_whose_last_line_was_torn_by_a_kill_is_read(
    small: dict[str, Any], open_search: OpenSearch, tmp_path: Path
) -> None:
    path = tmp_path / "study.log"
    search = open_search(small, f"journal:{path}")
    Coordinator(search, Scripted(lambda number, seed: Plot()), lambda news: None).run()
    with path.open("ab") as file:
        file.write(b'{"op_code": 5, "worker_id": "a')
    again = open_search(small, f"journal:{path}")
    assert [trial.status for trial in again.trials] == ["completed"] * 4
    again._study.keep_spent({"seconds": 1.0})  # and written
    assert open_search(small, f"journal:{path}")._study.spent == {"seconds": 1.0}


def test_a_journal_at_home_is_one_place_however_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_store("journal:~/study.log", tmp_path / "sweep", "sweep") as written:
        written.create_new_study([StudyDirection.MINIMIZE], "sweep")
    kept = [address(f"journal:{path}") for path in ("~/study.log", "study.log")]
    assert kept == [f"journal:{tmp_path}/study.log"] * 2
    for where in ("journal:~/study.log", *kept):
        found = open_to_read(where, tmp_path / "sweep").get_all_studies()
        assert [study.study_name for study in found] == ["sweep"]


def test_an_address_that_does_not_answer_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        open_store("postgresql://me:secret@127.0.0.1:1/db", tmp_path, "sweep").__enter__()
    assert "psql postgresql://me@127.0.0.1:1/db" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_storage_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"journal:PATH or postgresql://"):
        open_store("mysql://x", tmp_path, "sweep").__enter__()


def test_a_changed_sweep_is_refused_and_a_new_cap_extends_it(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    search = open_search(small)
    Coordinator(search, Scripted(lambda number, seed: Plot()), lambda news: None).run()
    with pytest.raises(RunError, match=r"begun with something else") as caught:
        open_search({**small, "method": "bayes"})
    assert 'method: "random" -> "bayes"' in str(caught.value)
    with pytest.raises(RunError):
        open_search({**small, "fallline": {"seed": 5}})
    search = open_search({**small, "run_cap": 6})
    Coordinator(search, second := Scripted(lambda number, seed: Plot()), lambda news: None).run()
    assert [task.key for task in second.submitted] == ["trial-0004-seed0", "trial-0005-seed0"]
