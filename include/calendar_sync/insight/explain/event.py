"""Why an event of a calendar blocks time in Welkin, or does not."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calendar_sync.config.settings import BlockTime
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import (
    STANDING,
    BlockLink,
    CalendarEvent,
    Link,
    LinkState,
    MirrorLink,
    Platform,
    Removed,
    Row,
    WelkinEvent,
)
from calendar_sync.insight.explain import words
from calendar_sync.insight.explain.appointment import explain_appointment
from calendar_sync.insight.explain.explanation import Explanation, Fact, Part, rules, when
from calendar_sync.insight.explain.look import (
    Look,
    Unread,
    guard_hold,
    history,
    link_fact,
    of_kind,
    parked,
    profile_fact,
    wanted,
)
from calendar_sync.planner import View
from calendar_sync.planner.blocks import nearest, why_no_block
from calendar_sync.planner.buffers import around
from calendar_sync.planner.busy import NOT_BUSY
from calendar_sync.planner.meetings import covered, stored
from calendar_sync.state.marks import Pair
from calendar_sync.sync.cycle.scope import Scope

RULES = ("deleted", "no_time", *NOT_BUSY, "outside_window", "over_limit", "twin_held")
# Of an id that no link names, so many accounts are asked.
MOST_ASKED = 25


@dataclass(frozen=True)
class BlockVerdict:
    """A word, a sentence, and the rule that decided, if one did."""

    word: str
    text: str = ""
    rule: str | None = None
    judged: bool = True

    @property
    def said(self) -> str:
        """The sentence."""
        return self.text or words.BLOCK.get(self.word, self.word)


async def explain_event(
    look: Look, event_id: str, *, user_id: str | None = None, platform: Platform | None = None
) -> Explanation:
    """Which rule decides about it, for each account that has it, and the state of its block."""
    about = look.services.store.links.about(event_id)
    for block in of_kind(about, BlockLink):
        if block.block_id == event_id:
            # Welkin's id of the block itself: what it stands for is meant.
            found = await explain_event(
                look, block.event_id, user_id=block.user_id, platform=block.platform
            )
            said = f"a block in Welkin, for event {found.id}, {found.text}"
            return replace(found, id=event_id, text=said)
    known = {(link.user_id, link.platform) for link in about if link.source.id != event_id}
    known |= {(x.user_id, x.platform) for x in about if isinstance(x, BlockLink)}
    pairs = known or _everybody(look)
    asked = sorted(pair for pair in pairs if wanted(platform, user_id, pair))
    if not known and len(asked) > MOST_ASKED:
        return _unknown(event_id, [], too_many=len(asked))
    parts = [part for pair in asked for part in await _parts(look, pair, event_id, about)]
    found_parts = tuple(part for part in parts if part.verdict != "not_there")
    if not found_parts:
        return _unknown(event_id, parts)
    mirrors = [part for part in found_parts if part.verdict == "mirror"]
    said = "a mirror" if mirrors else "an external event"
    return Explanation("event", event_id, True, said, (), found_parts)


def _everybody(look: Look) -> set[Pair]:
    mapping = look.services.store.config.mapping()
    return {(mapped.user_id, mapped.platform) for mapped in mapping if mapped.enabled}


async def _parts(look: Look, pair: Pair, event_id: str, about: Sequence[Link]) -> list[Part]:
    """One part a calendar in which it is, or was."""
    scope = look.scope(*pair)
    mine = [link for link in about if (link.user_id, link.platform) == pair]
    for link in of_kind(mine, MirrorLink):
        return [await _mirror(look, scope, link)]
    places = {
        (link.account, link.calendar)
        for link in mine
        if link.state in STANDING
        or (link.account == scope.account and link.state is not LinkState.DELETED)
    }
    places = places or {(scope.account, calendar) for calendar in scope.calendars.all}
    return [await _part(look, scope, *place, event_id) for place in sorted(places)]


async def _mirror(look: Look, scope: Scope, link: MirrorLink) -> Part:
    """What the appointment behind it says of this user."""
    answer = await explain_appointment(
        look, link.appointment_id, user_id=scope.user_id, platform=scope.platform
    )
    text = f"mirror of appointment {link.appointment_id}: {answer.text}"
    if not answer.parts:
        return Part(scope.user_id, link.account, scope.platform.value, "mirror", text)
    part = answer.parts[0]
    return replace(part, verdict="mirror", text=f"{text}; {part.text}")


async def _part(look: Look, scope: Scope, account: str, calendar: str, event_id: str) -> Part:
    event = await look.event(scope, account, calendar, event_id)
    seen = [event] if isinstance(event, Row) else []
    view = look.view(scope, calendar, seen)
    link = _link_of(view, calendar, event_id, event)
    verdict = _before_the_rules(look, scope, calendar)
    if verdict is None or not seen:
        verdict = await _verdict(look, scope, view, calendar, event, link)
    facts = [Fact("calendar", calendar), *profile_fact(scope)]
    if verdict.rule is None:
        facts += _buffer(scope, event)
    if link is not None:
        facts.append(link_fact(look, link, f"block {link.block_id}"))
    return Part(
        scope.user_id,
        account,
        scope.platform.value,
        verdict.word,
        verdict.said,
        rules(RULES, verdict.rule, words.BLOCK_PASSES) if verdict.judged and seen else (),
        (*facts, *_history(look, scope, link, event_id)),
    )


def _buffer(scope: Scope, event: Row | Unread | None) -> list[Fact]:
    """What its block takes around it."""
    if not isinstance(event, CalendarEvent) or event.span.all_day:
        return []
    buffer = around(event, scope.settings.block_time)
    return [Fact("buffer", str(buffer))] if buffer else []


def _history(look: Look, scope: Scope, link: BlockLink | None, event_id: str) -> tuple[Fact, ...]:
    """Of one instance alone, where the event is part of a series."""
    if link is None:
        return history(look, scope, event_id)
    return history(look, scope, link.source.id, link.source.original_start, link.block_id)


def _link_of(
    view: View, calendar: str, event_id: str, event: Row | Unread | None
) -> BlockLink | None:
    if isinstance(event, Row):
        found = view.block_links.get((calendar, event.source))
        if found is not None:
            return found
    links = view.block_links.values()
    return next((x for x in links if x.event_id == event_id and x.calendar == calendar), None)


def _before_the_rules(look: Look, scope: Scope, calendar: str) -> BlockVerdict | None:
    """What keeps every event of this calendar from blocking."""
    word = look.not_synced(scope)
    if word is not None:
        return BlockVerdict(word, judged=False)
    if not scope.direction.writes_welkin:
        text = f"{words.BLOCK['not_in_direction']} ({scope.direction.value})"
        return BlockVerdict("not_in_direction", text, judged=False)
    if not scope.settings.block_time.enabled:
        return BlockVerdict("block_time_off", judged=False)
    if calendar not in scope.calendars.busy:
        return BlockVerdict("not_a_busy_calendar", judged=False)
    return None


async def _verdict(
    look: Look,
    scope: Scope,
    view: View,
    calendar: str,
    event: Row | Unread | None,
    link: BlockLink | None,
) -> BlockVerdict:
    stands = link is not None and link.state in STANDING
    if isinstance(event, Unread):
        return BlockVerdict(
            "unread", f"the calendar could not be read ({event.code})", judged=False
        )
    if event is None:
        if not stands:
            return BlockVerdict("removed" if link is not None else "not_there", judged=False)
        held = guard_hold(look, scope)
        if held is not None:
            said = f"it was not found in the calendar; deleting its block needs approval {held}"
            return BlockVerdict("held", said, judged=False)
        return BlockVerdict("gone", judged=False)
    if not view.is_external(event, view.calendars[0]):
        return BlockVerdict("stray_mirror", judged=False)
    if event.is_master and isinstance(event, CalendarEvent):
        return await _series(look, scope, view, calendar, event)
    rule = _no_block(view, scope.settings.block_time, event)
    if rule is not None:
        text = words.BLOCK[rule]
        if stands and link is not None and link.state is not LinkState.RETIRED:
            # Nothing is decided about what cannot be read.
            stays = rule == "no_time"
            text += "; its block stays" if stays else f"; {words.GOES}"
        return BlockVerdict(rule, text, rule)
    if await _over_limit(look, scope, view, calendar, event):
        return BlockVerdict("over_limit", rule="over_limit")
    waits = parked(look, scope, event.source.id, event.source.original_start)
    if waits is not None:
        return BlockVerdict("parked", waits)
    if _shared(scope, view, event, link):
        return BlockVerdict("shared")
    return await _state(look, scope, link)


def _shared(scope: Scope, view: View, event: Row, link: BlockLink | None) -> bool:
    """The block of the other calendar covers it."""
    if link is not None and link.state is LinkState.DUPLICATE:
        return False
    rules = scope.settings.block_time
    calendars = [one for one in scope.calendars.all if one in scope.calendars.busy]
    beside = stored(view, calendars, view.calendars[0].name)
    return isinstance(event, CalendarEvent) and covered(view, rules, event, link, beside)


async def _state(look: Look, scope: Scope, link: BlockLink | None) -> BlockVerdict:
    """What became of the block that it should have."""
    states = {
        LinkState.DELETED: "to_create",
        LinkState.INTENT: "interrupted",
        LinkState.DISMISSED: "dismissed",
        LinkState.RETIRED: "retired",
        LinkState.SHARED: "to_create",
    }
    if link is None:
        return BlockVerdict("to_create")
    if link.state is LinkState.DUPLICATE:
        return BlockVerdict("twin_held", rule="twin_held")
    if link.state in states:
        return BlockVerdict(states[link.state])
    block = await look.appointment(link.block_id, scope)
    if isinstance(block, Unread):
        return BlockVerdict("block_unread", f"{words.BLOCK['block_unread']} ({block.code})")
    if not _as_written(look, block, link):
        rule = scope.settings.block_time.block_edited
        return BlockVerdict(
            "block_edited", f"{words.BLOCK['block_edited']} (`block_edited: {rule}`)"
        )
    return BlockVerdict("block_ok", f"block OK, last written {when(link.written_at, look.now)}")


def _as_written(look: Look, block: WelkinEvent | None, link: BlockLink) -> bool:
    same = block is not None and look.services.identity.block_hash(block) == link.block_hash
    return same and block is not None and not block.cancelled


async def _instances(look: Look, scope: Scope, calendar: str, series_id: str) -> Iterable[Row]:
    try:
        platform = look.services.reader(scope.settings, scope.platform)
        found = await platform.series(scope.account, calendar, series_id, scope.list_window)
    except SyncError:
        return ()
    return found.instances


def _no_block(view: View, rules: BlockTime, event: Row) -> str | None:
    if not isinstance(event, CalendarEvent):
        return "deleted" if isinstance(event, Removed) else "no_time"
    return why_no_block(view, rules, event)


async def _over_limit(look: Look, scope: Scope, view: View, calendar: str, event: Row) -> bool:
    """Of an endless series only the nearest instances block."""
    if not event.series_id:
        return False
    block_time = scope.settings.block_time
    instances = await _instances(look, scope, calendar, event.series_id)
    busy = {
        x.source: x
        for x in instances
        if isinstance(x, CalendarEvent) and why_no_block(view, block_time, x) is None
    }
    return event.source in busy and event.source not in nearest(view, block_time, busy)


async def _series(
    look: Look, scope: Scope, view: View, calendar: str, event: CalendarEvent
) -> BlockVerdict:
    """A series as a whole: how many of its instances block, and why the others do not."""
    block_time = scope.settings.block_time
    instances = await _instances(look, scope, calendar, event.id)
    why = Counter(_no_block(view, block_time, each) or "busy" for each in instances)
    links = [x for (_, source), x in view.block_links.items() if source.id == event.id]
    states = Counter(link.state.value for link in links)
    told = ", ".join(f"{count} {word}" for word, count in sorted(why.items())) or "none"
    linked = ", ".join(f"{count} {word}" for word, count in sorted(states.items())) or "none"
    limit = block_time.instances_per_series
    text = f"{words.BLOCK['series']}; events: {told}; blocks: {linked}"
    if why["busy"] > limit:
        text += f"; only the nearest {limit} get a block"
    return BlockVerdict("series", text, judged=False)


def _unknown(event_id: str, asked: Sequence[Part], too_many: int = 0) -> Explanation:
    looked = [f"{part.account} on {part.platform}: {part.text}" for part in asked]
    hints = ["for an appointment in Welkin: calendar-sync explain --appointment ID"]
    if too_many:
        hints.insert(0, f"{too_many} accounts may have it: choose one with --user WELKIN_USER_ID")
    else:
        hints.insert(
            0, "check that its owner is mapped and the id is complete; Exchange needs immutable ids"
        )
    return Explanation(
        "event",
        event_id,
        False,
        "this id is unknown",
        looked_at=("mirrors and blocks, including deleted ones: none", *looked),
        hints=tuple(hints),
    )
