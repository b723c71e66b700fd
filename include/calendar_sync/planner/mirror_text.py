"""The only place that makes text which leaves Welkin, or leaves a calendar for Welkin.

A level decides which fields exist at all for a text:

`busy`  a fixed text.
`type`  the title configured for the encounter template, else fixed words. Free text of Welkin
        (event title, encounter title, description) is never used: people write names there.
`full`  the organisation's template over named fields; allowed only with a recorded agreement.
"""

import re

from calendar_sync.config.settings import BlockTime, MirrorContent, Settings, Text
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Appointment, CalendarEvent, DetailLevel, Draft, Patient

FIXED_WORDS = {"GROUP_THERAPY": "Group session"}
DEFAULT_WORDS = "Appointment"
TITLE_LENGTH = 1024
DESCRIPTION_LENGTH = 8000
BLOCK_TITLE_LENGTH = 200
MODES = {"IN_PERSON": "in person", "VIDEO": "video", "CALL": "call"}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_MASKED = re.compile(r"^\*+$")


def draft(appointment: Appointment, settings: Settings, identity: Identity, zone: str) -> Draft:
    """The mirror of an appointment, with exactly the detail that the settings allow."""
    content = settings.mirror_content
    title = _text(content.title, appointment, content)[:TITLE_LENGTH]
    description = ""
    if content.description.level is not DetailLevel.BUSY:
        description = _text(content.description, appointment, content)[:DESCRIPTION_LENGTH]
    span = appointment.event.span
    return Draft(
        title=title,
        description=description,
        span=span,
        time_zone=zone,
        level=content.level,
        hash=identity.mirror_hash(title, description, span),
    )


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
    if not patients or any(_masked(patient) for patient in patients):
        return neutral
    return _clean(text.template.format_map(_fields(appointment, neutral))) or neutral


def _type_title(appointment: Appointment, content: MirrorContent) -> str:
    name = appointment.type_name
    return content.type_titles.get(name) or FIXED_WORDS.get(appointment.event.kind, DEFAULT_WORDS)


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


def _masked(patient: Patient) -> bool:
    """Welkin shows asterisks for patients whom the viewer may not see."""
    names = (patient.first_name, patient.last_name)
    return any(_MASKED.match(name) for name in names) or not any(names)


def _clean(text: str) -> str:
    """Without control characters (tab and line feed may stay), half characters, outer blanks."""
    return _CONTROL.sub("", text.replace("\r\n", "\n")).strip()
