"""Why an appointment is mirrored, or is not, in the calendar of each mapped participant."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from calendar_sync.core.identity import EXTERNAL_ID_PREFIX, TEST_PREFIX
from calendar_sync.core.model import (
    STANDING,
    Appointment,
    BlockLink,
    CalendarEvent,
    Draft,
    Encounter,
    LinkState,
    MirrorLink,
    Platform,
    Removed,
    Source,
    Step,
    WelkinEvent,
)
from calendar_sync.insight.explain import words
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
from calendar_sync.planner.buffers import around_visit
from calendar_sync.planner.mirror_place import LEFT_OUT, place_of
from calendar_sync.planner.mirrors import NO_MIRROR, edited, judge, shifted
from calendar_sync.planner.plan import digest_of
from calendar_sync.sync.cycle.scope import Scope


@dataclass(frozen=True)
class MirrorVerdict:
    """A word, a sentence, and the rule of the planner that decided, if one did."""

    word: str
    text: str = ""
    rule: str | None = None
    judged: bool = False

    @property
    def said(self) -> str:
        """The sentence."""
        return self.text or words.MIRROR.get(self.word, self.word)


async def explain_appointment(
    look: Look, event_id: str, *, user_id: str | None = None, platform: Platform | None = None
) -> Explanation:
    """Every rule in turn, for each mapped participant, and the state of the mirror."""
    store = look.services.store
    about = store.links.about(event_id)
    mirrors = [link for link in of_kind(about, MirrorLink) if link.appointment_id == event_id]
    blocks = [link for link in of_kind(about, BlockLink) if link.block_id == event_id]
    if blocks:
        return _block(look, event_id, blocks)
    anybody = look.scope(user_id or "", platform or Platform.GOOGLE)
    event = await look.appointment(event_id, anybody)
    if event is None and not mirrors:
        other = store.feeds.encounters_by_id([event_id])
        if other:
            # People often have the encounter's id at hand.
            found = await explain_appointment(
                look, other[0].event_id, user_id=user_id, platform=platform
            )
            said = f"an encounter; its calendar event is {found.id}, {found.text}"
            return replace(found, id=event_id, text=said)
        return _unknown(event_id)
    encounter = None
    if isinstance(event, WelkinEvent):
        if event.kind == "LEAVE" or (event.external_id or "").startswith(EXTERNAL_ID_PREFIX):
            return Explanation(
                "appointment", event_id, True, "a leave, not an appointment; it gets no mirror"
            )
        encounter = await look.encounter(event)
    people = event.user_ids if isinstance(event, WelkinEvent) else frozenset[str]()
    pairs = {(link.user_id, link.platform) for link in mirrors}
    pairs |= {(m.user_id, m.platform) for m in store.config.mapping() if m.user_id in people}
    asked = sorted(pair for pair in pairs if wanted(platform, user_id, pair))
    parts = [await _part(look, look.scope(*pair), event_id, event, encounter) for pair in asked]
    unmapped = sorted(people - {user for user, _ in pairs})
    facts = [*_facts(event, encounter)]
    if unmapped:
        facts.append(Fact("not mapped", ", ".join(unmapped)))
    hints = (
        () if parts else ("none of its participants is mapped, see calendar-sync mapping export",)
    )
    return Explanation(
        "appointment",
        event_id,
        True,
        _what(event, encounter),
        tuple(facts),
        tuple(parts),
        (),
        hints,
    )


def _what(event: WelkinEvent | Unread | None, encounter: Encounter | None) -> str:
    if event is None:
        return "it no longer exists in Welkin (404)"
    if isinstance(event, Unread):
        return f"Welkin could not be read ({event.code}); this is from the state database"
    if (event.external_id or "").startswith(TEST_PREFIX):
        return "a test appointment of `calendar-sync selftest`"
    if event.kind == "ENCOUNTER":
        template = encounter.template if encounter is not None else None
        return f"an encounter of type {template or 'unknown'}"
    return f"an appointment of type {event.kind}"


def _facts(event: WelkinEvent | Unread | None, encounter: Encounter | None) -> Iterable[Fact]:
    if isinstance(event, WelkinEvent):
        yield Fact("calendar event", "CANCELLED" if event.cancelled else "SCHEDULED")
        if event.kind == "ENCOUNTER":
            yield Fact("encounter", encounter.status if encounter is not None else "not known")


async def _part(
    look: Look,
    scope: Scope,
    event_id: str,
    event: WelkinEvent | Unread | None,
    encounter: Encounter | None,
) -> Part:
    links = of_kind(look.links(scope), MirrorLink)
    mine = [link for link in links if link.appointment_id == event_id]
    # A remapped user has links of former accounts, too.
    mine.sort(key=lambda link: (link.account != scope.account, link.state is LinkState.DELETED))
    link = mine[0] if mine else None
    verdict = await _verdict(look, scope, event_id, event, encounter, link)
    facts = [*profile_fact(scope)]
    if isinstance(event, WelkinEvent):
        facts += _content(scope, look.services.identity.appointment(event, encounter))
    if link is not None:
        facts.append(Fact("mirror", f"{link.mirror_id} in {link.calendar} of {link.account}"))
        facts.append(link_fact(look, link, f"level {link.level}"))
    return Part(
        scope.user_id,
        scope.account,
        scope.platform.value,
        verdict.word,
        verdict.said,
        rules(NO_MIRROR, verdict.rule, words.MIRROR_PASSES) if verdict.judged else (),
        (*facts, *history(look, scope, event_id)),
    )


def _content(scope: Scope, appointment: Appointment) -> Iterable[Fact]:
    """What becomes of Welkin's location (its kind, or why it is left out), and what is around."""
    content = scope.settings.mirror_content
    if appointment.event.location:
        place = place_of(appointment, content)
        yield Fact("location", LEFT_OUT.get(place.left_out, f"shown as a {place.kind}"))
    if buffer := around_visit(appointment, content):
        yield Fact("buffer", str(buffer))


async def _verdict(
    look: Look,
    scope: Scope,
    event_id: str,
    event: WelkinEvent | Unread | None,
    encounter: Encounter | None,
    link: MirrorLink | None,
) -> MirrorVerdict:
    """The first thing that decides, in the order in which a cycle meets them."""
    early = _before_the_rules(look, scope)
    if early is not None:
        return _with_remains(look, scope, early, link)
    if not isinstance(event, WelkinEvent):
        return _without_event(look, scope, event, link)
    reader = look.reader(scope)
    appointment = look.services.identity.appointment(
        event, encounter if event.kind == "ENCOUNTER" else None
    )
    view = replace(
        reader.blank(),
        appointments={event_id: appointment},
        drafts=reader.drafts({event_id: appointment}),
    )
    rule = judge(view, scope.settings, appointment)
    if rule is not None:
        return _objection(scope, appointment, rule, link)
    found = _held(look, scope, event_id) or _parked(look, scope, event_id)
    if found is None:
        found = await _state(look, scope, appointment, link, view.drafts[event_id])
    return replace(found, judged=True)


def _before_the_rules(look: Look, scope: Scope) -> MirrorVerdict | None:
    word = look.not_synced(scope)
    if word is not None:
        return MirrorVerdict(word)
    if not scope.direction.writes_calendar:
        text = f"{words.MIRROR['not_in_direction']} ({scope.direction.value})"
        return MirrorVerdict("not_in_direction", text)
    return None


def _with_remains(
    look: Look, scope: Scope, verdict: MirrorVerdict, link: MirrorLink | None
) -> MirrorVerdict:
    if link is None or link.state not in STANDING:
        return verdict
    leaving = scope.user_id in look.members(scope).leaving
    remains = "is deleted by the next sync" if leaving else "stays there"
    return replace(verdict, text=f"{verdict.said}; its mirror {remains}")


def _without_event(
    look: Look, scope: Scope, event: Unread | None, link: MirrorLink | None
) -> MirrorVerdict:
    if link is None or link.state not in STANDING:
        return MirrorVerdict("removed")
    if isinstance(event, Unread):
        text = f"link {link.state.value}; Welkin could not be read ({event.code})"
        return MirrorVerdict("welkin_unread", text)
    held = guard_hold(look, scope)
    if held is not None:
        said = f"it was not found in Welkin; deleting its mirror needs approval {held}"
        return MirrorVerdict("held", said)
    return MirrorVerdict("retired" if link.state is LinkState.RETIRED else "gone")


def _objection(
    scope: Scope, appointment: Appointment, rule: str, link: MirrorLink | None
) -> MirrorVerdict:
    said = {
        "filtered": lambda: words.filtered(scope.settings.encounter_types, appointment.type_name),
        "cancelled": lambda: words.cancelled(appointment),
    }.get(rule, lambda: words.MIRROR.get(rule, rule))()
    text = said if rule in words.MIRROR and rule != "pending" else f"{rule}: {said}"
    if link is not None and link.state is LinkState.RETIRED:
        text += f"; {words.MIRROR['retired']}"
    elif link is not None and link.state in STANDING and rule != "pending":
        text += "; the next sync handles its mirror"
    return MirrorVerdict(rule, text, rule, judged=True)


def _parked(look: Look, scope: Scope, event_id: str) -> MirrorVerdict | None:
    said = parked(look, scope, event_id)
    return MirrorVerdict("parked", said) if said is not None else None


def _held(look: Look, scope: Scope, event_id: str) -> MirrorVerdict | None:
    """An edit of the mirror that waits before it reaches Welkin: each has its own approval."""
    digests = {digest_of([(step, Source(event_id))]) for step in (Step.RESCHEDULE, Step.CANCEL)}
    for entry in look.services.store.runs.pending():
        if (entry.user_id, entry.platform) == scope.pair and entry.digest in digests:
            said = f"an edit of its mirror needs approval {entry.digest}"
            return MirrorVerdict("held", said)
    return None


async def _state(
    look: Look, scope: Scope, appointment: Appointment, link: MirrorLink | None, draft: Draft
) -> MirrorVerdict:
    """What became of the mirror that it should have."""
    if link is None or link.state is LinkState.DELETED:
        return MirrorVerdict("to_create")
    if link.account.lower() != scope.account.lower():
        said = (
            f"its mirror is still in the previous mailbox {link.account}, which is cleaned up first"
        )
        return MirrorVerdict("left_in_account", said)
    if link.state is LinkState.INTENT:
        return MirrorVerdict("interrupted")
    if link.state is LinkState.DISMISSED:
        changed = link.appointment_hash != appointment.source_hash
        return MirrorVerdict("to_create") if changed else MirrorVerdict("dismissed")
    event = await look.event(scope, link.account, link.calendar, link.mirror_id)
    if isinstance(event, Unread):
        return MirrorVerdict("mirror_unread", f"{words.MIRROR['mirror_unread']} ({event.code})")
    if event is None or isinstance(event, Removed):
        said = (
            f"{words.MIRROR['mirror_missing']} (`mirror_deleted: {scope.settings.mirror_deleted}`)"
        )
        return MirrorVerdict("mirror_missing", said)
    if not isinstance(event, CalendarEvent):
        return MirrorVerdict("mirror_unread")
    content = look.services.identity.event_hash(event, located=link.located)
    if edited(link, event, content):
        said = f"{words.MIRROR['mirror_edited']} (`mirror_moved: {scope.settings.mirror_moved}`)"
        return MirrorVerdict("mirror_edited", said)
    behind = (draft.hash, draft.level) != (link.wanted_hash, link.level)
    if behind or shifted(link, event, content):
        return MirrorVerdict("mirror_behind")
    written = when(link.written_at, look.now)
    return MirrorVerdict("mirror_ok", f"mirror OK, last written {written}, level {link.level}")


def _block(look: Look, event_id: str, links: list[BlockLink]) -> Explanation:
    """The id is that of a block: which event of which calendar it stands for."""
    parts = tuple(
        Part(
            link.user_id,
            link.account,
            link.platform.value,
            "block",
            f"for event {link.event_id} of {link.account}: calendar-sync explain --event",
            facts=(
                Fact("link", f"{link.state.value}, last written {when(link.written_at, look.now)}"),
            ),
        )
        for link in links
    )
    return Explanation(
        "appointment",
        event_id,
        True,
        "a busy block that the sync created, not an appointment",
        (),
        parts,
    )


def _unknown(event_id: str) -> Explanation:
    return Explanation(
        "appointment",
        event_id,
        False,
        "this id is unknown",
        looked_at=(
            "Welkin's calendar events: 404",
            "mirrors and blocks, including deleted ones: none",
            "the index of encounters: none",
        ),
        hints=(
            "use the id of the calendar event in Welkin, not that of the patient",
            "for the id of an event in Google or Outlook: calendar-sync explain --event ID",
            "a new encounter may not be in the index yet: calendar-sync sync --user HOST",
        ),
    )
