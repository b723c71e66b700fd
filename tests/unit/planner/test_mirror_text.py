"""The only place that makes text which leaves Welkin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.config.settings import TEXT_FIELDS, parse
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Appointment,
    CalendarEvent,
    Draft,
    Encounter,
    Patient,
    Span,
    WelkinEvent,
)
from calendar_sync.planner import mirror_text as privacy

ONE = Identity("key", "demo/live")
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
BAA = {"by": "Dana", "on": "2026-01-01"}
PAT = Patient("Zyxwanda", "Qanaryson")
EVERYTHING = " ".join(f"{{{name}}}" for name in sorted(TEXT_FIELDS))


def visit(
    *patients: Patient, kind: str = "ENCOUNTER", template: str | None = "etmp-a", **more: Any
) -> Appointment:
    event = WelkinEvent(
        "w1", Span(START, START + timedelta(hours=1)), "h", frozenset({"h"}), kind,
        title="CANARY-title", patients=patients or (PAT,), mode=more.pop("mode", "IN_PERSON"),
        location=more.pop("location", "CANARY-street"), **more,
    )  # fmt: skip
    encounter = Encounter("w1", "e1", template, "DRAFT") if kind == "ENCOUNTER" else None
    return Appointment(event, encounter, "hash")


def made(found: Appointment, **details: Any) -> Draft:
    return privacy.draft(found, parse({"mirror_content": details}), ONE, "US/Pacific")


def full(template: str) -> dict[str, Any]:
    return {"title": {"level": "full", "template": template}, "baa_confirmed": BAA}


def test_busy_is_a_fixed_text_and_nothing_else() -> None:
    draft = made(visit())
    assert (draft.title, draft.description, draft.level) == ("Busy", "", "busy/busy")
    assert made(visit(), busy_title="Occupied").title == "Occupied"
    assert draft.time_zone == "US/Pacific"
    assert draft.span == visit().event.span


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (visit(), "Appointment"),
        (visit(template="etmp-b"), "Consultation"),
        (visit(template=None), "Appointment"),
        (visit(kind="APPOINTMENT"), "Appointment"),
        (visit(kind="GROUP_THERAPY"), "Group session"),
    ],
)
def test_type_is_a_configured_title_or_fixed_words(found: Appointment, title: str) -> None:
    draft = made(found, title={"level": "type"}, type_titles={"etmp-b": "Consultation"})
    assert draft.title == title
    assert draft.description == ""


@given(st.sampled_from(["busy", "type"]), st.sampled_from(["busy", "type"]), st.text(), st.text())
def test_below_full_no_text_of_welkin_ever_leaves(
    title: str, description: str, first: str, last: str
) -> None:
    details = {"title": {"level": title}, "description": {"level": description}}
    one = made(visit(Patient(first, last)), **details)
    other = made(visit(Patient("A", "B"), mode="CALL", location=None), **details)
    assert (one.title, one.description) == (other.title, other.description)


def test_full_fills_the_named_fields_of_the_template() -> None:
    draft = made(visit(), **full("{patient_first_name} {patient_last_name} ({patient_initials})"))
    assert draft.title == "Zyxwanda Qanaryson (ZQ)"
    draft = made(visit(), **full("{encounter_type}, {mode}, {location}"))
    assert draft.title == "Appointment, in person, CANARY-street"
    assert draft.level == "full/busy"


def test_titles_of_welkin_leave_at_no_level() -> None:
    draft = made(visit(), description={"level": "full", "template": EVERYTHING}, **full(EVERYTHING))
    assert "CANARY-title" not in draft.title + draft.description


def test_title_and_description_have_levels_of_their_own() -> None:
    draft = made(
        visit(), description={"level": "full", "template": "{patient_initials}"}, baa_confirmed=BAA
    )
    assert (draft.title, draft.description, draft.level) == ("Busy", "ZQ", "busy/full")


@pytest.mark.parametrize(
    "patients",
    [
        (Patient("*****", "*****"),),
        (Patient("*****", "Qanaryson"),),
        (Patient("Zyxwanda", "*"),),
        (Patient("", ""),),
        (PAT, Patient("***", "***")),
    ],
)
def test_masked_names_fall_back_to_the_neutral_title(patients: tuple[Patient, ...]) -> None:
    assert made(visit(*patients), **full("{patient_first_name}")).title == "Appointment"


def test_no_patient_or_nothing_to_say_is_neutral_too() -> None:
    found = visit()
    lonely = Appointment(WelkinEvent("w1", found.event.span, "h", frozenset({"h"})), None, "hash")
    assert made(lonely, **full("{patient_first_name}")).title == "Appointment"
    assert made(visit(location=None), **full("{location}")).title == "Appointment"


def test_several_patients_are_all_named() -> None:
    draft = made(visit(PAT, Patient("Ozq", "Vlo")), **full("{patient_initials}"))
    assert draft.title == "ZQ, OV"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A\x00B\x1bC", "ABC"),
        ("A\r\nB\tC", "A\nB\tC"),
        ("\ud83dA", "A"),
        ("{mode}", "{mode}"),
        ("🦷", "🦷"),
        ("<b>&", "<b>&"),
    ],
)
def test_strange_names_are_cleaned_and_never_interpreted(name: str, shown: str) -> None:
    assert made(visit(Patient(name, "x")), **full("{patient_first_name}")).title == shown


@given(st.text(), st.text())
def test_any_name_makes_a_text_that_can_be_sent(first: str, last: str) -> None:
    draft = made(visit(Patient(first, last)), **full("{patient_first_name} {patient_last_name}"))
    draft.title.encode()
    assert 0 < len(draft.title) <= 1024
    assert draft.hash == ONE.mirror_hash(draft.title, draft.description, draft.span)


def test_texts_are_cut_to_what_a_calendar_takes() -> None:
    long = Patient("x" * 20_000, "y")
    draft = made(
        visit(long), description={"level": "full", "template": EVERYTHING}, **full(EVERYTHING)
    )
    assert len(draft.title) == 1024
    assert len(draft.description) == 8000


def test_the_hash_tells_texts_and_times_apart() -> None:
    hashes = {
        made(visit()).hash,
        made(visit(), busy_title="Other").hash,
        made(visit(), title={"level": "type"}).hash,
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("rule", "event", "title"),
    [
        ("fixed", {"title": "Dentist"}, "Busy"),
        ("event_title", {"title": " Dentist "}, "Dentist"),
        ("event_title", {"title": " "}, "Busy"),
        ("event_title", {"title": "x" * 300}, "x" * 200),
        ("event_title", {"title": "Dentist", "private": True}, "Busy"),
        ("event_title", {"title": "Dentist", "personal": True}, "Busy"),
    ],
)
def test_the_title_of_a_block(rule: str, event: dict[str, Any], title: str) -> None:
    rules = parse({"block_time": {"block_title": rule}}).block_time
    assert privacy.block_title(CalendarEvent("x", span=visit().event.span, **event), rules) == title


@pytest.mark.parametrize(
    ("event", "rules", "title"),
    [
        ({"out_of_office": True}, {}, "Busy"),
        ({"out_of_office": True}, {"out_of_office_title": "  "}, "Busy"),
        ({"out_of_office": True}, {"out_of_office_title": "Away"}, "Away"),
        ({}, {"out_of_office_title": "Away"}, "Busy"),
        (
            {"out_of_office": True, "title": "Dentist"},
            {"out_of_office_title": "Away", "block_title": "event_title"},
            "Dentist",
        ),
        (
            {"out_of_office": True, "title": "Dentist", "private": True},
            {"out_of_office_title": "Away", "block_title": "event_title"},
            "Away",
        ),
    ],
)
def test_a_block_may_say_that_its_user_is_out_of_office(
    event: dict[str, Any], rules: dict[str, Any], title: str
) -> None:
    found = parse({"block_time": rules}).block_time
    made = privacy.block_title(CalendarEvent("x", span=visit().event.span, **event), found)
    assert made == title
    assert title == "Dentist" or title in privacy.fixed_titles(found)
