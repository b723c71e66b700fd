"""The backup of deploy/compose: its dumps can be restored, and are not kept for ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from calendar_sync.state import Database, Store
from tests.engine.state import test_rights
from tests.engine.state.test_audit import run, write
from tests.engine.state.test_rights import url
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import PostgresServer

pytestmark = pytest.mark.postgres
server = test_rights.server
made = test_rights.made
SCRIPT = REPOSITORY / "deploy" / "compose" / "backup.sh"
DAY = 86_400
KEEP_DAYS = 14


def backup(
    server: PostgresServer, folder: Path, role: str = "backup"
) -> subprocess.CompletedProcess[str]:
    """One round of the script, as its container runs it."""
    environment = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": role,
        "PGPASSWORD": f"made-up-{role}",
        "BACKUP_FOLDER": str(folder),
        "BACKUP_KEEP_DAYS": str(KEEP_DAYS),
    }
    return subprocess.run(
        [SCRIPT, "once"], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def restore(server: PostgresServer, dump: Path) -> None:
    """As docs/deploy.md says."""
    program = shutil.which("pg_restore")
    assert program is not None
    where = server.url("calendar_sync").replace("+psycopg", "")
    subprocess.run(
        [program, "--role=owner", "--clean", "--if-exists", f"--dbname={where}", dump], check=True
    )
    told = (REPOSITORY / "docs" / "deploy.md").read_text()
    assert "pg_restore --role=owner --clean --if-exists --dbname=calendar_sync" in told


def count(database: Database) -> int:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM operation").scalar_one()
    return int(found)


def dumps(folder: Path, name: str = "*") -> list[Path]:
    return sorted(folder.glob(f"{name}-*.dump"))


def test_a_dump_is_restored_with_its_record_and_its_rights(
    server: PostgresServer, tmp_path: Path
) -> None:
    owner = Database(url(server, "owner"))
    store = Store(owner, "audit key")
    write(store, "before")
    assert run(store, "before", minutes=1)
    rows = count(owner)
    done = backup(server, tmp_path)
    assert done.returncode == 0, done.stderr
    [dump] = dumps(tmp_path, "calendar_sync")
    assert len(dumps(tmp_path, "airflow")) == 1
    assert dump.stat().st_mode & 0o077 == 0
    with owner.write() as connection:
        for table in ("operation", "audit_seal", "sync_run"):
            connection.exec_driver_sql(f"DROP TABLE {table} CASCADE")
    owner.close()

    restore(server, dump)
    owner = Database(url(server, "owner"))
    again = Store(owner, "audit key")
    assert again.audit.verify() == []
    assert count(owner) == rows > 0
    owner.close()
    worker = Database(url(server, "worker"))
    with pytest.raises(DBAPIError, match="permission denied"), worker.write() as connection:
        connection.exec_driver_sql("DELETE FROM operation")
    worker.close()


def test_old_dumps_go_and_the_others_stay(server: PostgresServer, tmp_path: Path) -> None:
    for days in (KEEP_DAYS - 1, KEEP_DAYS + 2):
        old = tmp_path / f"airflow-{days}.dump"
        old.touch()
        os.utime(old, (time.time() - days * DAY,) * 2)
    (tmp_path / "airflow-cut-off.dump.part").touch()
    assert backup(server, tmp_path).returncode == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert f"airflow-{KEEP_DAYS - 1}.dump" in names
    assert f"airflow-{KEEP_DAYS + 2}.dump" not in names
    assert len(names) == 3


def test_what_cannot_be_dumped_is_no_dump_and_deletes_none(
    server: PostgresServer, tmp_path: Path
) -> None:
    old = tmp_path / "airflow-old.dump"
    old.touch()
    os.utime(old, (time.time() - 2 * KEEP_DAYS * DAY,) * 2)
    # May not read.
    assert backup(server, tmp_path, "receiver").returncode != 0
    assert dumps(tmp_path) == [old]


def test_the_role_of_the_backup_changes_nothing(server: PostgresServer) -> None:
    database = Database(url(server, "backup"))
    for statement in ("DELETE FROM operation", "CREATE TABLE mine (id integer)"):
        with pytest.raises(DBAPIError, match="permission denied"), database.write() as connection:
            connection.exec_driver_sql(statement)
    database.close()
