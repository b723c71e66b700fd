"""Look at every mapped account, without changing anything anywhere."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from calendar_sync.concurrency import together
from calendar_sync.errors import NotFound, SyncError, UserUnavailable
from calendar_sync.health.verdicts import Verdict, of_error, of_welkin
from calendar_sync.http import waiting_at_most
from calendar_sync.microsoft import MicrosoftCalendar
from calendar_sync.microsoft.access import account_fault
from calendar_sync.model import MappedUser, Platform, Window
from calendar_sync.services import Services
from calendar_sync.settings import PRIMARY, Settings
from calendar_sync.state.health import Checked

GROUP = 50
MOST_GROUPS = 200
HOUR = timedelta(hours=1)
WAITS = 10.0


@dataclass(frozen=True)
class Group:
    """Some users of one platform, for one mapped task."""

    platform: Platform
    users: tuple[str, ...]


async def groups(services: Services) -> list[Group]:
    """Everybody who is mapped and enabled, in groups; Welkin's list of staff is read anew."""
    store, now = services.store, services.clock.now()
    with waiting_at_most(WAITS):
        listed = await services.welkin.users()
    if listed:
        store.config.save_welkin_users(listed, now)
    found: list[Group] = []
    for platform in Platform:
        users = [user.user_id for user in store.config.mapping(platform) if user.enabled]
        size = max(GROUP, -(-len(users) // (MOST_GROUPS // 2)))
        found += [
            Group(platform, tuple(users[first : first + size]))
            for first in range(0, len(users), size)
        ]
    return found


async def validate(
    services: Services, settings: Settings, platform: Platform, users: Sequence[str]
) -> list[Checked]:
    """One verdict for each of these users, stored and returned.

    A service that does not answer leaves the verdict of before.
    """
    store, now = services.store, services.clock.now()
    rows = [row for user in users if (row := store.config.mapped(user, platform)) is not None]
    rows = [row for row in rows if row.enabled]
    twice = _mapped_twice(store.config.mapping(platform))

    async def one(row: MappedUser) -> Checked:
        verdict = of_welkin(store.config.welkin_user(row.user_id))
        code = ""
        if verdict is Verdict.OK and row.account.lower() in twice:
            verdict = Verdict.MAPPED_TWICE
        if verdict is Verdict.OK:
            try:
                with waiting_at_most(WAITS):
                    await _open(services, settings, row)
            except SyncError as error:
                verdict, code = of_error(error), error.code
        return Checked(row.user_id, platform, row.account, verdict.value, code, now, now)

    found = await together((one(row) for row in rows), settings.limits.polls_at_once)
    found = _scoped(found)
    store.health.save_verdicts(found)
    return found


async def _open(services: Services, settings: Settings, row: MappedUser) -> None:
    """Read an hour of each calendar that the sync needs.

    Raises:
        SyncError: why the sync cannot work there.
    """
    if row.platform not in services.platforms:
        raise UserUnavailable("no_connection_configured", detail=row.platform.value)
    platform, now = services.platforms[row.platform], services.clock.now()
    calendars = settings.calendars_of(row.platform)
    if isinstance(platform, MicrosoftCalendar):
        fault = await account_fault(platform, row.account)
        if fault:
            raise UserUnavailable(fault, detail=row.account)
    for name in calendars.all:
        if name == PRIMARY and isinstance(platform, MicrosoftCalendar):
            continue  # looked at already
        try:
            await platform.changes(row.account, name, None, Window(now, now + HOUR))
        except NotFound:
            if name == calendars.mirrors:
                raise UserUnavailable("calendar_not_found", detail=row.account) from None


def _mapped_twice(rows: Iterable[MappedUser]) -> set[str]:
    counts = Counter(row.account.lower() for row in rows if row.enabled)
    return {account for account, count in counts.items() if count > 1}


def _scoped(found: list[Checked]) -> list[Checked]:
    """Where others can be opened, a denial concerns the mailbox: it is outside the app's scope."""
    others = any(one.verdict in {Verdict.OK, Verdict.READ_ONLY} for one in found)
    return [
        replace(one, verdict=Verdict.OUTSIDE_SCOPE.value)
        if others and one.code == "microsoft_access_denied"
        else one
        for one in found
    ]


def label(platform: Platform, found: Sequence[Checked]) -> str:
    """One line for the run history: `google: 49 ok, 1 access_denied`."""
    counts: Mapping[str, int] = Counter(one.verdict for one in found)
    return f"{platform.value}: " + (
        ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "nobody"
    )
