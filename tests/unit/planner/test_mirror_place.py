"""Which place, join link and colour a mirror shows: nothing that tells who the patient is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.config.mirror_content import MirrorContent
from calendar_sync.config.settings import parse
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Appointment,
    CalendarEvent,
    Draft,
    Encounter,
    MirrorLink,
    Patient,
    Platform,
    Span,
    WelkinEvent,
)
from calendar_sync.planner import mirror_text
from calendar_sync.planner.mirror_place import LEFT_OUT, Place, place_of

ONE = Identity("key", "demo/live")
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
SPAN = Span(START, START + timedelta(hours=1))
PATIENT_ID = "f1e2d3c4-0000-4a4a-8b8b-abcdefabcdef"
PAT = Patient(
    "Zyxwanda", "Qanaryson", PATIENT_ID, "zq@canary.example", "+1 (555) 867-5309",
    "1990-12-31T00:00:00.000Z",
)  # fmt: skip
GOOD = "https://us02.zoom.us/j/8551234567?pwd=aGVsbG8"
BAA = {"by": "Dana", "on": "2026-01-01"}
SHOWN: dict[str, Any] = {
    "places": {"Room *": "Elm Street 1", "CANARY*": "Elm Street 2"},
    "link_hosts": ["*.zoom.us", "meet.example.org"],
    "colours": {"etmp-a": "sage"},
    "categories": {"etmp-a": "Visit"},
    "tentative": ["Awaiting"],
}


def content(level: str = "type", **more: Any) -> MirrorContent:
    text: dict[str, Any] = {"level": level}
    if level == "full":
        text["template"] = "{encounter_type}"
    document = {"title": text, "baa_confirmed": BAA, **SHOWN, **more}
    return parse({"mirror_content": document}).mirror_content


def visit(location: str | None, *patients: Patient, **more: Any) -> Appointment:
    event = WelkinEvent(
        "w1", SPAN, "h", frozenset({"h"}), "ENCOUNTER", title="CANARY-title",
        patients=patients or (PAT,), location=location, **more,
    )  # fmt: skip
    return Appointment(event, Encounter("w1", "e1", "etmp-a", "DRAFT"), "hash")


def shown(location: str | None, *patients: Patient, **more: Any) -> Place:
    return place_of(visit(location, *patients, **more), content())


def why(link: str, *patients: Patient, **more: Any) -> str:
    found = shown(link, *patients, **more)
    assert (found.text is None) == (found.left_out != ""), found.left_out
    return found.left_out


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("Room 4", "Elm Street 1"),
        (" room 12 ", "Elm Street 1"),
        ("Roomy", None),
        ("at home with Zyxwanda Qanaryson", None),
        ("CANARY Zyxwanda", "Elm Street 2"),
        ("", None),
        (None, None),
    ],
)
def test_a_place_is_shown_in_the_words_of_the_settings(
    location: str | None, text: str | None
) -> None:
    assert shown(location).text == text


# --- links ------------------------------------------------------------------------------------


def test_a_join_link_of_an_allowed_host_is_shown_as_it_is() -> None:
    assert shown(f" {GOOD} ") == Place(GOOD, "link")
    assert shown("https://meet.example.org:443/abc").kind == "link"
    assert place_of(visit(GOOD), content("full")).text == GOOD


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://us02.zoom.us/j/" + "1" * 8000, "long"),
        ("https://zoom.us/j/1", "host"),
        ("https://zoom.us.evil.example/j/1", "host"),
        ("https://evilzoom.us/j/1", "host"),
        ("https://x.meet.example.org/j/1", "host"),
        ("https://evil.example/?u=https://us02.zoom.us/j/1", "host"),
        ("https://us02.zoom.us@evil.example/j/1", "link"),
        ("https://evil.example\\@us02.zoom.us/j/1", "link"),
        ("https://user:pass@us02.zoom.us/j/1", "link"),
        ("https://us02.zoom.us:8443/j/1", "link"),
        ("https://us02.zoom.us:x/j/1", "link"),
        ("http://us02.zoom.us/j/1", "link"),
        ("javascript://us02.zoom.us/%0aalert(1)", "link"),
        ("Join: https://us02.zoom.us/j/1", "link"),
        ("https://us02.zoom.us/j/1 for Pat", "link"),
        ("https://us02.zoom.us/j/1\r\nX: y", "link"),
        ("https://us02.zoom.us/<b>", "link"),
        ("https://us02.zoom.us/é", "link"),
        ("https://[::1/j/1", "link"),
        ("https:///j/1", "host"),
    ],
)
def test_any_other_link_is_left_out_and_the_reason_named(link: str, reason: str) -> None:
    assert why(link) == reason
    assert LEFT_OUT[reason].startswith("left out: ")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


TOKEN = ".".join(
    encoded(json.dumps(part)) for part in ({"alg": "HS256"}, {"name": "Zyxwanda", "exp": 1})
)
DETAILS = [
    PATIENT_ID,
    PATIENT_ID.upper(),
    PATIENT_ID.replace("-", ""),
    "Zyxwanda",
    "zyxwandaqanaryson",
    "ZYXWANDA.QANARYSON",
    "zqanaryson",
    "q-anary-son",
    "zq@canary.example",
    "zq%40canary.example",
    "5558675309",
    "555-867-5309",
    "+15558675309",
    "1990-12-31",
    "12311990",
    quote(quote("Zyxwanda!")),
    "%5a%79%78%77%61%6e%64%61",
    encoded("patient=Zyxwanda"),
    "x" + encoded("Zyxwanda Q"),
    "id_" + encoded(PATIENT_ID),
    encoded("Qanaryson"),
    b"Zyxwanda".hex(),
    base64.urlsafe_b64encode(bytes.fromhex(PATIENT_ID.replace("-", ""))).decode(),
    TOKEN,
    "%" + "25" * 8 + "41",
]


@pytest.mark.parametrize("where", ["/j/1/{}", "/j/1?name={}", "/j/1?x=1&y=a{}b", "/j/1#{}"])
@pytest.mark.parametrize("detail", DETAILS)
def test_a_link_with_a_detail_of_the_patient_is_left_out(where: str, detail: str) -> None:
    link = f"https://us02.zoom.us{where.format(detail)}"
    assert len(link) <= 255
    assert why(link) == "patient"


@pytest.mark.parametrize(
    ("patient", "link"),
    [
        (Patient("Jörg", "Müller"), "https://us02.zoom.us/j/joerg.mueller"),
        (Patient("Jörg", "Müller"), "https://us02.zoom.us/j/jorg"),
        (Patient("Jörg", "Müller"), "https://us02.zoom.us/j/J%F6rg"),
        (Patient("Jörg", "Müller"), "https://us02.zoom.us/j/M%C3%BCller"),
        (Patient("Søren", "X"), "https://us02.zoom.us/j/soren"),
        (Patient("李", "明"), "https://us02.zoom.us/j/%E6%9D%8E"),
        (Patient("Ann", "Li"), "https://us02.zoom.us/j/visit-ann"),
        (Patient("Ann", "Li"), "https://us02.zoom.us/j/joinAnn1990"),
        (Patient("Ann", "Li"), "https://us02.zoom.us/j/annli"),
        (Patient("Mary Jane", "O'Neil"), "https://us02.zoom.us/j/maryjane"),
        (Patient("Mary Jane", "O'Neil"), "https://us02.zoom.us/j/oneil"),
        (Patient("A", "Zyxwanda"), "https://zyxwanda.zoom.us/j/1"),
    ],
)
def test_names_are_found_however_they_are_spelled(patient: Patient, link: str) -> None:
    assert why(link, patient) == "patient"


@pytest.mark.parametrize("patient", [Patient("Ann", "Li"), Patient("A", "Q")])
def test_a_short_name_counts_as_a_whole_word_only(patient: Patient) -> None:
    assert why("https://us02.zoom.us/j/channel/alive/b7", patient) == ""


def test_every_patient_counts_and_so_do_former_ones() -> None:
    other = Patient("Ozquorn", "Vloruz")
    assert why(f"{GOOD}&u=ozquorn", PAT, other) == "patient"
    assert why(f"{GOOD}&u=ozquorn", PAT) == ""
    assert why(f"{GOOD}&u=ozquorn", PAT, former_patients=(other,)) == "patient"


@pytest.mark.parametrize("hidden", [Patient("***", "***"), Patient("", "")])
def test_a_hidden_patient_cannot_be_looked_for(hidden: Patient) -> None:
    assert why(GOOD, hidden) == "masked"
    assert why(GOOD, PAT, hidden) == "masked"
    assert why(GOOD, PAT, former_patients=(hidden,)) == "masked"


@given(
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJÄÖÜéß", min_size=4, max_size=12),
    st.sampled_from(["{}", "x{}y", "{}1", "id={}", "a%20{}"]),
    st.booleans(),
    st.booleans(),
)
def test_no_name_of_four_letters_gets_through(name: str, form: str, upper: bool, b64: bool) -> None:
    text = name.upper() if upper else name
    text = encoded(text) if b64 else quote(text)
    link = f"https://us02.zoom.us/j/{(form if not b64 else '{}').format(text)}"
    assert place_of(visit(link, Patient(name, "Unused")), content()).text is None


@given(st.text(max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_no_text_of_welkin_causes_an_error(location: str, first: str, last: str) -> None:
    shown(location, Patient(first, last, first, last, first, last))
    why(f"https://us02.zoom.us/{quote(location)[:200]}", Patient(first or "x", last))


# --- levels -----------------------------------------------------------------------------------

PERSONAL = ("Zyxwanda", "Qanaryson", PATIENT_ID, "zq@canary.example", "867-5309")
CANARIES = (*PERSONAL, "CANARY")
locations = st.one_of(
    st.none(),
    st.sampled_from(["Room 4", "CANARY street, at Zyxwanda's", GOOD, f"{GOOD}&n=Zyxwanda"]),
    st.sampled_from(PERSONAL).map(lambda detail: f"https://us02.zoom.us/{quote(detail)}"),
    st.tuples(st.text(max_size=30), st.sampled_from(CANARIES)).map(" ".join),
)
levels = st.sampled_from(["busy", "type", "full"])


def made(found: Appointment, title: str, description: str, platform: Platform) -> Draft:
    full = {"level": "full", "template": "{encounter_type} {mode}"}
    document = {
        "title": full if title == "full" else {"level": title},
        "description": full if description == "full" else {"level": description},
        "baa_confirmed": BAA,
        "type_titles": {"etmp-a": "Consultation"},
        **SHOWN,
    }
    settings = parse({"mirror_content": document})
    return mirror_text.draft(found, settings, ONE, "UTC", platform)


@given(levels, levels, st.sampled_from(Platform), locations)
def test_no_field_at_any_level_shows_who_the_patient_is(
    title: str, description: str, platform: Platform, location: str | None
) -> None:
    draft = made(visit(location, mode="VIDEO"), title, description, platform)
    texts = (draft.title, draft.description, draft.location or "", draft.colour, draft.level)
    for canary in CANARIES:
        assert canary.lower() not in " ".join(texts).lower()
    if title == "busy":
        assert (draft.title, draft.location, draft.colour) == ("Busy", None, "")
        assert "+" not in draft.level
        # What kind of visit it is, and where, changes nothing.
        other = WelkinEvent("w2", SPAN, "h", frozenset({"h"}), "GROUP_THERAPY", patients=(PAT,))
        if description == "busy":
            assert draft.hash == made(Appointment(other, None, ""), title, "busy", platform).hash


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("level", ["type", "full"])
def test_above_busy_place_link_and_colour_are_shown(level: str, platform: Platform) -> None:
    colour = "sage" if platform is Platform.GOOGLE else "Visit"
    draft = made(visit("Room 4"), level, "busy", platform)
    assert (draft.location, draft.colour) == ("Elm Street 1", colour)
    assert draft.level == f"{level}/busy+place"
    draft = made(visit(GOOD), level, "busy", platform)
    assert (draft.location, draft.level) == (GOOD, f"{level}/busy+link")
    assert made(visit(None), level, "busy", platform).level == f"{level}/busy"


@pytest.mark.parametrize("platform", Platform)
def test_the_colour_of_all_others_is_at_busy_that_of_all(platform: Platform) -> None:
    content: dict[str, Any] = {
        "colours": {"etmp-a": "sage", "*": "tomato"},
        "categories": {"etmp-a": "sage", "*": "tomato"},
    }
    other = WelkinEvent("w2", SPAN, "h", frozenset({"h"}), "GROUP_THERAPY")
    for level, wanted in (("type", ["sage", "tomato"]), ("busy", ["tomato", "tomato"])):
        rules = parse({"mirror_content": {**content, "title": {"level": level}}})
        drafts = [
            mirror_text.draft(found, rules, ONE, "UTC", platform)
            for found in (visit(None), Appointment(other, None, ""))
        ]
        assert [draft.colour for draft in drafts] == wanted


@pytest.mark.parametrize("level", ["busy", "type"])
def test_a_status_that_the_organisation_names_is_tentative(level: str) -> None:
    found = made(visit(None, status="AWAITING"), level, "busy", Platform.GOOGLE)
    assert found.tentative
    assert not made(visit(None, status="SCHEDULED"), level, "busy", Platform.GOOGLE).tentative
    assert found.hash != made(visit(None), level, "busy", Platform.GOOGLE).hash


# --- updates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_before", "wanted", "there", "colours"),
    [
        ("", "sage", (), ("sage",)),
        ("", "sage", ("grape",), None),  # the user's own
        ("sage", "grape", ("sage",), ("grape",)),
        ("sage", "grape", ("tomato",), None),  # changed by the user
        ("sage", "grape", (), None),  # taken away by the user
        ("sage", "", ("sage",), ()),
        ("Visit", "", ("Mine", "Visit"), ("Mine",)),
        ("Visit", "Talk", ("Visit", "Mine"), ("Mine", "Talk")),
        ("sage", "sage", ("tomato",), None),
        ("", "", ("tomato",), None),
    ],
)
def test_only_a_colour_that_we_gave_is_changed(
    given_before: str, wanted: str, there: tuple[str, ...], colours: tuple[str, ...] | None
) -> None:
    link = MirrorLink(
        "u", Platform.GOOGLE, "a", "primary", span=SPAN, appointment_id="w", colour=given_before
    )
    draft = Draft("t", "", SPAN, "UTC", "type/busy", "hash", colour=wanted)
    event = CalendarEvent("m", span=SPAN, colours=there)
    assert mirror_text.as_update(draft, link, event).colours == colours


@pytest.mark.parametrize(
    ("level", "location", "sent"),
    [
        ("type/busy", None, None),
        ("type/busy+place", None, ""),
        ("type/busy+link", None, ""),
        ("type/busy+place", "Elm", "Elm"),
        ("type/busy", "Elm", "Elm"),
    ],
)
def test_only_a_location_that_we_wrote_is_taken_away(
    level: str, location: str | None, sent: str | None
) -> None:
    link = MirrorLink(
        "u", Platform.GOOGLE, "a", "primary", span=SPAN, appointment_id="w", level=level
    )
    draft = Draft("t", "", SPAN, "UTC", "type/busy", "hash", location=location)
    assert mirror_text.as_update(draft, link, None).location == sent
