"""Where a sweep's study is kept: SQLite in its folder, a journal file, or a PostgreSQL server.

One coordinator writes at a time; another is refused while it lives. SQLite runs in WAL mode, so
that a dashboard reads beside it. WAL does not work on a network file system: use a journal there.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend

from fallline.command import without_password
from fallline.errors import ConfigError, MissingExtra, RunError
from fallline.lock import LOCK, locked
from fallline.storage import make_folder

DATABASE: Final = "study.db"
ALLOWED: Final = (
    "nothing (SQLite in the sweep's folder), journal:PATH or postgresql://HOST/DATABASE"
)
SECONDS_TO_WAIT: Final = 60.0  # for a dashboard that reads
SECONDS_TO_BE_MISSED: Final = 3  # a server may take to notice that a coordinator was killed

optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def open_store(where: str | None, folder: Path, name: str) -> Iterator[BaseStorage]:
    """The storage of the sweep `name` in `folder`, ours alone to write.

    Args:
        where: what `--storage` says; None: SQLite in the folder.

    Raises RunError if another coordinator is at work, ConfigError for a `where` that is none,
    StorageError where there can be no such folder.
    """
    address(where)  # refuses it before the folder is there
    make_folder(folder)
    with locked(folder / LOCK, _at_work(str(folder))):
        if where is None:
            with _open(_sqlite(folder / DATABASE)) as storage:
                yield storage
        elif where.startswith("journal:"):
            path = _journal_path(where)
            with locked(path.with_name(path.name + ".coordinator"), _at_work(str(path))):
                yield _journal(path)
        else:
            with _advisory_lock(where, name), _open(_postgresql(where)) as storage:
                yield storage


def open_to_read(where: str | None, folder: Path) -> BaseStorage:
    """The storage for a dashboard: beside a coordinator, without its lock."""
    if where is None:
        return _sqlite(folder / DATABASE)
    if where.startswith("journal:"):
        return JournalStorage(JournalFileBackend(str(_journal_path(where))))
    return _postgresql(where)


@contextmanager
def _open(database: RDBStorage) -> Iterator[BaseStorage]:
    """The database behind Optuna's cache; its connections are closed after."""
    try:
        yield get_storage(database)
    finally:
        database.remove_session()
        database.engine.dispose()


class _WalConnection(sqlite3.Connection):
    """Writers do not wait for readers, and a commit waits for the disk at checkpoints only."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def _sqlite(path: Path) -> RDBStorage:
    connect = partial(
        sqlite3.connect,
        path,
        timeout=SECONDS_TO_WAIT,
        check_same_thread=False,
        factory=_WalConnection,
    )
    return RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})


def _journal(path: Path) -> JournalStorage:
    """A journal; what a kill left of its last line is cut off, Optuna could never read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
    Path(f"{path}.lock").unlink(missing_ok=True)  # of a writer that was killed: we are alone now
    return JournalStorage(JournalFileBackend(str(path)))


def _postgresql(url: str) -> RDBStorage:
    _psycopg()
    return RDBStorage("postgresql+psycopg://" + url.partition("://")[2])


@contextmanager
def _advisory_lock(url: str, name: str) -> Iterator[None]:
    """A lock that the server itself lets go when this process's connection ends."""
    psycopg = _psycopg()
    key = int.from_bytes(
        hashlib.sha256(f"fallline {name}".encode()).digest()[:8], "big", signed=True
    )
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        raise RunError(
            "the database of --storage cannot be used",
            seen=str(error).strip(),
            allowed="a PostgreSQL server that answers, and a database on it that exists",
            next="try the address with: psql " + without_password(url),
        ) from error
    with connection:
        connection.execute(f"SET lock_timeout = '{SECONDS_TO_BE_MISSED}s'")
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        except psycopg.errors.LockNotAvailable:
            raise _at_work(f"the study {name} in that database") from None
        yield


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("psycopg", "postgres", "a study in PostgreSQL") from error
    return psycopg


def address(where: str | None) -> str | None:
    """A storage as a sweep's folder keeps it: readable from anywhere, without its password.

    Raises ConfigError for one that is none.
    """
    if where is None:
        return None
    if where.startswith("journal:") and not _journal_path(where).is_dir():
        return f"journal:{_journal_path(where)}"
    if where.startswith(("postgresql://", "postgres://")):
        return without_password(where)
    raise ConfigError(
        "there is no such storage", seen=where, allowed=ALLOWED, next="leave out --storage"
    )


def _journal_path(where: str) -> Path:
    return Path(where.removeprefix("journal:")).expanduser().absolute()


def _at_work(what: str) -> RunError:
    return RunError(
        "the sweep is under way in another process",
        seen=what,
        next="wait for it or stop it first; --workers lets one coordinator run more at a time",
    )
