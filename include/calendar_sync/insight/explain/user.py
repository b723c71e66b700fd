"""How the sync of one user stands: the mapping, and every step of the way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Choices, LinkState, Platform, WelkinUser, Window
from calendar_sync.core.plurals import plural
from calendar_sync.insight.explain import words
from calendar_sync.insight.explain.explanation import Explanation, Fact, Part, when
from calendar_sync.insight.explain.look import Look, by_address
from calendar_sync.insight.explain.records import conflicts, last_run, operations, parked_items
from calendar_sync.insight.own_calendars import own_calendar
from calendar_sync.insight.profiles import changed_by
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import listed_user
from calendar_sync.state.marks import UserSync
from calendar_sync.sync.cycle.scope import Scope, cursor_shape
from calendar_sync.sync.freshness import poll_interval, poll_requests

HOUR = timedelta(hours=1)
SHOWN = 5
LEFT = frozenset({LinkState.LIVE, LinkState.INTENT, LinkState.RETIRED})


async def explain_user(
    look: Look, user_id: str, *, platform: Platform | None = None
) -> Explanation:
    """The mapping row, the state, and what is in the way. An address stands for its user."""
    store = look.services.store
    user_id = by_address(look, user_id)
    mapped = [row for row in store.config.mapping(platform) if row.user_id == user_id]
    holds = [
        each
        for each in Platform
        if platform in (None, each) and store.links.counts(each, [user_id])
    ]
    platforms = sorted({row.platform for row in mapped} | set(holds))
    welkin = store.config.welkin_user(user_id)
    if not platforms:
        return _unknown(look, user_id, welkin)
    facts = [_welkin_user(look, welkin), await _welkin_answers(look, user_id)]
    parts = [await _part(look, look.scope(user_id, each), welkin) for each in platforms]
    return Explanation("user", user_id, True, "a synced user", tuple(facts), tuple(parts))


def _welkin_user(look: Look, welkin: WelkinUser | None) -> Fact:
    if welkin is None:
        seen = look.services.store.config.welkin_users_seen_at()
        listed = f"not in Welkin's list of users of {when(seen, look.now)}"
        return Fact("Welkin user", listed if seen else "Welkin's list of users was not read yet")
    state = "active" if welkin.active else "INACTIVE"
    return Fact("Welkin user", f"{state}, {welkin.email}, zone {welkin.time_zone or 'none'}")


async def _welkin_answers(look: Look, user_id: str) -> Fact:
    window = Window(look.now, look.now + HOUR)
    zone = look.revision.settings.zone()
    try:
        await look.services.welkin.events([user_id], window, zone)
    except SyncError as error:
        return Fact("Welkin's calendar", f"{error.code} ({error.code.in_words})")
    return Fact("Welkin's calendar", "answers")


async def _part(look: Look, scope: Scope, welkin: WelkinUser | None) -> Part:
    state = look.services.store.marks.of(*scope.pair)
    verdict, text = _not_synced(look, scope) or _verdict(look, scope, state, welkin)
    facts = [
        *_mapping(scope, look.revision.settings),
        await _calendar_answers(look, scope),
        *_progress(look, scope, state),
        *_items(look, scope),
    ]
    return Part(
        scope.user_id, scope.account, scope.platform.value, verdict, text, facts=tuple(facts)
    )


def _not_synced(look: Look, scope: Scope) -> tuple[str, str] | None:
    """Users whom the sync keeps out: what happens to what they have."""
    word = look.not_synced(scope)
    if word is None:
        return None
    if word == "not_connected":
        return word, words.MIRROR[word]
    people = look.members(scope)
    if pause := people.paused.get(scope.user_id):
        return word, f"{words.MIRROR[word]}, until {when(pause.until, look.now)} ({pause.author})"
    leaving = scope.user_id in people.leaving
    then = (
        ("the next syncs delete their events")
        if leaving
        else "no events are left, or they are kept"
    )
    return word, f"{words.MIRROR[word]}: {then}"


def _verdict(
    look: Look, scope: Scope, state: UserSync, welkin: WelkinUser | None
) -> tuple[str, str]:
    """The first thing that is in the way."""
    fault = look.services.store.runs.fault(scope.platform)
    code = code_of(state.error_code or "")
    if fault is not None:
        return "platform_stopped", f"the sync is paused: {fault.code} ({fault.code.in_words})"
    if state.failures:
        found = UserState.NEEDS_ATTENTION if state.attention else UserState.RETRYING
        next_try = when(state.retry_at, look.now)
        return "failing", f"{found.label}: {code} ({code.in_words}); next try {next_try}"
    if welkin is not None and not welkin.active:
        people = look.members(scope)
        said = "inactive in Welkin; synced for another day, until that is certain"
        if scope.user_id in people.held:
            said = f"inactive in Welkin with many others; needs approval {people.digest}"
        return "welkin_inactive", said
    if state.last_success_at is None:
        return UserState.NEW.value, UserState.NEW.label
    if state.waiting(look.now):
        return (
            "postponed",
            f"the calendar did not answer; next try {when(state.retry_at, look.now)}",
        )
    listed = listed_user(look.services.store, look.revision.settings, scope.user_id, look.now)
    for one in listed:
        if one.platform is scope.platform and one.late:
            since = when(one.behind_since, look.now)
            return "late", f"late since {since}; is the sync running?"
    if state.marked:
        return "marked", "has changes that the next run syncs"
    return "in_step", "up to date"


def _mapping(scope: Scope, organisation: Settings) -> Iterator[Fact]:
    mapped = scope.mapped
    whose = "the user's own" if mapped.direction is not None else "the platform's"
    yield Fact("mapping", f"{mapped.account or 'none'}, revision {mapped.revision}")
    yield Fact("profile", mapped.profile or "none")
    if mapped.chosen != Choices():
        said = ", ".join(
            f"{name} {value}" for name, value in asdict(mapped.chosen).items() if value
        )
        may = ", ".join(scope.settings.people_may_choose) or "nothing"
        yield Fact("chosen by the person", f"{said or 'nothing'} (may choose: {may})")
    for setting in changed_by(organisation, mapped.profile):
        said = f"{setting.own_words} (by the profile; without it: {setting.usual_words})"
        yield Fact(setting.name, said)
    yield Fact("direction", f"{scope.direction.value} ({whose})")
    if own := own_calendar(organisation, mapped):
        yield Fact("calendar for mirrors", own)


async def _calendar_answers(look: Look, scope: Scope) -> Fact:
    platform = look.services.platforms.get(scope.platform)
    if platform is None or not scope.account:
        return Fact("calendar", "not read")
    window = Window(look.now, look.now + HOUR)
    for calendar in scope.calendars.all:
        try:
            await platform.changes(scope.account, calendar, None, window)
        except SyncError as error:
            return Fact("calendar", f"{calendar}: {error.code} ({error.code.in_words})")
    return Fact("calendar", f"answers ({', '.join(scope.calendars.all)})")


def _progress(look: Look, scope: Scope, state: UserSync) -> Iterator[Fact]:
    """Marks, polls, retries, comparisons, cursors."""
    store, now = look.services.store, look.now
    yield Fact("last success", when(state.last_success_at, now))
    marked = f"since {when(state.marked_at, now)}" if state.marked else "no"
    yield Fact("work waiting", marked)
    if state.failures:
        since = when(state.failing_since, now)
        yield Fact("failures", f"{state.failures} since {since}, {state.error_code}")
    if state.retry_at is not None and state.retry_at > now:
        yield Fact("next try", when(state.retry_at, now))
    if state.poll_error:
        yield Fact("poll", f"{state.poll_error} ({code_of(state.poll_error).in_words})")
    enabled = [row for row in store.config.mapping(scope.platform) if row.enabled]
    calendars = poll_requests(look.revision.settings, enabled)
    interval = poll_interval(scope.settings, scope.platform, calendars, now)
    polled = state.last_poll_at
    due = polled + interval if polled is not None else None
    yield Fact("last poll", when(polled, now))
    yield Fact("next poll", f"{when(due, now)}" if due is not None and due > now else "due")
    yield Fact("next full comparison", when(state.next_full_at, now))
    yield Fact("last run of the platform", when(last_run(store, scope.platform), now))
    platform = look.services.platforms.get(scope.platform)
    for calendar in scope.calendars.all:
        cursor = store.feeds.cursor(scope.platform.value, scope.user_id, calendar)
        said = "none; the next sync reads everything"
        if cursor is not None and platform is not None:
            same = cursor.shape == cursor_shape(
                platform.shape, scope.revision, scope.mapped, scope.zone
            )
            said = f"stored {when(cursor.saved_at, now)}"
            said += "" if same else ", from older settings; read again soon"
        yield Fact(f"cursor of {calendar}", said)


def _items(look: Look, scope: Scope) -> Iterator[Fact]:
    """Links, conflicts, parked items, approvals, the last writes."""
    store, now, pair = look.services.store, look.now, scope.pair
    links = look.links(scope)
    counts = Counter((link.kind.value, link.state.value) for link in links)
    for (kind, state), count in sorted(counts.items()):
        yield Fact(f"{kind}s {state}", str(count))
    former = Counter(x.account for x in links if x.state in LEFT and x.account != scope.account)
    for account, count in sorted(former.items()):
        yield Fact("left in the previous mailbox", f"{account}: {count}")
    for row in conflicts(store, *pair, now)[:SHOWN]:
        said = (
            f"{row.kind}: {row.decision}, {plural(row.times, 'time')}, the last at "
            f"{when(row.last_at, now)}"
        )
        yield Fact("conflict", f"{row.source_id} {said}")
    for item in parked_items(store, *pair)[:SHOWN]:
        word = "failed" if item.parked else "rejected"
        said = (
            f"{item.step} {item.code}, {plural(item.tries, 'try', 'tries')}, next "
            f"{when(item.next_at, now)}"
        )
        yield Fact(word, f"{item.source_id} {said} ({code_of(item.code).in_words})")
    for entry in store.runs.pending():
        if (entry.user_id, entry.platform) == pair:
            yield Fact("waits for approval", f"{entry.digest}: {entry.count} ({entry.reason})")
    for op in operations(store, *pair, newest=SHOWN):
        said = f"{when(op.at, now)} {op.step} ({op.reason}): {op.outcome}"
        yield Fact("operation", f"{said}, {op.source_id}")


def _unknown(look: Look, user_id: str, welkin: WelkinUser | None) -> Explanation:
    said = "this id is unknown"
    if welkin is not None:
        said = "a Welkin user who is not mapped"
    return Explanation(
        "user",
        user_id,
        False,
        said,
        (_welkin_user(look, welkin),),
        looked_at=(
            "the user mapping, by Welkin user id and mailbox: none",
            "users who were mapped before: none",
            "Welkin's list of users, by id and address"
            + (": found" if welkin is not None else ": none"),
        ),
        hints=(
            "to see who is mapped: calendar-sync mapping export",
            "to map a user: calendar-sync mapping set",
        ),
    )
