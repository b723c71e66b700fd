"""Look at every mapped account, without changing anything anywhere."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.config.mapping.doubts import SHARED, doubts
from calendar_sync.config.settings import PRIMARY, Settings
from calendar_sync.core.codes import AccountVerdict, Code, MicrosoftCode, code_of
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import NotFound, SyncError, UserUnavailable
from calendar_sync.core.model import DirectoryAccounts, MappedUser, Platform, Window
from calendar_sync.insight.health.verdicts import of_error, of_welkin
from calendar_sync.state.health import Checked
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

GROUP = 50
MOST_GROUPS = 200
HOUR = timedelta(hours=1)
WAITS = 10.0


_BY_DIRECTORY = {
    SHARED: AccountVerdict.MAPPED_TWICE,
    "suspended": AccountVerdict.ACCOUNT_SUSPENDED,
    "archived": AccountVerdict.ACCOUNT_SUSPENDED,
    "disabled": AccountVerdict.ACCOUNT_SUSPENDED,
    "guest": AccountVerdict.ACCOUNT_UNKNOWN,
    "no mailbox": AccountVerdict.NO_CALENDAR_LICENCE,
}


@dataclass(frozen=True)
class Group:
    """Some users of one platform, for one mapped task; `known` are verdicts of the directory."""

    platform: Platform
    users: tuple[str, ...]
    known: Mapping[str, str] = field(default_factory=dict)


async def groups(services: Services) -> list[Group]:
    """Everybody who is mapped and enabled, in groups.

    Welkin's list of users is read again, and the directories if they can be read.

    Raises:
        SyncError: Welkin's list cannot be read.
    """
    store, now = services.store, services.clock.now()
    with waiting_at_most(WAITS):
        listed = await services.welkin.users()
    if listed:
        store.config.save_welkin_users(listed, now)
    found: list[Group] = []
    for platform in Platform:
        rows = [row for row in store.config.mapping(platform) if row.enabled]
        known = await _by_directory(services, platform, rows) if rows else {}
        size = max(GROUP, -(-len(rows) // (MOST_GROUPS // 2)))
        for first in range(0, len(rows), size):
            users = tuple(row.user_id for row in rows[first : first + size])
            mine = {user: known[user] for user in users if user in known}
            found.append(Group(platform, users, mine))
    return found


async def _by_directory(
    services: Services, platform: Platform, rows: Sequence[MappedUser]
) -> dict[str, str]:
    """What only a directory can tell: suspended accounts, and one account under two names.

    A directory that may not be read is no fault of a user: `calendar-sync mapping check` says why.
    """
    directory = services.directories.get(platform)
    try:
        with waiting_at_most(WAITS):
            accounts = await directory.accounts() if directory is not None else None
    except SyncError as error:
        logger.warning("%s: the directory cannot be read: %s", platform.value, error.code)
        return {}
    if accounts is None:
        return {}
    found = doubts(rows, platform, accounts)
    shared = {_named(accounts, one.account) for one in found if one.code == SHARED}
    verdicts = {one.user_id: _BY_DIRECTORY[one.code] for one in found if one.code in _BY_DIRECTORY}
    twice = {row.user_id for row in rows if _named(accounts, row.account) in shared}
    return {
        **{user: verdict.value for user, verdict in verdicts.items()},
        **dict.fromkeys(twice, AccountVerdict.MAPPED_TWICE.value),
    }


def _named(accounts: DirectoryAccounts, account: str) -> str:
    found = accounts.of(account)
    return found.address if found is not None else account


async def validate(services: Services, settings: Settings, group: Group) -> list[Checked]:
    """One verdict for each user of a group, stored and returned.

    A service that does not answer leaves the verdict of before.
    """
    platform = group.platform
    store, now = services.store, services.clock.now()
    rows = [row for user in group.users if (row := store.config.mapped(user, platform)) is not None]
    rows = [row for row in rows if row.enabled]

    async def one(row: MappedUser) -> Checked:
        verdict: Code = of_welkin(store.config.welkin_user(row.user_id))
        code = ""
        if verdict is AccountVerdict.OK and row.user_id in group.known:
            verdict = code_of(group.known[row.user_id])
        if verdict is AccountVerdict.OK:
            try:
                with waiting_at_most(WAITS):
                    await _open(services, settings, row)
            except SyncError as error:
                verdict, code = of_error(error), error.code
        return Checked(row.user_id, platform, row.account, verdict.value, code, now, now)

    found = await together((one(row) for row in rows), settings.limits.poll_concurrency)
    found = _scoped(found)
    store.health.save_verdicts(found)
    return found


async def _open(services: Services, settings: Settings, row: MappedUser) -> None:
    """Read an hour of each calendar that the sync needs.

    Raises:
        SyncError: why the sync cannot work there.
    """
    if row.platform not in services.platforms:
        raise services.why_not(row.platform)
    platform = services.reader(settings.of(row.profile), row.platform)
    now = services.clock.now()
    calendars = settings.calendars_for(row)
    if fault := await platform.account_fault(row.account):
        raise UserUnavailable(fault, detail=row.account)
    for name in calendars.all:
        if name == PRIMARY:
            continue  # looked at already
        try:
            await platform.changes(row.account, name, None, Window(now, now + HOUR))
        except NotFound:
            if name == calendars.mirrors:
                raise UserUnavailable(
                    AccountVerdict.CALENDAR_NOT_FOUND, detail=row.account
                ) from None


def _scoped(found: list[Checked]) -> list[Checked]:
    """Where others can be opened, a denial concerns the mailbox: it is outside the app's scope."""
    others = any(one.verdict in {AccountVerdict.OK, AccountVerdict.READ_ONLY} for one in found)
    return [
        replace(one, verdict=AccountVerdict.OUTSIDE_SCOPE.value)
        if others and one.code == MicrosoftCode.ACCESS_DENIED
        else one
        for one in found
    ]


def label(platform: Platform, found: Sequence[Checked]) -> str:
    """One line for the run history: `google: 49 ok, 1 access_denied`."""
    counts: Mapping[str, int] = Counter(one.verdict for one in found)
    return f"{platform.value}: " + (
        ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "no users"
    )
