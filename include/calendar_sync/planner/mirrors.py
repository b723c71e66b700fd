"""Rules 1 to 4 and 9 to 12: from appointments to mirrors."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import (
    GUESTS,
    MISSING,
    STANDING,
    Action,
    Appointment,
    CalendarEvent,
    Cancel,
    ChangeLink,
    Conflict,
    ConflictDecision,
    ConflictKind,
    CreateMirror,
    DeleteMirror,
    Direction,
    Draft,
    Link,
    LinkState,
    MirrorLink,
    Platform,
    Refusal,
    Removed,
    Reschedule,
    Source,
    Span,
    Step,
    Tombstone,
    UpdateMirror,
    exceeds,
    without_guests,
)
from calendar_sync.planner.guard import guarded
from calendar_sync.planner.snapshot import CalendarView, Doubt, View

PENDING = "pending"
WRITTEN_BEFORE = "written_before"
RESTORES_A_DAY = 3
_LEFT_ALONE = frozenset({ConflictDecision.REPORTED, ConflictDecision.PARKED})
# What edits of a mirror may change: no group sessions, and encounters only after a probe.
_PLAIN = frozenset({"APPOINTMENT"})
_PROBED = frozenset({"ENCOUNTER"})

Decision = Action | Conflict | Doubt | Refusal


def plan_mirrors(view: View, settings: Settings) -> Iterator[Decision]:
    """One mirror for each wanted appointment, none for any other."""
    if not view.direction.writes_calendar:
        yield from left_behind(view, view.live(MirrorLink))
        return
    calendar = next(calendar for calendar in view.calendars if calendar.holds_mirrors)
    for appointment in view.appointments.values():
        decisions = _appointment(view, settings, calendar, appointment)
        yield from guarded(Step.CREATE_MIRROR, Source(appointment.id), decisions)
    for link in (*view.standing_mirrors, *view.too_detailed_mirrors):
        yield from guarded(Step.UPDATE_MIRROR, link.source, _standing(view, calendar, link))


def _appointment(
    view: View, settings: Settings, calendar: CalendarView, appointment: Appointment
) -> Iterator[Decision]:
    link = view.mirror_links.get(appointment.id)
    objection = judge(view, settings, appointment)
    if objection == PENDING:
        return
    if objection is None:
        draft = view.drafts[appointment.id]
        yield from _wanted(view, settings, calendar, appointment, draft, link)
    elif link is not None:
        yield from _unwanted(view, _present(view, calendar, link), objection, appointment)


def _standing(view: View, calendar: CalendarView, link: MirrorLink) -> Iterator[Decision]:
    """A mirror whose appointment was not read."""
    if link.appointment_id in view.absent:
        yield DeleteMirror("appointment_gone", _present(view, calendar, link), absence=True)
    elif (
        link.appointment_id not in view.unreadable and link.appointment_id not in view.appointments
    ):
        if link.state is LinkState.RETIRED:
            yield Doubt(link.source)  # not read in this cycle: the next one continues
        else:
            yield from _unseen(view, link)


def left_behind(view: View, links: Iterable[Link]) -> Iterator[Conflict]:
    """A direction that no longer writes this side cannot delete what is there: it is shown."""
    if all(calendar.full for calendar in view.calendars):
        for link in links:
            yield Conflict(ConflictKind.LEFT_BY_DIRECTION, link.source, ConflictDecision.LEFT)


def judge(view: View, settings: Settings, appointment: Appointment) -> str | None:
    """Why this appointment gets no mirror in this calendar; None when it gets one."""
    return next(
        (name for name, says in NO_MIRROR.items() if says(view, settings, appointment)), None
    )


def _untyped(appointment: Appointment) -> bool:
    """An encounter whose template Welkin does not name."""
    encounter = appointment.encounter
    return appointment.event.kind == "ENCOUNTER" and not (encounter and encounter.template)


#: Why an appointment gets no mirror, in the order of asking: the first one decides.
NO_MIRROR: Mapping[str, Callable[[View, Settings, Appointment], bool]] = {
    "cancelled": lambda view, settings, appointment: appointment.cancelled,
    "not_participant": lambda view, settings, appointment: (
        view.user_id not in appointment.event.user_ids
    ),
    "outside_window": lambda view, settings, appointment: (
        not appointment.event.span.overlaps(view.mirror_window, view.zone)
    ),
    PENDING: lambda view, settings, appointment: appointment.pending,
    "unknown_type": lambda view, settings, appointment: (
        _untyped(appointment) and settings.encounter_types.unknown_type != "include"
    ),
    "filtered": lambda view, settings, appointment: (
        not _untyped(appointment) and not settings.encounter_types.wants(appointment.type_name)
    ),
    "empty_time": lambda view, settings, appointment: appointment.event.span.empty(view.zone),
}


def edited(link: MirrorLink, event: CalendarEvent, content: str) -> bool:
    """A person has changed this mirror, whose content has this hash, since we wrote it.

    If its etag is that of our write, a difference comes from how the server shows what we wrote.
    Guests do not count as an edit: they are the user's.
    """
    same = without_guests(content) == without_guests(link.mirror_hash)
    return not same and not link.untouched(event.etag)


def shifted(link: MirrorLink, event: CalendarEvent, content: str) -> bool:
    """The server shows another time than we wrote, although no person has changed the mirror.

    Servers do so when the rules of a time zone change. A different text is accepted in this case, a
    different time never.
    """
    same = without_guests(content) == without_guests(link.mirror_hash)
    return not same and link.untouched(event.etag) and event.span != link.mirror_span


def _wanted(
    view: View,
    settings: Settings,
    calendar: CalendarView,
    appointment: Appointment,
    draft: Draft,
    link: MirrorLink | None,
) -> Iterator[Decision]:
    create = CreateMirror("wanted", appointment, draft, link)
    if link is None or link.state in {LinkState.DELETED, LinkState.INTENT}:
        same = link is not None and link.appointment_hash == appointment.source_hash
        if link is not None and same and link.state is LinkState.DELETED and view.settling(link):
            yield Doubt(link.source)  # we have just cancelled it: this reading is older
        else:
            yield create
        return
    here = _present(view, calendar, link)
    if here is not link:
        link = here
        yield ChangeLink("found_again", link)
    if link.state is LinkState.DISMISSED:
        if link.appointment_hash != appointment.source_hash:
            yield CreateMirror("changed_after_dismissal", appointment, draft, link)
        return
    if is_gone(calendar, link):
        proven = isinstance(calendar.events.get(link.mirror_id), Tombstone)
        if not proven and view.settling(link):
            yield Doubt(link.source)
        else:
            yield from _deleted_by_hand(view, settings, appointment, draft, link, proven=proven)
        return
    event = calendar.living.get(link.mirror_id)
    if event is not None and view.outdated(link, event.version):
        event = None
        yield Doubt(link.source)
    if event is not None and event.has_attendees != link.mirror_hash.endswith(GUESTS):
        # The user invited guests or removed them: that is never undone, and shown once.
        seen = without_guests(link.mirror_hash) + GUESTS * event.has_attendees
        link = replace(link, mirror_hash=seen)
        yield ChangeLink("guests", link)
        if event.has_attendees:
            yield Conflict(ConflictKind.GUESTS_ADDED, link.source, ConflictDecision.LEFT)
    update = UpdateMirror("changed", appointment, draft, link, event)
    content = _content(view, link, draft, event) if event is not None else ""
    if event is not None and without_guests(content) == draft.hash != link.wanted_hash:
        # Our own write: its answer was lost.
        written = replace(
            link,
            state=LinkState.LIVE,
            span=update.span,
            etag=event.etag,
            wanted_hash=draft.hash,
            mirror_hash=content,
            appointment_hash=appointment.source_hash,
            level=draft.level,
            colour=draft.colour,
            around=draft.around,
        )
        yield ChangeLink(WRITTEN_BEFORE, written)
        return
    by_hand = event is not None and edited(link, event, calendar.hashes[event.id])
    changed = draft.hash != link.wanted_hash or draft.level != link.level
    if changed or _recolours(link, draft):
        if not (by_hand and view.direction is Direction.BIDIRECTIONAL) or event is None:
            yield update
        elif link.appointment_hash == appointment.source_hash:
            # The settings changed and the appointment did not: only the edit is decided about.
            yield from _edited_by_hand(view, settings, calendar, event, update)
        # A lowered level is always written, whatever the settings say about conflicts.
        elif settings.both_changed == "report" and draft.level == link.level:
            known = replace(
                link,
                wanted_hash=draft.hash,
                mirror_hash=calendar.hashes[link.mirror_id],
                appointment_hash=appointment.source_hash,
                span=update.span,
            )
            yield ChangeLink("both_changed", known)
            yield Conflict(ConflictKind.BOTH_CHANGED, link.source, ConflictDecision.REPORTED)
        else:
            yield update
            yield Conflict(ConflictKind.BOTH_CHANGED, link.source, ConflictDecision.WELKIN_WINS)
    elif by_hand and event is not None:
        yield from _edited_by_hand(view, settings, calendar, event, update)
    elif event is not None and shifted(link, event, calendar.hashes[event.id]):
        yield from _shifted(view, calendar, event, update)
    elif link.appointment_hash != appointment.source_hash or link.state is LinkState.RETIRED:
        known = replace(link, appointment_hash=appointment.source_hash, state=LinkState.LIVE)
        yield ChangeLink("unchanged_for_the_calendar", known)


def _content(view: View, link: MirrorLink, draft: Draft, event: CalendarEvent) -> str:
    """The hash of a mirror that we may have just written; a location is ours before or after."""
    ours = link.located or draft.location is not None
    return view.identity.event_hash(event, located=ours)


def _recolours(link: MirrorLink, draft: Draft) -> bool:
    """The settings give another colour, and no edit by the user was left in the mirror."""
    as_written = without_guests(link.mirror_hash) == link.wanted_hash
    return draft.colour != link.colour and as_written


def is_gone(calendar: CalendarView, link: MirrorLink) -> bool:
    """The mirror was deleted, or is not found by its id."""
    row = calendar.events.get(link.mirror_id)
    return link.mirror_id in calendar.gone or isinstance(row, Removed)


def _present(view: View, calendar: CalendarView, link: MirrorLink) -> MirrorLink:
    """The link as the calendar has its mirror now; the same link where nothing has changed.

    A mirror that was deleted by hand and not restored may have been taken out of the bin. In a
    mailbox that was restored or imported again, it has another id.
    """
    event = calendar.living.get(link.mirror_id)
    if link.state is LinkState.DISMISSED:
        undone = event is not None and event.version > link.version
        return replace(link, state=LinkState.LIVE) if undone else link
    if link.state not in STANDING or not is_gone(calendar, link):
        return link
    again = view.unlinked.get(view.marker(link.appointment_id), ())
    known = [each for each in again if each.id in calendar.hashes]
    if not known:
        return link
    event = min(known, key=lambda each: calendar.hashes[each.id] != link.mirror_hash)
    return replace(link, mirror_id=event.id, etag=None, version=event.version)


def _deleted_by_hand(
    view: View,
    settings: Settings,
    appointment: Appointment,
    draft: Draft,
    link: MirrorLink,
    *,
    proven: bool,
) -> Iterator[Decision]:
    both_ways = view.direction is Direction.BIDIRECTIONAL
    cancel = Cancel("deleted_by_hand", appointment, draft, link)
    restore = cancel.instead()
    dismiss = ChangeLink("deleted_by_hand", replace(link, state=LinkState.DISMISSED))
    if view.past(cancel.span):
        yield dismiss
        return
    # Only a tombstone proves the deletion; "not found" cancels nothing.
    deleted = both_ways and proven
    follow = settings.mirror_deleted == "cancel" and appointment.event.kind in _PLAIN
    if deleted and follow and _hosts(view, appointment):
        if appointment.source_hash != link.appointment_hash:
            # The user deleted the mirror of an older version of the appointment.
            yield restore
            yield Conflict(ConflictKind.BOTH_CHANGED, link.source, ConflictDecision.WELKIN_WINS)
            return
        yield cancel
        yield Conflict(ConflictKind.MIRROR_DELETED, link.source, ConflictDecision.CANCELLED)
        return
    decision = ConflictDecision.RESTORED
    if both_ways and settings.mirror_deleted == "report":
        decision = ConflictDecision.REPORTED
    elif restored_too_often(view, link):
        decision = ConflictDecision.PARKED
    yield restore if decision is ConflictDecision.RESTORED else dismiss
    # One way, a restored mirror is not shown; one that is left as it is, is shown.
    if both_ways or decision is ConflictDecision.PARKED:
        yield Conflict(ConflictKind.MIRROR_DELETED, link.source, decision)


def _edited_by_hand(
    view: View,
    settings: Settings,
    calendar: CalendarView,
    event: CalendarEvent,
    update: UpdateMirror,
) -> Iterator[Decision]:
    link, draft, appointment = update.link, update.draft, update.appointment
    both_ways = view.direction is Direction.BIDIRECTIONAL
    # Where the appointment would be: what is around it was written with the mirror.
    found = link.around.narrow(event.span)
    moved = found != update.span
    restore = replace(update, reason="edited_by_hand", restore=True)
    if both_ways and settings.mirror_moved == "reschedule":
        kinds = _PLAIN | _PROBED if view.encounters_move else _PLAIN
        movable = appointment.event.kind in kinds and _hosts(view, appointment)
        if (
            movable
            and _is_a_new_time(view, found, update.span)
            and _keeps_buffers(view, update, found)
        ):
            yield Reschedule(restore.reason, appointment, draft, link, event)
            yield Conflict(ConflictKind.MIRROR_MOVED, link.source, ConflictDecision.RESCHEDULED)
            return
    decision: ConflictDecision | None = ConflictDecision.RESTORED
    if view.past(update.span) and view.past(found):
        decision = None  # in the past: harmless
    elif both_ways and moved and settings.mirror_moved == "report":
        decision = ConflictDecision.REPORTED
    elif event.has_attendees and view.platform is Platform.MICROSOFT:
        # Exchange would send e-mail to its guests about each write.
        decision = ConflictDecision.REPORTED
    elif restored_too_often(view, link):
        decision = ConflictDecision.PARKED
    if decision is ConflictDecision.RESTORED:
        yield restore
    elif draft.level != link.level:
        yield update
        decision = decision and ConflictDecision.RESTORED
    else:
        seen = replace(link, etag=event.etag, mirror_hash=calendar.hashes[event.id])
        yield ChangeLink("edited_by_hand", replace(seen, wanted_hash=draft.hash))
    if decision and (both_ways or decision in _LEFT_ALONE):
        kind = ConflictKind.MIRROR_MOVED if moved else ConflictKind.MIRROR_EDITED
        yield Conflict(kind, link.source, decision)


def _shifted(
    view: View, calendar: CalendarView, event: CalendarEvent, update: UpdateMirror
) -> Iterator[Decision]:
    """Not an edit by a user: it is corrected without a conflict and never changes Welkin."""
    link = update.link
    if restored_too_often(view, link):
        yield ChangeLink("shifted", replace(link, mirror_hash=calendar.hashes[event.id]))
        yield Conflict(ConflictKind.MIRROR_MOVED, link.source, ConflictDecision.PARKED)
    else:
        yield replace(update, reason="shifted", restore=True)


def _hosts(view: View, appointment: Appointment) -> bool:
    """The user is the host: other participants cannot change the visit from a calendar."""
    return appointment.event.host_id == view.user_id


def _keeps_buffers(view: View, update: UpdateMirror, found: Span) -> bool:
    """The new time of the appointment is certain, in spite of what is around it.

    If the mirror was resized, the user may have meant either; and if other buffers are wanted now,
    it is not certain which of them it has.
    """
    (begin, end), (start, stop) = (span.instants(view.zone) for span in (found, update.span))
    around = update.link.around
    return around == update.draft.around and (not around or end - begin == stop - start)


def _is_a_new_time(view: View, found: Span, wanted: Span) -> bool:
    """The mirror was moved to a time that an appointment can have: in the future, not empty."""
    ahead = all(span.instants(view.zone)[0] > view.now for span in (found, wanted))
    timed = not found.all_day and not wanted.all_day
    return found != wanted and timed and not found.empty(view.zone) and ahead


def restored_too_often(view: View, link: Link) -> bool:
    """Restored three times in a day: it is left as it is, and a person decides."""
    recent = link.restored_at is not None and view.now - link.restored_at < timedelta(days=1)
    return recent and link.restores >= RESTORES_A_DAY


def _unwanted(
    view: View, link: MirrorLink, objection: str, appointment: Appointment
) -> Iterator[Action]:
    if link.state not in {LinkState.LIVE, LinkState.INTENT, LinkState.RETIRED}:
        return
    if objection == "outside_window" and _before_window(view, link):
        draft = view.drafts.get(appointment.id)
        if exceeds(link.level, view.level) and draft is not None:
            yield UpdateMirror("lower_level", appointment, draft, link)
        elif link.state is LinkState.LIVE:
            yield _retire(link)
        return
    status = appointment.encounter.status if appointment.encounter is not None else ""
    absence = objection == "cancelled" and not appointment.event.cancelled and status == MISSING
    yield DeleteMirror(objection, link, absence)


def _unseen(view: View, link: MirrorLink) -> Iterator[Action]:
    """The link lies outside the window that was read."""
    if _before_window(view, link):
        yield _retire(link)
    elif not link.span.overlaps(view.mirror_window, view.zone):
        yield DeleteMirror("outside_window", link)


def _before_window(view: View, link: MirrorLink) -> bool:
    return link.span.instants(view.zone)[1] <= view.mirror_window.start


def _retire(link: MirrorLink) -> ChangeLink:
    return ChangeLink("left_the_window", replace(link, state=LinkState.RETIRED))
