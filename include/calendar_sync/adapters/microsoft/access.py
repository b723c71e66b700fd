"""What an app registration may do: tells apart what Graph answers with the same few codes.

https://learn.microsoft.com/exchange/permissions-exo/application-rbac: mailboxes may be confined
to a scope, and a mailbox outside of it is answered like a missing permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calendar_sync.core.advice import NO_MAILBOX_TRIED, advice, remedy
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calendar_sync.adapters.microsoft.client import MicrosoftCalendar

DENIED, READ_ONLY = "microsoft_access_denied", "microsoft_read_only"
# So many mailboxes are asked to tell a missing permission from a scope.
SAMPLE = 5


async def check_access(calendar: MicrosoftCalendar, accounts: Sequence[str]) -> list[Finding]:
    """Every fault that can be seen without writing anything; an empty list when all is well.

    Args:
        calendar: the tenant.
        accounts: mailboxes to look at.

    Raises:
        TransientError: the service does not answer now.
    """
    try:
        listed = await calendar.users(SAMPLE)
    except UserUnavailable:
        listed = None  # Exchange's way to say no, where the directory's is expected
    except TenantMisconfigured as error:
        if error.code != "microsoft_directory_denied":
            return [Finding("", error.code, remedy(error))]
        listed = None
    states = {account: await account_fault(calendar, account) for account in accounts}
    if not accounts:
        states = await _anybody(calendar, listed or ())
    denied = [account for account, code in states.items() if code == DENIED]
    findings = _everybody(listed is not None)
    if denied and not await _any_works(calendar, states, listed or ()):
        if listed is None:
            return [Finding("", "microsoft_no_consent", _NO_CONSENT)]
        findings.append(Finding("", "microsoft_calendars_denied", _NO_CALENDARS))
    else:
        findings += [Finding(account, "microsoft_outside_scope", _OUTSIDE) for account in denied]
    if not states:
        findings.append(Finding("", NO_MAILBOX_TRIED, advice(NO_MAILBOX_TRIED)))
    for account, code in states.items():
        if code and code != DENIED:
            findings.append(Finding(account, code, _ADVICE.get(code) or advice(code)))
    return findings


_NO_CONSENT = (
    "the app has no permissions: add Calendars.ReadWrite and User.Read.All (application "
    "permissions), and have an administrator grant consent"
)
_NO_CALENDARS = (
    "no mailbox can be opened: the application permission Calendars.ReadWrite is missing, or no "
    "consent was granted, or the scope of RBAC for Applications holds none of these mailboxes"
)
_NO_DIRECTORY = "the application permission User.Read.All is missing, or no consent was granted"
_OUTSIDE = "the mailbox is outside the scope of RBAC for Applications (or an access policy)"
_ADVICE = {
    READ_ONLY: "events can be read, but not written: Calendars.ReadWrite is missing",
    "microsoft_no_mailbox": "the user has no mailbox in Exchange Online: assign a licence",
    "microsoft_account_unknown": "the tenant has no user with this name",
}


async def _anybody(calendar: MicrosoftCalendar, listed: Sequence[str]) -> dict[str, str]:
    """Without mapped users, any mailbox shows if the permission works.

    Users without a mailbox are skipped.
    """
    for account in filter(None, listed):
        code = await account_fault(calendar, account)
        if code in ("", DENIED, READ_ONLY):
            return {account: code}
    return {}


def _everybody(directory: bool) -> list[Finding]:
    return [] if directory else [Finding("", "microsoft_directory_denied", _NO_DIRECTORY)]


async def account_fault(calendar: MicrosoftCalendar, account: str) -> str:
    """The code of what keeps us from this mailbox, empty for nothing.

    Raises:
        TransientError: the service does not answer now.
    """
    try:
        await calendar.look(account)
    except UserUnavailable as error:
        return error.code
    except (NotFound, BadItem) as error:
        return error.code
    try:
        await calendar.try_write(account)
    except UserUnavailable as error:
        return READ_ONLY if error.code == DENIED else error.code
    except TransientError:
        raise
    except SyncError as error:
        return error.code
    return ""


async def _any_works(
    calendar: MicrosoftCalendar, states: dict[str, str], listed: Sequence[str]
) -> bool:
    """Some mailbox can be opened: then the permission is there."""
    if any(code in ("", READ_ONLY) for code in states.values()):
        return True
    for account in listed:
        if account not in states and await account_fault(calendar, account) in ("", READ_ONLY):
            return True
    return False
