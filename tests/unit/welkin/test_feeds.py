"""Rows of the exports and of the audit: a whitelist of keys."""

from typing import Any

import pytest

from calendar_sync.adapters.welkin.feeds import (
    EVENT_DELETED,
    RECORD_DELETED,
    deleted_id,
    encounter_row,
    event_row,
)
from calendar_sync.core.model import Encounter

TIMES = {"startDateTime": "2026-03-02T15:00:00.000Z", "endDateTime": "2026-03-02T16:00:00.000Z"}


def test_an_event_row() -> None:
    found = event_row({"id": "w1", "updatedAt": "1", "hostId": "h", **TIMES})
    assert found is not None
    assert (found.id, found.updated_at) == ("w1", "1")
    assert found.event is not None
    assert found.event.user_ids == {"h"}


def test_a_row_that_cannot_be_read_keeps_its_id_and_one_without_id_is_dropped() -> None:
    found = event_row({"id": "w1", "updatedAt": "1"})
    assert found is not None
    assert found.event is None
    bad: Any
    for bad in (None, {}, [], {"id": 7}):
        assert event_row(bad) is None


def body(**more: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "jsonBody": {"calendarEventId": "w1", "templateName": "t", "status": "OPEN", **more},
    }


def test_an_encounter_row_names_the_users_of_its_appointment() -> None:
    appointment = {"id": "w1", "hostId": "h", "participants": [], **TIMES}
    found = encounter_row({**body(currentScheduledAppointment=appointment), "updatedAt": "9"})
    assert found is not None
    assert found.encounter == Encounter("w1", "e1", "t", "OPEN")
    assert found.user_ids == {"h"}
    assert found.updated_at == "9"


@pytest.mark.parametrize(("owner", "users"), [("o", {"o"}), (None, set()), (7, set())])
def test_or_the_owner_where_the_appointment_is_missing(owner: Any, users: set[str]) -> None:
    found = encounter_row(body(ownerUserId=owner, updated_at="3"))
    assert found is not None
    assert found.user_ids == users
    assert found.updated_at == "3"
    assert encounter_row({"id": "e"}) is None


@pytest.mark.parametrize(
    ("row", "kind", "found"),
    [
        ({"eventSubtype": EVENT_DELETED, "sourceId": "w1"}, EVENT_DELETED, "w1"),
        ({"record": {"eventSubtype": EVENT_DELETED, "sourceId": "w1"}}, EVENT_DELETED, "w1"),
        ({"subtype": EVENT_DELETED, "record": {"entityId": "w1"}}, EVENT_DELETED, "w1"),
        ({"action": RECORD_DELETED, "objectId": "e1"}, RECORD_DELETED, "e1"),
        ({"eventSubtype": "CALENDAR_EVENT_UPDATED", "sourceId": "w1"}, EVENT_DELETED, None),
        ({"eventSubtype": EVENT_DELETED, "sourceId": "w1"}, RECORD_DELETED, None),
        ({"eventSubtype": EVENT_DELETED}, EVENT_DELETED, None),
        ({"record": "x"}, EVENT_DELETED, None),
        (None, EVENT_DELETED, None),
    ],
)
def test_deletions_in_the_audit(row: Any, kind: str, found: str | None) -> None:
    assert deleted_id(row, kind) == found


@pytest.mark.parametrize(
    "bad", [{"eventSubtype": []}, {"eventSubtype": {}}, {"record": {"action": [1]}}]
)
def test_an_audit_row_of_another_shape_is_no_deletion(bad: Any) -> None:
    assert deleted_id(bad, EVENT_DELETED) is None
