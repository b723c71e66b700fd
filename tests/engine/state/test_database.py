"""Transactions: short, immediate, and never lost."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.database import PATIENCE, default_url
from calendar_sync.state.migrate import upgrade
from tests.engine.state.conftest import NOW, mark

PAIR = ("u1", Platform.GOOGLE)
WRITER = """
import sys
from datetime import UTC, datetime
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
store = Store(Database(sys.argv[1]), "key")
for number in range(20):
    store.marks.of("u1", Platform.GOOGLE)
    with store.database.write() as connection:
        pairs = [("u1", Platform.GOOGLE), ("u2", Platform.GOOGLE)]
        store.marks.mark(connection, pairs, datetime.now(UTC))
"""


def test_eight_writing_threads_never_fail(database: Database) -> None:
    def write(_: int) -> None:
        store = Store(database, "key")
        for _ in range(15):
            store.marks.of(*PAIR)
            mark(store, [PAIR, ("u2", Platform.GOOGLE)], NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert Store(database, "key").marks.of(*PAIR).mark_seq == 120


def test_eight_writing_processes_never_fail_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    database = Database(url)
    upgrade(database)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url], stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, b"")
    assert Store(database, "key").marks.of(*PAIR).mark_seq == 160
    database.close()


def test_what_fails_leaves_no_trace(store: Store) -> None:
    def fail() -> None:
        with store.database.write() as connection:
            store.marks.mark(connection, [PAIR], NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not store.marks.of(*PAIR).marked


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    mark(store, [PAIR], NOW)
    with store.database.write() as connection:
        store.marks.mark(connection, [PAIR], NOW)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(store.marks.of, *PAIR).result().mark_seq == 1
    assert store.marks.of(*PAIR).mark_seq == 2


def test_instants_keep_their_zone_and_naive_ones_are_refused(store: Store) -> None:
    mark(store, [PAIR], NOW)
    assert store.marks.of(*PAIR).marked_at == NOW
    with pytest.raises(StatementError, match="naive"):
        mark(store, [("u3", Platform.GOOGLE)], datetime(2026, 3, 2))


def test_no_error_shows_parameters(store: Store) -> None:
    row = {
        "user_id": "u1", "platform": "google", "account": "Zyxwanda", "enabled": True,
        "revision": 1, "changed_at": NOW, "changed_by": "x",
    }  # fmt: skip
    with store.database.write() as connection:
        connection.execute(t.user_mapping.insert(), row)
    with pytest.raises(DBAPIError) as caught, store.database.write() as connection:
        connection.execute(t.user_mapping.insert(), row)
    # The server's own detail names the values; it stays inside the exception.
    own = str(caught.value).split("\n")
    assert not any("Zyxwanda" in line for line in own if "DETAIL" not in line)


def test_where_the_database_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    assert default_url() == f"sqlite:///{tmp_path}/calendar_sync.db"
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", "sqlite:///elsewhere.db")
    assert default_url() == "sqlite:///elsewhere.db"
    with pytest.raises(ConfigurationError, match="mysql"):
        Database("mysql://x/y")


def test_a_name_in_sqlites_own_form_makes_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SQLite reads `file:` as a URI: the folder of that name is nobody's."""
    monkeypatch.chdir(tmp_path)
    Database("sqlite:///file:below/state.db?mode=ro&uri=true").close()
    assert list(tmp_path.iterdir()) == []


def test_a_read_within_a_read_is_the_same_transaction(database: Database) -> None:
    seen: list[object] = []

    def elsewhere() -> None:
        with database.read() as connection:
            seen.append(connection)

    with database.read() as outer:
        with database.read() as inner:
            assert inner is outer
        with pytest.raises(ZeroDivisionError), database.read() as inner:
            raise ZeroDivisionError
        # Still open: the inner ones end nothing.
        assert outer.scalar(text("SELECT 1")) == 1
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        seen.append(outer)
    with database.read() as later:
        assert len({id(one) for one in [*seen, later]}) == 3


# --- who may read it ------------------------------------------------------------


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_its_log_and_its_folder_are_for_their_owner_alone(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        database = Database(f"sqlite:///{tmp_path}/deep/home/state.db")
        upgrade(database)
        mark(Store(database, "key"), [PAIR], NOW)
        found = modes(tmp_path / "deep" / "home")
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm"), 0o600)
    assert modes(tmp_path) == {"deep": 0o700}
    assert modes(tmp_path / "deep") == {"home": 0o700}
    database.close()


def test_a_folder_that_is_there_stays_and_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "state.db").touch(mode=0o644)
    database = Database(f"sqlite:///{folder}/state.db")
    upgrade(database)
    assert set(modes(folder).values()) == {0o600}
    assert modes(tmp_path) == {"home": 0o755}
    database.close()


def test_looking_for_a_database_makes_none(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/state.db").close()
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_another_holds_is_an_error_that_callers_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calendar_sync.state.database.BUSY_SECONDS", 0)
    one, other = Database(f"sqlite:///{tmp_path}/s.db"), Database(f"sqlite:///{tmp_path}/s.db")
    with one.write(), pytest.raises(OperationalError, match="locked"), other.write():
        pass
    with other.write() as connection:
        assert connection.execute(text("select 1")).scalar() == 1
    one.close()
    other.close()


def test_a_file_that_was_put_in_the_others_place_is_the_one_that_is_read(tmp_path: Path) -> None:
    """A restored backup, or a lost database that was made again, while processes have it open."""
    made, restored = tmp_path / "state.db", tmp_path / "restored.db"
    for file, marks in ((made, 1), (restored, 2)):
        database = Database(f"sqlite:///{file}")
        upgrade(database)
        for _ in range(marks):
            mark(Store(database, "key"), [PAIR], NOW)
        database.close()
    store = Store(Database(f"sqlite:///{made}"), "key")
    assert store.marks.of(*PAIR).mark_seq == 1
    restored.replace(made)
    for log in tmp_path.glob("state.db-*"):
        log.unlink()
    assert store.marks.of(*PAIR).mark_seq == 2
    mark(store, [PAIR], NOW)
    assert store.marks.of(*PAIR).mark_seq == 3
    store.database.close()


def test_a_forked_process_opens_connections_of_its_own(tmp_path: Path) -> None:
    store = Store(Database(f"sqlite:///{tmp_path}/state.db"), "key")
    upgrade(store.database)
    mark(store, [PAIR], NOW)

    def opened() -> object:
        with store.database.read() as connection:
            return connection.connection.driver_connection

    before = opened()
    assert opened() is before
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            mark(store, [PAIR], NOW)
            code = 0 if opened() is not before else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert opened() is before
    assert store.marks.of(*PAIR).mark_seq == 2
    store.database.close()


@pytest.mark.postgres
@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_machine_whose_clock_is_wrong_has_the_servers_time(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    """Otherwise its times would keep other machines from leases, and from their turn."""
    right = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: right(self) + wrong)
    database = Database(postgres_url)
    try:
        assert abs(database.clock().now() - datetime.now(UTC)) < abs(wrong) / 2
    finally:
        database.close()


@pytest.mark.postgres
def test_clocks_that_agree_are_left_alone(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        assert database.clock().behind == timedelta(0)
    finally:
        database.close()


def test_a_file_has_the_clock_of_its_machine(tmp_path: Path) -> None:
    assert Database(f"sqlite:///{tmp_path}/state.db").clock().behind == timedelta(0)


def test_who_asks_for_nothing_needs_no_database() -> None:
    nowhere = Store(Database("sqlite:////nowhere/state.db"), "key")
    assert nowhere.feeds.seen("events", []) == {}
    assert nowhere.feeds.encounters([]) == {}
    assert nowhere.feeds.encounters_by_id([]) == []
    assert nowhere.links.mirrors_of([]) == []
    assert nowhere.links.blocks([]) == []


@pytest.mark.timeout(100)
def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a limit of ours psycopg waits for 130 seconds."""
    monkeypatch.setitem(PATIENCE, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            contextlib.closing(Database(f"postgresql+psycopg://nobody@{place}/state")) as database,
            pytest.raises(OperationalError, match="timeout"),
            database.read(),
        ):
            pass


def test_what_the_url_says_about_patience_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    given = "connect_timeout=3&keepalives_idle=7"
    seen: dict[str, object] = {}
    database = Database(f"postgresql+psycopg://nobody@{place}/state?{given}")
    event.listen(database.engine, "do_connect", lambda _, __, ___, named: seen.update(named))
    with contextlib.closing(database), pytest.raises(OperationalError), database.read():
        pass
    assert {key: str(seen[key]) for key in ("connect_timeout", "keepalives_idle")} == {
        "connect_timeout": "3",
        "keepalives_idle": "7",
    }
    assert seen["keepalives_count"] == PATIENCE["keepalives_count"]
