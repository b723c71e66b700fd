"""Ids that we choose and keyed hashes."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.core.identity import EXTERNAL_ID_PREFIX, Identity, made_as_mirror
from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    Patient,
    Platform,
    Source,
    Span,
    WelkinEvent,
)

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
WHEN = Span(START, START + timedelta(hours=1))
ONE = Identity("key", "demo/live")
G = Platform.GOOGLE


@given(st.text(), st.text(), st.text(), st.integers(0, 10**9))
def test_a_mirror_id_is_legal_for_google(user: str, account: str, event: str, number: int) -> None:
    made = ONE.mirror_id(G, user, account, event, number)
    assert re.fullmatch(r"[a-v0-9]{32}", made)
    assert made == Identity("key", "demo/live").mirror_id(G, user, account, event, number)


@given(st.text(), st.text(), st.text(), st.integers(0, 10**9))
def test_a_mirror_is_known_by_the_form_of_its_key(
    user: str, account: str, visit: str, number: int
) -> None:
    key = ONE.mirror_id(G, user, account, visit, number)
    assert made_as_mirror(CalendarEvent(id=key, etag=None, span=WHEN))
    assert made_as_mirror(CalendarEvent(id="AAMk=", etag=None, span=WHEN, key=key))


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "tc2ubsuedlrsqdvashacbvon1a",  # Google's own
        "_60q30c1g60o30e1i60o4ac1g60rj8gpl88rj2c1h",  # what Google makes of an imported event
        "1f0c7a526a0b4c7e9a545a0c1f0d7b21",
        "1f0c7a52-6a0b-4c7e-9a54-5a0c1f0d7b21",
        "0123456789abcdefghijklmnopqrstuv_20260302T140000Z",
        "0123456789abcdefghijklmnopqrstuvw",
    ],
)
def test_what_others_make_has_no_key_of_ours(foreign: str) -> None:
    assert not made_as_mirror(CalendarEvent(id=foreign, etag=None, span=WHEN, key=foreign))


def test_every_part_changes_an_id() -> None:
    base = (G, "u", "a@example.org", "e", 1)
    others = [
        (Platform.MICROSOFT, "u", "a@example.org", "e", 1),
        (G, "v", "a@example.org", "e", 1),
        (G, "u", "b@example.org", "e", 1),
        (G, "u", "a@example.org", "f", 1),
        (G, "u", "a@example.org", "e", 2),
    ]
    ids = {ONE.mirror_id(*parts) for parts in (base, *others)}
    ids.add(Identity("other", "demo/live").mirror_id(*base))
    ids.add(Identity("key", "demo/test").mirror_id(*base))
    assert len(ids) == 8


def test_an_external_id_is_short_ours_and_of_one_instance() -> None:
    made = {
        ONE.block_external_id(G, "u", "a@example.org", calendar, source, generation)
        for calendar in ("primary", "c_1")
        for source in (Source("s"), Source("s", "x"), Source("sx"))
        for generation in (1, 2)
    }
    assert len(made) == 12
    assert all(re.fullmatch(EXTERNAL_ID_PREFIX + "[0-9a-f]{24}", text) for text in made)


def test_a_marker_is_known_again_by_its_organisation_only() -> None:
    marker = ONE.marker("u", "e")
    assert ONE.is_ours(marker)
    assert not Identity("key", "demo/test").is_ours(marker)
    assert not Identity("other", "demo/live").is_ours(marker)
    for other in (None, "", ".", "something"):
        assert not ONE.is_ours(other)
    assert len(marker) < 100


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_hashes_differ_where_texts_differ(one: list[str], other: list[str]) -> None:
    if "\x1f" not in "".join((*one, *other)):
        assert (ONE.hash(*one) == ONE.hash(*other)) == (one == other)


def test_half_a_surrogate_pair_stops_nothing() -> None:
    assert ONE.hash("\ud83d") != ONE.hash("\ud83e")


MIRROR = CalendarEvent("m", span=WHEN, title="Busy", description="x", private=True)


def test_a_mirror_read_back_has_the_hash_that_was_wanted() -> None:
    assert ONE.event_hash(MIRROR) == ONE.mirror_hash("Busy", "x", WHEN)
    assert ONE.event_hash(replace(MIRROR, title=" Busy\n", etag="other")) == ONE.event_hash(MIRROR)


@pytest.mark.parametrize(
    "edit",
    [
        {"title": "Other"},
        {"description": ""},
        {"span": Span(START, START + timedelta(hours=2))},
        {"private": False},
        {"availability": Availability.FREE},
        {"availability": Availability.TENTATIVE},
        {"location": "the pub"},
        {"has_attendees": True},
    ],
    ids=str,
)
def test_an_edit_shows_in_the_hash(edit: dict[str, Any]) -> None:
    assert ONE.event_hash(replace(MIRROR, **edit)) != ONE.event_hash(MIRROR)


def test_a_location_and_a_tentative_status_are_content_where_they_are_ours() -> None:
    there = replace(MIRROR, location=" Elm  1", availability=Availability.TENTATIVE)
    assert ONE.event_hash(there) == ONE.mirror_hash("Busy", "x", WHEN, "Elm 1", tentative=True)
    here = replace(MIRROR, location="my car")
    assert ONE.event_hash(here, located=False) == ONE.event_hash(MIRROR)


def test_hashes_of_the_first_release_still_count() -> None:
    """Links that were stored before mirrors had locations must not look edited."""
    before = ONE.hash("mirror", "Busy", "x", str(WHEN))
    assert ONE.mirror_hash("Busy", "x", WHEN) == before == ONE.event_hash(MIRROR)


VISIT = WelkinEvent("w", WHEN, "h", frozenset({"h", "p"}), "ENCOUNTER", version="1")


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        ({"version": "2"}, True),
        ({"title": "retitled"}, True),
        ({"external_id": "x"}, True),
        ({"span": Span(START, START + timedelta(hours=2))}, False),
        ({"cancelled": True}, False),
        ({"host_id": "p"}, False),
        ({"user_ids": frozenset({"h"})}, False),
        ({"patients": (Patient("A", "B"),)}, False),
        ({"mode": "VIDEO"}, False),
        ({"location": "Elm Street"}, False),
        ({"kind": "APPOINTMENT"}, False),
        ({"status": "SCHEDULED"}, True),
        ({"status": "COMPLETED"}, True),
        ({"status": "AWAITING"}, False),
        ({"former_patients": (Patient("A", "B"),)}, True),
    ],
    ids=str,
)
def test_what_counts_as_a_change_of_an_appointment(edit: dict[str, Any], same: bool) -> None:
    before = ONE.appointment_hash(VISIT, "etmp", "DRAFT")
    assert (ONE.appointment_hash(replace(VISIT, **edit), "etmp", "DRAFT") == before) is same


def test_template_and_status_count_and_the_order_of_people_does_not() -> None:
    people = (Patient("A", "B"), Patient("C", "D"))
    before = ONE.appointment_hash(replace(VISIT, patients=people), "etmp", "DRAFT")
    assert ONE.appointment_hash(replace(VISIT, patients=people[::-1]), "etmp", "DRAFT") == before
    assert ONE.appointment_hash(replace(VISIT, patients=people), "etmp-2", "DRAFT") != before
    assert ONE.appointment_hash(replace(VISIT, patients=people), "etmp", "OPEN") != before


@pytest.mark.parametrize("edit", [{"title": "x"}, {"cancelled": True}, {"kind": "APPOINTMENT"}])
def test_an_edited_block_has_another_hash(edit: dict[str, Any]) -> None:
    assert ONE.block_hash(replace(VISIT, **edit)) != ONE.block_hash(VISIT)


def test_what_a_test_of_the_sync_makes_is_distinguished_from_everything_else() -> None:
    identity, other = Identity("key", "demo/live"), Identity("other", "demo/live")
    mark, title = identity.test_mark("u1"), identity.test_title("u1")
    assert not mark.startswith(EXTERNAL_ID_PREFIX)
    assert not identity.is_ours(mark)
    assert len({mark, identity.test_mark("u2"), other.test_mark("u1")}) == 3
    assert len({title, identity.test_title("u2"), other.test_title("u1")}) == 3

    def is_test(external_id: str | None, said: str | None, host: str = "u1") -> bool:
        span = Span(date(2026, 3, 2), date(2026, 3, 3))
        event = WelkinEvent("e", span, host, frozenset({host}), external_id=external_id, title=said)
        return identity.is_test(event, "u1")

    assert is_test(f"{mark}-1", "whatever")
    assert is_test(None, title)
    assert not is_test(None, title, host="u2")
    assert not is_test("theirs", title)
    assert not is_test(None, "Calendar sync test")
    assert not is_test(f"{identity.test_mark('u2')}-1", title)
