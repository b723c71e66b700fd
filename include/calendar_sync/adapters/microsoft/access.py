"""What an app registration may do: tells apart what Graph answers with the same few codes.

https://learn.microsoft.com/exchange/permissions-exo/application-rbac: mailboxes may be confined
to a scope, and a mailbox outside of it is answered like a missing permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calendar_sync.core.codes import Code, MicrosoftCode, SetupCode
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
        if error.code != MicrosoftCode.DIRECTORY_DENIED:
            return [Finding("", error.code, error.remedy)]
        listed = None
    states = {account: await account_fault(calendar, account) for account in accounts}
    if not accounts:
        states = await _anybody(calendar, listed or ())
    denied = [account for account, code in states.items() if code == MicrosoftCode.ACCESS_DENIED]
    findings = _everybody(listed is not None)
    if denied and not await _any_works(calendar, states, listed or ()):
        if listed is None:
            return [Finding.of(MicrosoftCode.NO_CONSENT)]
        findings.append(Finding.of(MicrosoftCode.CALENDARS_DENIED))
    else:
        findings += [Finding.of(MicrosoftCode.OUTSIDE_SCOPE, account=one) for one in denied]
    if not states:
        findings.append(Finding.of(SetupCode.NO_MAILBOX_TRIED))
    for account, code in states.items():
        if code and code != MicrosoftCode.ACCESS_DENIED:
            findings.append(Finding.of(code, account=account))
    return findings


async def _anybody(calendar: MicrosoftCalendar, listed: Sequence[str]) -> dict[str, Code | None]:
    """Without mapped users, any mailbox shows if the permission works.

    Users without a mailbox are skipped.
    """
    for account in filter(None, listed):
        code = await account_fault(calendar, account)
        if code in (None, MicrosoftCode.ACCESS_DENIED, MicrosoftCode.READ_ONLY):
            return {account: code}
    return {}


def _everybody(directory: bool) -> list[Finding]:
    return [] if directory else [Finding.of(MicrosoftCode.DIRECTORY_DENIED)]


async def account_fault(calendar: MicrosoftCalendar, account: str) -> Code | None:
    """The code of what keeps us from this mailbox, None for nothing.

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
        denied = error.code == MicrosoftCode.ACCESS_DENIED
        return MicrosoftCode.READ_ONLY if denied else error.code
    except TransientError:
        raise
    except SyncError as error:
        return error.code
    return None


async def _any_works(
    calendar: MicrosoftCalendar, states: dict[str, Code | None], listed: Sequence[str]
) -> bool:
    """Some mailbox can be opened: then the permission is there."""
    if any(code in (None, MicrosoftCode.READ_ONLY) for code in states.values()):
        return True
    for account in listed:
        if account not in states and await account_fault(calendar, account) in (
            None,
            MicrosoftCode.READ_ONLY,
        ):
            return True
    return False
