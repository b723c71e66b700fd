"""Why the appointments of one day are in a user's calendars, or are not: for that user alone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from calendar_sync.core.concurrency import together
from calendar_sync.core.identity import EXTERNAL_ID_PREFIX
from calendar_sync.core.model import STANDING, MirrorLink, Platform, Span, WelkinEvent, Window
from calendar_sync.insight.explain.appointment import explain_appointment
from calendar_sync.insight.explain.look import Look

#: Each appointment costs a few requests.
MOST, AT_ONCE = 20, 4


@dataclass(frozen=True)
class Outcome:
    """What became of an appointment in one calendar: a word, and a sentence for administrators."""

    platform: str
    verdict: str
    text: str


@dataclass(frozen=True)
class Explained:
    """One appointment of the user: when it is, what it is, and its outcome in each calendar.

    Nothing is here of who else takes part, of the patient, or of the text of the appointment.
    """

    span: Span
    text: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Day:
    """The appointments of a day in their order; `more` were not looked at."""

    day: date
    found: tuple[Explained, ...]
    more: int = 0


async def explain_day(look: Look, user_id: str, day: date) -> Day:
    """Every appointment of this user on this day, in Welkin or by the mirrors that stand.

    Raises:
        SyncError: Welkin cannot be read.
    """
    zone = look.scope(user_id, Platform.GOOGLE).zone
    start, end = (
        datetime.combine(each, time(), zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    window = Window(start, end)
    events, _ = await look.services.welkin.events([user_id], window, zone)
    spans = {event.id: event.span for event in events.values() if _is_appointment(event)}
    for platform in Platform:
        for link in look.services.store.links.of(user_id, platform):
            if isinstance(link, MirrorLink) and link.state in STANDING:
                spans.setdefault(link.appointment_id, link.span)
    here = [
        (span.instants(zone)[0], event_id, span)
        for event_id, span in spans.items()
        if span.overlaps(window, zone)
    ]
    here.sort(key=lambda each: each[:2])

    async def one(event_id: str, span: Span) -> Explained:
        answer = await explain_appointment(look, event_id, user_id=user_id)
        outcomes = tuple(
            Outcome(part.platform, part.verdict, part.text)
            for part in answer.parts
            if part.user_id == user_id
        )
        return Explained(span, answer.text, outcomes)

    found = await together((one(event_id, span) for _, event_id, span in here[:MOST]), AT_ONCE)
    return Day(day, tuple(found), max(0, len(here) - MOST))


def _is_appointment(event: WelkinEvent) -> bool:
    ours = (event.external_id or "").startswith(EXTERNAL_ID_PREFIX)
    return event.kind != "LEAVE" and not ours
