"""From Airflow Connections to our credentials, in a task and outside of one."""

import base64
import contextlib
import hashlib
import os
import secrets as random_bytes
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from calendar_sync.config.credentials import (
    CONNECTION_IDS,
    HMAC_KEY,
    WELKIN,
    Fields,
    Missing,
    google_credentials,
    microsoft_credentials,
    welkin_credentials,
)
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.codes import SetupCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.sync.runtime import Secrets

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
FERNET_BYTES = 32
Read = TypeVar("Read")


def load_secrets(platforms: Collection[Platform] | None = None) -> Secrets:
    """The credentials of the connections: Welkin's, and those of the platforms that have one.

    Args:
        platforms: these alone are needed; without, all that can be had: what is wrong with one
            keeps nobody from the other.

    Raises:
        ConfigurationError: a connection that is needed is missing or incomplete.
    """
    hmac_key = organisation_key()
    unusable: dict[Platform, ConfigurationError] = {}

    def found(platform: Platform, read: Callable[[Fields], Read]) -> Read | None:
        if platforms is not None and platform not in platforms:
            return None
        try:
            return read(connection_fields(CONNECTION_IDS[platform]))
        except Missing:
            return None
        except ConfigurationError as error:
            if platforms is not None:
                raise
            unusable[platform] = error
            return None

    return Secrets(
        welkin=welkin_credentials(connection_fields(WELKIN)),
        hmac_key=hmac_key,
        fernet_keys=_fernet_keys(hmac_key),
        google=found(Platform.GOOGLE, google_credentials),
        microsoft=found(Platform.MICROSOFT, microsoft_credentials),
        unusable=unusable,
    )


def organisation_key() -> str:
    """The key that names what we make, and that seals the record.

    Raises:
        ConfigurationError: its connection is missing or empty.
    """
    key = connection_fields(HMAC_KEY).password
    if not key:
        raise ConfigurationError(detail=f"connection {HMAC_KEY} has no password")
    return Hidden(key)


def connection_fields(name: str) -> Fields:
    """The fields of one Airflow Connection.

    Raises:
        ConfigurationError: there is no such connection, or its extra is not JSON.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    try:
        with airflow_database():
            connection = BaseHook.get_connection(name)
    except AirflowException:
        raise Missing(
            detail=f"connection {name} is missing (run `calendar-sync init`, see docs/)"
        ) from None
    # Airflow answers {} for what it cannot read, and anything that is JSON: a list, a number.
    extra: object = connection.extra_dejson
    if not isinstance(extra, dict) or (not extra and not _is_empty(connection.extra)):
        raise ConfigurationError(detail=f"connection {name}: extra is not a JSON object")
    return Fields(
        host=_with_scheme(connection.host, connection.schema),
        login=connection.login or "",
        password=Hidden(connection.password or ""),
        extra=extra,
    )


@contextlib.contextmanager
def airflow_database() -> Iterator[None]:
    """Failures of Airflow's database as an error that says so: the state database is another.

    Raises:
        ConfigurationError: it cannot be read.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise ConfigurationError(
            detail=f"Airflow's own database cannot be used ({type(error.orig).__name__}): has "
            "`airflow db migrate` been run, is its server up, and is "
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN right?"
        ) from None


def _is_empty(extra: str | None) -> bool:
    return "".join((extra or "").split()) in {"", "{}", "null"}


def _with_scheme(host: str | None, schema: str | None) -> str:
    """A connection given as a URI has lost its scheme to another field."""
    if host and "://" not in host and schema in {"https", "http"}:
        return f"{schema}://{host}"
    return host or ""


def _fernet_keys(hmac_key: str) -> tuple[str, ...]:
    """Airflow's keys, and one derived from our own key."""
    from airflow.sdk.configuration import conf

    configured = (conf.get("core", "fernet_key", fallback="") or "").split(",")
    derived = hashlib.sha256(b"fernet" + hmac_key.encode()).digest()
    # Where no key is configured, the Task SDK answers with a placeholder.
    keys = [Hidden(key.strip()) for key in configured if _is_fernet_key(key.strip())]
    # The derived key is always good for reading: a worker may lack Airflow's.
    return (*keys, Hidden(base64.urlsafe_b64encode(derived).decode()))


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == FERNET_BYTES
    except ValueError:
        return False


@contextlib.contextmanager
def server_context() -> Iterator[None]:
    """Outside a task Airflow looks for connections in the environment only, unless told so."""
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before


def missing_connections(names: tuple[str, ...]) -> list[str]:
    """Which of these connections Airflow does not know."""
    missing = []
    with server_context():
        for name in names:
            try:
                connection_fields(name)
            except Missing:
                missing.append(name)
    return missing


def ensure_hmac_key(*, links_stand: bool = False) -> bool:
    """Make the connection with the organisation's key if there is none; True when made.

    Two processes may do so at once: one of them makes it.

    Args:
        links_stand: the state database knows of events that were made with a key.

    Raises:
        ConfigurationError: the connection is empty; or the key is gone while such events stand: a
            new one would make them foreign.
    """
    with server_context():
        try:
            organisation_key()
        except Missing:
            pass
        else:
            return False
        if links_stand:
            raise ConfigurationError(
                SetupCode.KEY_LOST,
                detail=f"connection {HMAC_KEY} is gone, and events that were made with its key "
                "still stand: restore it from a backup of Airflow's database",
            )
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session
        from sqlalchemy.exc import IntegrityError

        key = Connection(
            conn_id=HMAC_KEY,
            conn_type="generic",
            description="Signing key of Welkin Calendar Sync. Do not change it.",
            password=random_bytes.token_urlsafe(48),
        )
        with airflow_database():
            try:
                with create_session() as session:
                    session.add(key)
            except IntegrityError:
                # Another process was faster.
                return False
        return True
