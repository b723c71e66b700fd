"""What would stand in a calendar: made-up appointments in the text that settings make of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_sync.config.settings import MirrorContent, Settings
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Appointment, Encounter, Patient, Span, WelkinEvent
from calendar_sync.planner import mirror_text

# Not a name: the pages show no patients, not even as an example.
PATIENT = Patient("Firstname", "Lastname")


@dataclass(frozen=True)
class Sample:
    """One appointment and the mirror that it would get."""

    appointment: str
    title: str
    description: str


def samples(content: MirrorContent, templates: Iterable[str], now: datetime) -> list[Sample]:
    """An encounter of each of these templates, a plain appointment and a group session."""
    kinds = [("ENCOUNTER", name) for name in list(dict.fromkeys(templates))[:4]]
    return [
        _sample(content, kind, template, now)
        for kind, template in (*kinds, ("APPOINTMENT", ""), ("GROUP_THERAPY", ""))
    ]


def _sample(content: MirrorContent, kind: str, template: str, now: datetime) -> Sample:
    event = WelkinEvent(
        id="sample",
        span=Span(now, now + timedelta(minutes=45)),
        host_id="sample",
        user_ids=frozenset({"sample"}),
        kind=kind,
        patients=(PATIENT,),
        mode="VIDEO",
        location="Room 4",
    )
    encounter = Encounter("sample", "sample", template, "OPEN") if template else None
    made = mirror_text.draft(
        Appointment(event, encounter, ""),
        Settings(mirror_content=content),
        Identity("sample", "sample"),
        "UTC",
    )
    names = {"APPOINTMENT": "an appointment", "GROUP_THERAPY": "a group session"}
    said = names.get(kind, f"an encounter of {template}")
    return Sample(said, made.title, made.description)
