"""The connections that the sync uses: is each there, is it complete, does it work?

What a connection holds is never shown: at most the name of the field that is missing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.problems import Problem
from calendar_sync.config.credentials import (
    CONNECTION_IDS,
    GOOGLE,
    HMAC_KEY,
    MICROSOFT,
    WELKIN,
    Fields,
    Missing,
    google_credentials,
    microsoft_credentials,
    welkin_credentials,
)
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import SetupCode, SyncCode
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.core.redaction import describe
from calendar_sync.operations.connection_checks import (
    MAILBOXES,
    Finding,
    check_platform,
    found,
    mailboxes,
    with_own_calendars,
)
from calendar_sync.operations.setup.record import fingerprint, note_test
from calendar_sync.operations.setup.typed import FORMS
from calendar_sync.orchestration.airflow_api import CONNECTION as AIRFLOW
from calendar_sync.orchestration.connection_tests import mail_fault, try_airflow
from calendar_sync.state import Store
from calendar_sync.sync.runtime import try_welkin

logger = logging.getLogger(__name__)

MAIL = "smtp_default"
Status = Literal["configured", "incomplete", "missing"]


@dataclass(frozen=True)
class Known:
    """One connection by its name: what it is for, its type as Airflow shows it, whether needed."""

    name: str
    title: str
    about: str
    kind: str
    needed: bool
    guide: str
    credentials: Callable[[Fields], object] = lambda fields: fields


@dataclass(frozen=True)
class Connection:
    """How it is configured."""

    name: str
    title: str
    about: str
    kind: str
    needed: bool
    guide: str
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Tested:
    """What a test found; an empty list of faults is success."""

    name: str
    works: bool
    faults: list[Finding] = field(default_factory=list)
    note: str = ""


def _key(fields: Fields) -> object:
    if not fields.password:
        raise ConfigurationError(detail=f"connection {HMAC_KEY}: password is missing")
    return fields


CONNECTIONS: Mapping[str, Known] = {
    known.name: known
    for known in (
        Known(
            WELKIN,
            "Welkin",
            "API client that reads schedules and writes busy blocks.",
            "Welkin",
            True,
            "welkin",
            welkin_credentials,
        ),
        Known(
            GOOGLE,
            Platform.GOOGLE.calendars,
            "Service account with domain-wide delegation.",
            "Google Cloud",
            False,
            "google",
            google_credentials,
        ),
        Known(
            MICROSOFT,
            Platform.MICROSOFT.calendars,
            "App registration with access to calendars.",
            "Microsoft Graph API",
            False,
            "microsoft",
            microsoft_credentials,
        ),
        Known(
            HMAC_KEY,
            "Signing key",
            "Identifies the events that we create and protects the audit log. Made by the set-up: "
            "never change it.",
            "Generic",
            True,
            "",
            _key,
        ),
        Known(MAIL, "Mail", "Sends reports and alerts.", "SMTP", False, ""),
        Known(
            AIRFLOW,
            "Airflow's API",
            "Account that deletes old runs.",
            "Generic",
            False,
            "",
        ),
    )
}


def connections() -> list[Connection]:
    """Every connection, as Airflow has it."""
    return [_connection(known) for known in CONNECTIONS.values()]


def _connection(known: Known) -> Connection:
    status: Status = "configured"
    detail = ""
    try:
        known.credentials(outside.fields(known.name))
    except Missing:
        status = "missing"
    except ConfigurationError as error:
        status, detail = "incomplete", error.detail
    values = {name: value for name, value in vars(known).items() if name != "credentials"}
    return Connection(**values, status=status, detail=detail)


def test(store: Store, name: str) -> Tested:
    """Try one, without writing anything outside; the set-up remembers the result.

    Raises:
        Problem: 404, it is none of ours.
    """
    known = CONNECTIONS.get(name)
    if known is None:
        raise Problem(404, "The sync does not use a connection with this name.")
    tested = _test(store, name, _connection(known))
    if name in FORMS:
        with contextlib.suppress(ConfigurationError):
            mark = fingerprint(outside.fields(name), str(outside.fields(HMAC_KEY).password))
            note_test(store, name, mark, tested.faults, SystemClock().now())
    return tested


def _test(store: Store, name: str, now: Connection) -> Tested:
    if now.status != "configured":
        said = now.detail or f"connection {name} is missing"
        return Tested(name, False, [Finding("", SyncCode.CONFIGURATION, said)])
    try:
        return _TESTS[name](store)
    except SyncError as error:
        return Tested(name, False, [found(error)])
    except Problem as problem:
        return Tested(name, False, [Finding("", SyncCode.CONFIGURATION, problem.detail)])
    except Exception as error:
        logger.error("admin: test of %s: %s", name, describe(error))
        return Tested(
            name, False, [Finding("", SyncCode.UNEXPECTED, "see the log of the API server")]
        )


def _welkin(store: Store) -> Tested:
    asyncio.run(try_welkin(welkin_credentials(outside.fields(WELKIN)), SystemClock()))
    return Tested(WELKIN, True)


def _calendar(platform: Platform) -> Callable[[Store], Tested]:
    name = CONNECTION_IDS[platform]

    def tested(store: Store) -> Tested:
        some = mailboxes(store, platform)[:MAILBOXES]
        settings = store.config.revision().settings
        own, clock = with_own_calendars(store, platform), SystemClock()
        faults = asyncio.run(
            check_platform(outside.fields(name), platform, some, settings, clock, own)
        )
        note = f"Opened {plural(len(some), 'mailbox', 'mailboxes')}."
        if not some:
            note = "No users are mapped yet."
            if [fault.code for fault in faults] == [SetupCode.NO_MAILBOX_TRIED]:
                note = "The credentials are accepted. No users are mapped yet."
        return Tested(name, not faults, faults, note)

    return tested


def _present(store: Store) -> Tested:
    return Tested(
        HMAC_KEY,
        True,
        note="The key exists. To check if it is the right one, verify the audit log on the page "
        "Activity.",
    )


def _mail(store: Store) -> Tested:
    said = mail_fault(MAIL, outside.as_server())
    return Tested(MAIL, not said, [Finding("", SetupCode.NOT_WORKING, said)] if said else [])


def _airflow(store: Store) -> Tested:
    try_airflow(outside.fields(AIRFLOW))
    return Tested(AIRFLOW, True)


_TESTS: Mapping[str, Callable[[Store], Tested]] = {
    WELKIN: _welkin,
    GOOGLE: _calendar(Platform.GOOGLE),
    MICROSOFT: _calendar(Platform.MICROSOFT),
    HMAC_KEY: _present,
    MAIL: _mail,
    AIRFLOW: _airflow,
}
