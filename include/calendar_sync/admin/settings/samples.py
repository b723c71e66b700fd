"""What would stand in a calendar: made-up appointments in the text that settings make of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from calendar_sync.config.settings import MirrorContent, Settings
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Appointment,
    Around,
    Draft,
    Encounter,
    Patient,
    Platform,
    Span,
    WelkinEvent,
)
from calendar_sync.planner import mirror_text

# Not a name: the pages show no patients, not even as an example.
PATIENT = Patient("Firstname", "Lastname")
ROOM = "Room 4"


@dataclass(frozen=True)
class Sample:
    """One appointment and the mirror that it would get."""

    appointment: str
    title: str
    description: str
    location: str
    colour: str
    category: str
    tentative: bool
    reminder: str
    around: Around


def samples(content: MirrorContent, templates: Iterable[str], now: datetime) -> list[Sample]:
    """An encounter of each of these templates, a plain appointment and a group session.

    Encounters and appointments have a join link, if links are shown; the session is in a place.
    """
    hosts = (host.replace("*", "eu") for host in content.link_hosts)
    link = next((f"https://{host}/j/1234567890" for host in hosts), "")
    place = next(iter(content.places), ROOM).replace("*", "4").replace("?", "4")
    event = WelkinEvent(
        id="sample",
        span=Span(now, now + timedelta(minutes=45)),
        host_id="sample",
        user_ids=frozenset({"sample"}),
        patients=(PATIENT,),
        mode="VIDEO",
        location=link or place,
    )
    found = [
        _sample(content, f"an encounter of {name}", replace(event, kind="ENCOUNTER"), name)
        for name in list(dict.fromkeys(templates))[:4]
    ]
    found.append(_sample(content, "an appointment", event))
    for status in content.tentative[:1]:
        said = f"an appointment with the status {status}"
        found.append(_sample(content, said, replace(event, status=status)))
    session = replace(event, kind="GROUP_THERAPY", location=place)
    return [*found, _sample(content, "a group session", session)]


def _sample(content: MirrorContent, said: str, event: WelkinEvent, template: str = "") -> Sample:
    encounter = Encounter("sample", "sample", template, "OPEN") if template else None
    appointment = Appointment(event, encounter, "")

    def made(platform: Platform) -> Draft:
        identity = Identity("sample", "sample")
        settings = Settings(mirror_content=content)
        return mirror_text.draft(appointment, settings, identity, "UTC", platform)

    google, outlook = made(Platform.GOOGLE), made(Platform.MICROSOFT)
    return Sample(
        said,
        google.title,
        google.description,
        google.location or "",
        google.colour,
        outlook.colour,
        google.tentative,
        google.reminder,
        google.around,
    )
