"""Opens the state database and Airflow's connections for commands."""

import contextlib
import os
import pwd
import sys
import uuid
from collections.abc import Iterable, Iterator

from calendar_sync.config.credentials import Fields
from calendar_sync.core.clock import SystemClock
from calendar_sync.state import Database, Store
from calendar_sync.state.schema import require_current
from calendar_sync.sync.runtime import Secrets

NO_KEY = ""


@contextlib.contextmanager
def open_store(key: str = NO_KEY) -> Iterator[Store]:
    """The state database at the current schema. `key` is needed for the audit only."""
    database = Database()
    try:
        require_current(database)
        yield Store(database, key)
    finally:
        database.close()


def load_secrets() -> Secrets:
    """The credentials of the Airflow Connections, as a task would see them."""
    # Airflow logs to standard output, which is for the result of the command.
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.connections import load_secrets as load
        from calendar_sync.orchestration.connections import server_context

        with server_context():
            return load()


def load_fields(name: str) -> Fields:
    """The fields of one connection, as a task would see it.

    Raises:
        ConfigurationError: it is missing (`Missing`), or cannot be read.
    """
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.connections import connection_fields, server_context

        with server_context():
            return connection_fields(name)


def load_key() -> str:
    """The signing key alone."""
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.connections import organisation_key, server_context

        with server_context():
            return organisation_key()


def who_may_decide() -> list[str]:
    """Warnings about rights that Airflow's auth manager does not enforce."""
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.rights import who_may_decide as found

        return found()


def close_in_airflow(digests: Iterable[str], who: str) -> bool:
    """Answer what Airflow asks about these approvals, as `who` has approved them here.

    False where Airflow's own database does not answer from here: its questions stay open.
    """
    with contextlib.redirect_stdout(sys.stderr):
        from sqlalchemy.exc import SQLAlchemyError

        from calendar_sync.core.dag_ids import GRANT
        from calendar_sync.orchestration.airflow_questions import close_questions
        from calendar_sync.orchestration.connections import server_context

        try:
            with server_context():
                for digest in digests:
                    close_questions(digest, GRANT, who, who)
        except SQLAlchemyError:
            return False
    return True


def new_run_id(prefix: str = "cli") -> str:
    """A new run id for the audit log and the list of runs."""
    return f"{prefix}-{SystemClock().now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def author() -> str:
    """The operating system account of the process.

    Not LOGNAME or USER: the user can set them.
    """
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"cli:uid {number}"
