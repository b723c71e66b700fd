"""Try the connections without writing anything, and say what is wrong with each.

Each is tried by itself, with tokens of its own: neither another's fault nor a token that was
fetched with yesterday's secret hides what is stored now.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from calendar_sync.config.credentials import (
    Fields,
    GoogleCredentials,
    MicrosoftCredentials,
    WelkinCredentials,
    google_credentials,
    microsoft_credentials,
)
from calendar_sync.config.settings import Settings
from calendar_sync.core.clock import Clock
from calendar_sync.core.codes import AccountVerdict, SetupCode
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Finding, Platform
from calendar_sync.core.ports import CalendarService
from calendar_sync.state import Store
from calendar_sync.sync.runtime import open_calendar, open_calendars, open_welkin, try_welkin

# Enough to tell one mailbox's fault from everybody's.
MAILBOXES = 5
CREDENTIALS: dict[Platform, Callable[[Fields], GoogleCredentials | MicrosoftCredentials]] = {
    Platform.GOOGLE: google_credentials,
    Platform.MICROSOFT: microsoft_credentials,
}

__all__ = [
    "MAILBOXES",
    "Checked",
    "Finding",
    "check_platform",
    "check_settings",
    "check_welkin",
    "found",
    "mailboxes",
    "with_own_calendars",
]


@dataclass(frozen=True)
class Checked:
    """How a connection stands: an empty list of faults is success.

    `system` is `welkin`, `google`, `microsoft`, or whose else it is; `tried` counts mailboxes.
    """

    system: str
    connection: str
    faults: Sequence[Finding] = ()
    tried: int = 0
    needed: bool = True

    @property
    def works(self) -> bool | None:
        """None: accepted, but not fully tested, and not needed yet."""
        if not self.needed and [fault.code for fault in self.faults] == [
            SetupCode.NO_MAILBOX_TRIED
        ]:
            return None
        return not self.faults


def found(error: SyncError, account: str = "") -> Finding:
    """An error as a fault of one account, or of everybody."""
    return Finding(account, error.code, error.remedy)


def mailboxes(store: Store, platform: Platform) -> list[str]:
    """Accounts of this platform that are synced."""
    return [user.account for user in store.config.mapping(platform) if user.enabled]


def with_own_calendars(store: Store, platform: Platform) -> list[str]:
    """Accounts in which the sync makes a calendar for mirrors, or has made one."""
    settings = store.config.revision().settings
    return [
        user.account
        for user in store.config.mapping(platform)
        if user.enabled
        and settings.calendars_for(replace(user, own_calendar="")).pending
        and settings.of(user.profile).direction_of(platform, user.direction).writes_calendar
    ]


def check_settings(store: Store) -> list[Finding]:
    """What earlier versions took and this one does not obey."""
    refusal = store.config.revision().settings.notify.refusal
    return [Finding("", SetupCode.SETTINGS_REFUSED, refusal)] if refusal else []


async def check_welkin(
    credentials: WelkinCredentials, clock: Clock, user_ids: Collection[str] = ()
) -> list[Finding]:
    """Every fault of Welkin's connection, and which of these users Welkin does not know."""
    try:
        await try_welkin(credentials, clock)
    except SyncError as error:
        return [found(error)]
    if not user_ids:
        return []
    try:
        async with open_welkin(credentials, clock) as welkin:
            known = {user.id for user in await welkin.users()}
    except SyncError as error:
        said = (
            "Welkin's list of users cannot be read: the API client needs the right to read users; "
        )
        return [Finding("", error.code, said + "see docs/setup-welkin.md")]
    unknown = sorted(set(user_ids) - known)
    return [Finding.of(AccountVerdict.WELKIN_USER_UNKNOWN, account=user_id) for user_id in unknown]


async def check_platform(
    fields: Fields,
    platform: Platform,
    accounts: Sequence[str],
    settings: Settings,
    clock: Clock,
    own: Sequence[str] = (),
) -> list[Finding]:
    """Every fault of a calendar system's connection that these mailboxes show.

    Without any, the credentials are tried; that no mailbox was is a fault, too. `own` are those for
    which the sync makes a calendar (`with_own_calendars`): that takes further rights.
    """
    try:
        credentials = CREDENTIALS[platform](fields)
        async with open_calendar(credentials, settings, clock) as calendar:
            faults = await calendar.check_access(accounts)
        if not own:
            return faults
        broken = {fault.account for fault in faults}
        async with open_calendars(credentials, settings.limits, clock) as service:
            missing = await _missing(service, [one for one in own if one not in broken])
    except SyncError as error:
        return [found(error)]
    said = {fault.code for fault in faults}
    return [*faults, *(one for one in missing if one.code not in said)]


async def _missing(service: CalendarService, accounts: Sequence[str]) -> list[Finding]:
    """Rights are everybody's: the first mailbox that can be asked tells what is missing."""
    faults: list[Finding] = []
    for account in accounts[:MAILBOXES]:
        try:
            return [Finding.of(code) for code in await service.missing_rights(account)]
        except SyncError as error:
            faults.append(found(error, account))
    return faults
