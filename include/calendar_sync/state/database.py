"""Opening the state database, and transactions as short as a few statements.

SQLite: write-ahead log, busy timeout, and BEGIN IMMEDIATE for every transaction that writes (a
deferred one fails as soon as two processes upgrade at once). No transaction is ever open during a
request to a remote service.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError

URL_VARIABLE = "CALENDAR_SYNC_DATABASE_URL"
BUSY_SECONDS = 30
CLOCKS_DIFFER = timedelta(seconds=2)
#: Of PostgreSQL, unless the URL says otherwise: a server that has gone silent is given up. Seconds,
#: but `tcp_user_timeout` in milliseconds.
#: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
READ = "BEGIN"
WRITE = "BEGIN IMMEDIATE"


def default_url() -> str:
    """The configured URL, else a SQLite file in AIRFLOW_HOME."""
    if url := os.environ.get(URL_VARIABLE):
        return url
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return f"sqlite:///{home / 'calendar_sync.db'}"


class Database:
    """The state database: `read()` and `write()` are its transactions."""

    def __init__(self, url: str | None = None) -> None:
        self.url = make_url(url or default_url())
        self.engine = _open(self.url)
        self._here = threading.local()

    @property
    def is_sqlite(self) -> bool:
        """One machine only."""
        return self.engine.dialect.name == "sqlite"

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on an exception."""
        with self.engine.connect() as connection, connection.begin():
            self._begin(connection, WRITE)
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads and so never waits for writers.

        Inside another one of the same thread it is that one: most of a small read's time is spent
        on beginning and ending it. No task waits for another inside such a block.
        """
        outer: Connection | None = getattr(self._here, "reading", None)
        if outer is not None:
            yield outer
            return
        with self.engine.connect() as connection, connection.begin():
            self._begin(connection, READ)
            self._here.reading = connection
            try:
                yield connection
            finally:
                self._here.reading = None

    @contextlib.contextmanager
    def snapshot(self, *, any_text: bool = False) -> Iterator[Connection]:
        """A transaction that only reads and sees one moment, whatever is committed meanwhile.

        SQLite's always do; PostgreSQL's otherwise see another moment with each statement.
        `any_text` reads SQLite's text even if it contains bytes that are not text.
        """
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.execution_options(**level).begin() as connection:
            self._begin(connection, READ)
            raw: Any = connection.connection.driver_connection
            if any_text and self.is_sqlite:
                raw.text_factory = lambda value: value.decode("utf-8", "replace")
            try:
                yield connection
            finally:
                if any_text and self.is_sqlite:
                    raw.text_factory = str

    def insert(self, table: Any) -> Any:
        """An INSERT of this dialect that knows ON CONFLICT."""
        return insert_of(table, self.is_sqlite)

    def upsert(self, table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> Any:
        """An INSERT that overwrites these values of a row with the same key; made once."""
        return _upsert(self.is_sqlite, table, key, values)

    def lock(self, connection: Connection, table: Table) -> None:
        """Lock this table for writes until the transaction ends (no effect with SQLite)."""
        if not self.is_sqlite:
            connection.exec_driver_sql(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE")

    def clock(self) -> SystemClock:
        """The server's clock, which all machines share: leases and queues hold times.

        A difference of less than two seconds, or than the answer took, is none.
        """
        if self.is_sqlite:
            return SystemClock()
        asked = SystemClock().now()
        with self.read() as connection:
            there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        took = SystemClock().now() - asked
        behind = there - (asked + took / 2)
        return SystemClock(behind) if abs(behind) > CLOCKS_DIFFER + took else SystemClock()

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()

    def _begin(self, connection: Connection, word: str) -> None:
        """Begin a transaction in SQLite, whose driver begins none by itself (`_prepare`).

        Past SQLAlchemy, for which this word would be as much work as a whole statement; and no
        listener of its event "begin": with any, it looks for listeners at each statement.
        """
        if not self.is_sqlite:
            return
        driver: Any = connection.connection.driver_connection
        try:
            driver.execute(word)
        except sqlite3.Error as error:
            raise DBAPIError.instance(
                word, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
            ) from error


def of_database(error: Exception) -> bool:
    """It is about the database itself, or its driver, and not about the rows of one user."""
    return isinstance(error, DBAPIError) and not isinstance(error, (IntegrityError, DataError))


@cache
def insert_of(table: Table, is_sqlite: bool) -> Any:
    """An INSERT that knows ON CONFLICT; made once for each dialect."""
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


@cache
def _upsert(is_sqlite: bool, table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> Any:
    statement = insert_of(table, is_sqlite)
    new = {name: statement.excluded[name] for name in values}
    return statement.on_conflict_do_update(index_elements=key, set_=new)


def _open(url: Any) -> Engine:
    name = url.get_backend_name()
    if name == "postgresql":
        # Prepared statements belong to a connection, which PgBouncer gives to others in between.
        given: dict[str, Any] = {"prepare_threshold": None}
        given |= {key: value for key, value in PATIENCE.items() if key not in url.query}
        # A task needs two connections. Pages are served by many threads: they wait for one of ten.
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=2,
            max_overflow=8,
            connect_args=given,
            hide_parameters=True,
        )
    if name != "sqlite":
        raise ConfigurationError(detail=f"{URL_VARIABLE}: sqlite or postgresql, not {name}")
    if url.database and url.database != ":memory:":
        # Opening a connection costs as much as five statements. Idle ones keep SQLite from writing
        # its log back to the file, and waiting for the disk, after each transaction. None is open
        # before the first transaction, so that Airflow's forks inherit none.
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=5, max_overflow=-1, hide_parameters=True
        )
        # SQLite's own form of a name ("file:…?mode=ro") opens an existing file.
        if not url.database.startswith("file:"):
            _follow(engine, Path(url.database))
    else:
        engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    return engine


def _follow(engine: Engine, file: Path) -> None:
    """Make the file if need be. Drop connections to another file of this name, or of a parent."""
    _make_folder(file.parent)
    event.listen(engine, "do_connect", lambda *_: _make_file(file))

    @event.listens_for(engine, "connect")
    def opened(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(file)

    @event.listens_for(engine, "checkout")
    def taken(_: Any, record: ConnectionPoolEntry, __: Any) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError


def _identity(file: Path) -> tuple[int, ...] | None:
    with contextlib.suppress(FileNotFoundError):
        found = file.stat()
        return os.getpid(), found.st_dev, found.st_ino
    return None


def _make_folder(folder: Path) -> None:
    """Make it and its parents, readable by the owner only; existing folders stay as they are."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _make_file(file: Path) -> None:
    """Readable by the owner only: it tells whom visits are with. SQLite does so with its log."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def close_to_others(database: Database) -> None:
    """Remove all rights of other users on a SQLite file and its log."""
    name = database.url.database
    if not database.is_sqlite or not name or name == ":memory:" or name.startswith("file:"):
        return
    for file in (Path(name + end) for end in ("", "-wal", "-shm")):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if mode := file.stat().st_mode & 0o077:
                file.chmod(file.stat().st_mode & 0o777 & ~mode)


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
