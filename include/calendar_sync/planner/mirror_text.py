"""The only place that makes text which leaves Welkin, or leaves a calendar for Welkin.

A level decides which fields exist at all for a text:

`busy`  a fixed text.
`type`  the title configured for the encounter template, else fixed words. Free text of Welkin
        (event title, encounter title, description) is never used: people write names there.
`full`  the organisation's template over named fields; allowed only with a recorded agreement.

A mirror that is longer than its appointment (`buffers`) says when that is, at every level.

Place, join link (`mirror_place`) and colour would tell the type of visit: at level `busy` of the
title there is none, except a colour that all mirrors have. At no level does Welkin's own text for a
location become that of a mirror, except a join link that carries nothing about the patient.
"""

import re
from dataclasses import replace
from zoneinfo import ZoneInfo

from calendar_sync.config.mirror_content import ALL
from calendar_sync.config.settings import BlockTime, MirrorContent, Settings, Text
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Appointment,
    CalendarEvent,
    DetailLevel,
    Draft,
    MirrorLink,
    Platform,
    Row,
    Span,
    local,
)
from calendar_sync.planner.buffers import around_visit
from calendar_sync.planner.mirror_place import masked, place_of

FIXED_WORDS = {"GROUP_THERAPY": "Group session"}
DEFAULT_WORDS = "Appointment"
TITLE_LENGTH = 1024
# Outlook keeps no more, and the time stands at the end.
TITLE_WITH_TIME = 255
DESCRIPTION_LENGTH = 8000
BLOCK_TITLE_LENGTH = 200
MODES = {"IN_PERSON": "in person", "VIDEO": "video", "CALL": "call"}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def draft(
    appointment: Appointment,
    settings: Settings,
    identity: Identity,
    zone: str,
    platform: Platform,
) -> Draft:
    """The mirror of an appointment, with exactly the detail that the settings allow."""
    content = settings.mirror_content
    around = around_visit(appointment, content)
    time = f" ({_clock(appointment.event.span, zone)})" if around else ""
    longest = (TITLE_WITH_TIME if time else TITLE_LENGTH) - len(time)
    title = _text(content.title, appointment, content)[:longest] + time
    description = ""
    if content.description.level is not DetailLevel.BUSY:
        description = _text(content.description, appointment, content)[:DESCRIPTION_LENGTH]
    span = around.widen(appointment.event.span)
    place = place_of(appointment, content)
    tentative = _tentative(appointment, content)
    level = f"{content.title.level.value}/{content.description.level.value}"
    return Draft(
        title=title,
        description=description,
        span=span,
        time_zone=zone,
        level=f"{level}+{place.kind}" if place.kind else level,
        hash=identity.mirror_hash(title, description, span, place.text or "", tentative=tentative),
        location=place.text,
        tentative=tentative,
        colour=_colour(appointment, content, platform),
        reminder=content.reminder,
        around=around,
    )


def as_update(draft: Draft, link: MirrorLink, event: Row | None) -> Draft:
    """The draft as an update of this mirror, which was read as `event`.

    A location that we wrote and that is no longer wanted is taken away. The colour is changed while
    it is the one that we gave, or there is none: one that the user chose stays.
    """
    location = "" if draft.location is None and link.located else draft.location
    colours = None
    if isinstance(event, CalendarEvent) and draft.colour != link.colour:
        ours = link.colour in event.colours if link.colour else not event.colours
        if ours:
            kept = (each for each in event.colours if each != link.colour)
            colours = (*kept, *([draft.colour] if draft.colour else ()))
    return replace(draft, location=location, colours=colours)


def block_title(event: CalendarEvent, rules: BlockTime) -> str:
    """What Welkin's block of an external event is called: of a private one never its title."""
    away = rules.out_of_office_title.strip() if event.out_of_office else ""
    fixed = away or rules.title
    if rules.block_title == "event_title" and not (event.private or event.personal):
        return event.title.strip()[:BLOCK_TITLE_LENGTH] or fixed
    return fixed


def fixed_titles(rules: BlockTime) -> list[str]:
    """The titles that blocks have, but for those of events."""
    return list(dict.fromkeys((rules.title, rules.out_of_office_title.strip() or rules.title)))


def _text(text: Text, appointment: Appointment, content: MirrorContent) -> str:
    if text.level is DetailLevel.BUSY:
        return content.busy_title
    neutral = _type_title(appointment, content)
    if text.level is DetailLevel.TYPE:
        return neutral
    patients = appointment.event.patients
    if not patients or any(masked(patient) for patient in patients):
        return neutral
    return _clean(text.template.format_map(_fields(appointment, neutral))) or neutral


def _clock(span: Span, zone: str) -> str:
    """When the appointment itself begins and ends, by the user's clock."""
    begin, end = (local(each, ZoneInfo(zone)) for each in span.instants(ZoneInfo(zone)))
    return f"{begin:%H:%M}\N{EN DASH}{end:%H:%M}"


def _type_title(appointment: Appointment, content: MirrorContent) -> str:
    name = appointment.type_name
    return content.type_titles.get(name) or FIXED_WORDS.get(appointment.event.kind, DEFAULT_WORDS)


def _colour(appointment: Appointment, content: MirrorContent, platform: Platform) -> str:
    """A colour of Google's, or the name of a category in Outlook; empty for none.

    At level `busy` only one that all mirrors have.
    """
    known = content.colours if platform is Platform.GOOGLE else content.categories
    usual = known.get(ALL, "")
    return known.get(appointment.type_name, usual) if content.says_type else usual


def _tentative(appointment: Appointment, content: MirrorContent) -> bool:
    """Welkin has no status that means it everywhere: the organisation names its own."""
    encounter = appointment.encounter
    statuses = {appointment.event.status, encounter.status if encounter is not None else ""}
    return not statuses.isdisjoint(content.tentative)


def _fields(appointment: Appointment, type_title: str) -> dict[str, str]:
    event = appointment.event
    return {
        "patient_first_name": ", ".join(p.first_name for p in event.patients),
        "patient_last_name": ", ".join(p.last_name for p in event.patients),
        "patient_initials": ", ".join(
            f"{p.first_name[:1]}{p.last_name[:1]}".upper() for p in event.patients
        ),
        "encounter_type": type_title,
        "mode": MODES.get(event.mode or "", ""),
        "location": event.location or "",
    }


def _clean(text: str) -> str:
    """Without control characters (tab and line feed may stay), half characters, outer blanks."""
    return _CONTROL.sub("", text.replace("\r\n", "\n")).strip()
