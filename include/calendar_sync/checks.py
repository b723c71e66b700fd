"""Try the connections without writing anything, and say what is wrong with each."""

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from calendar_sync.errors import SyncError
from calendar_sync.microsoft import MicrosoftCalendar
from calendar_sync.microsoft.access import Finding, check_access
from calendar_sync.model import Platform, Window
from calendar_sync.services import Services

# Enough to tell one mailbox's fault from everybody's.
MAILBOXES = 5
HOUR = timedelta(hours=1)

__all__ = [
    "MAILBOXES",
    "Finding",
    "check_platform",
    "check_settings",
    "check_welkin",
    "mailboxes",
]


def mailboxes(services: Services, platform: Platform) -> list[str]:
    """Accounts of this platform that are synced."""
    return [user.account for user in services.store.config.mapping(platform) if user.enabled]


def check_settings(services: Services) -> list[Finding]:
    """What earlier versions took and this one does not obey."""
    refusal = services.store.config.revision().settings.notify.refusal
    return [Finding("", "settings_refused", refusal)] if refusal else []


async def check_welkin(services: Services) -> list[Finding]:
    """Every fault of Welkin's connection."""
    now = services.clock.now()
    try:
        await services.welkin.events(["nobody"], Window(now, now + HOUR), ZoneInfo("UTC"))
    except SyncError as error:
        return [Finding("", error.code, error.detail or "see docs/setup-welkin.md")]
    return []


async def check_platform(
    services: Services, platform: Platform, accounts: Sequence[str]
) -> list[Finding]:
    """Every fault of a calendar system's connection that these mailboxes show."""
    calendar = services.platforms[platform]
    try:
        if isinstance(calendar, MicrosoftCalendar):
            return await check_access(calendar, accounts)
    except SyncError as error:
        return [Finding("", error.code, error.detail)]
    now = services.clock.now()
    findings = []
    for account in accounts:
        try:
            await calendar.changes(account, "primary", None, Window(now, now + HOUR))
        except SyncError as error:
            findings.append(Finding(account, error.code, f"see docs/setup-{platform.value}.md"))
    return findings
