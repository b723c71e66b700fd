"""What keeps the service account out: tried mailbox by mailbox, without writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calendar_sync.core.codes import SetupCode
from calendar_sync.core.errors import (
    ConfigurationError,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TransientError,
)
from calendar_sync.core.model import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calendar_sync.adapters.google.client import GoogleCalendar


async def check_access(calendar: GoogleCalendar, accounts: Sequence[str]) -> list[Finding]:
    """Every fault that these mailboxes show; without any the key is tried."""
    if not accounts:
        await calendar.authenticate()
        return [Finding.of(SetupCode.NO_MAILBOX_TRIED)]
    faults: list[Finding] = []
    for account in accounts:
        try:
            await calendar.look(account)
        except SyncError as error:
            if _of_everybody(error):
                return [*faults, Finding("", error.code, error.remedy)]
            faults.append(Finding(account, error.code, error.remedy))
    return faults


def _of_everybody(error: SyncError) -> bool:
    """Another mailbox would say the same."""
    if isinstance(error, RateLimited):
        return error.tenant_wide
    return isinstance(error, TenantMisconfigured | TransientError | ConfigurationError)
