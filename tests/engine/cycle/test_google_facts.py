"""What is known of Google Calendar's behaviour, told as scenarios of the whole sync."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
UNAUTHORISED = "Client is unauthorized to retrieve access tokens using this method."


# --- tokens: who is concerned ---------------------------------------------------------------------

# Status, error, description; the code that is shown; whether everybody stops.
TOKEN_ERRORS = [
    (401, "unauthorized_client", UNAUTHORISED, "google_unauthorized_client", True),
    (400, "invalid_grant", "Invalid email or User ID", "google_account_refused", False),
    (400, "invalid_grant", "Not a valid email", "google_account_refused", False),
    (400, "invalid_grant", "The account has been deleted", "google_account_refused", False),
    (
        400, "invalid_request", "Invalid impersonation prn email address.",
        "google_account_malformed", False,
    ),
    (400, "invalid_grant", "Invalid JWT Signature.", "google_invalid_grant", True),
    (
        400, "invalid_grant", "Invalid JWT: No valid verifier found for issuer.",
        "google_invalid_grant", True,
    ),
    (
        400, "invalid_grant", "Invalid JWT: Token must be a short-lived token.",
        "google_invalid_grant", True,
    ),
    (400, "access_denied", "Requested client not authorized.", "google_access_denied", True),
    (403, "access_denied", "Requested client not authorized.", "google_access_denied", True),
    (400, "access_denied", "Account restricted", "google_account_restricted", False),
    (403, "disabled_client", "The OAuth client was disabled.", "google_disabled_client", True),
    (403, "admin_policy_enforced", "Blocked", "google_admin_policy_enforced", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error", "description", "code", "everybody"),
    TOKEN_ERRORS,
    ids=[f"{row[0]} {row[1]} {row[2][:30]}" for row in TOKEN_ERRORS],
)
def test_each_refusal_of_a_token_concerns_one_user_or_everybody(
    stage: Make, status: int, error: str, description: str, code: str, everybody: bool
) -> None:
    s = stage("dana", "ruben")
    s.run()
    for name in ("dana", "ruben") if everybody else ("dana",):
        s.google.delegation.forget(mail(name))
    s.visit("dana")
    s.visit("ruben")
    body = {"error": error, "error_description": description}
    fault = s.fault("google", "status", "POST", "/token$", code=status, body=body, times=None)
    before, shown = s.position, ""
    try:
        s.later()
    except SyncError as stopped:
        shown = stopped.code
    assert s.wrote(before, "google") == ([] if everybody else ["google.events.insert 200"])
    assert (shown or s.state("dana").error_code) == code
    assert (s.store.runs.fault(Platform.GOOGLE) is not None) is everybody
    # Asking again at once helps in no case: one request a user, and one of the probe after them.
    assert fault.struck == (2 + 1 if everybody else 1)
    assert everybody or s.state("ruben").failures == 0
    s.sandbox.faults.clear()
    s.later(minutes=5)
    s.later(minutes=5)
    assert len(s.mirrors("dana")) == len(s.mirrors("ruben")) == 1
    assert s.store.runs.fault(Platform.GOOGLE) is None
    s.in_step()


def test_a_token_server_out_of_order_is_asked_four_times_for_a_user_and_not_sixteen(
    stage: Make,
) -> None:
    s = stage()
    s.run()
    s.google.delegation.forget(SELF)
    s.visit()
    body = {"error": "internal_failure", "error_description": "Backend Error"}
    fault = s.fault("google", "status", "POST", "/token$", code=500, body=body, times=None)
    s.later()
    assert fault.struck == 4
    assert s.state().error_code == "google_token_unavailable"
    assert s.store.runs.fault(Platform.GOOGLE) is None


def test_each_mailbox_is_asked_in_its_own_name_and_no_other_user_is_named(stage: Make) -> None:
    s = stage("dana", "ruben")
    for name in s.ids:
        s.visit(name)
    s.run()
    calls = [e for e in s.sandbox.requests if e.kind.startswith("google.events")]
    assert {e.user for e in calls} == {mail(name) for name in s.ids}
    # With `sub` the quota is the user's already.
    assert not [e for e in calls if "quotaUser" in e.query]


# --- limits ---------------------------------------------------------------------------------------


def test_a_mailbox_whose_quota_is_used_up_is_left_alone_for_an_hour(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.run()
    message = "Calendar usage limits exceeded."
    fault = s.fault(
        "google", "status", "POST", "/events$", code=403, reason="quotaExceeded",
        message=message, user=SELF, times=None,
    )  # fmt: skip
    for day in (1, 2, 3):
        s.visit("dana", days=day)
        s.visit("ruben", days=day)
    begun = s.clock.now()
    s.later()
    assert fault.struck == 1
    assert s.clock.now() - begun < timedelta(minutes=3)
    assert len(s.mirrors("ruben")) == 3
    assert s.state("dana").error_code == "google_quota_exceeded"
    before = s.position
    s.later(again=10, minutes=5)
    assert not [e for e in s.sandbox.requests.since(before) if e.user == SELF]
    s.sandbox.faults.clear()
    s.later(minutes=11)
    assert len(s.mirrors("dana")) == 3
    s.in_step()


def test_writes_that_come_too_fast_are_slowed_down_and_all_done(stage: Make) -> None:
    s = stage()
    s.run()
    s.google.user_limit = 8
    for hour in range(8, 20):
        s.visit(hour=hour)
    s.later(again=4, minutes=7)
    s.google.user_limit = None
    s.later(minutes=70)
    assert len(s.mirrors()) == 12
    assert s.store.runs.fault(Platform.GOOGLE) is None
    s.in_step()


# --- lists and cursors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [(410, "fullSyncRequired"), (410, "updatedMinTooLongAgo"), (400, "invalid"), (404, "notFound")],
)
def test_whatever_ends_a_cursor_leads_to_one_full_read(stage: Make, code: int, reason: str) -> None:
    s = stage()
    gone = s.busy(hour=14)
    s.busy(hour=16)
    s.run()
    s.google.delete_event(SELF, gone)
    # Once when the poll asks, once in the cycle.
    s.fault("google", "status", "GET", "/events$", code=code, reason=reason, times=2)
    before = s.position
    s.later()
    lists = [e for e in s.sandbox.requests.since(before) if e.kind == "google.events.list"]
    assert [("syncToken" in e.query) for e in lists][:3] == [True, True, False]
    assert [block.start for block in s.blocks()] == [s.at(1, 16)]
    assert s.state().failures == 0
    s.in_step()


def test_no_list_is_ever_filtered_and_every_page_names_its_fields(stage: Make) -> None:
    s = stage()
    s.series()
    s.visit()
    s.run()
    s.busy()
    s.later()
    lists = [e for e in s.sandbox.requests if e.kind == "google.events.list"]
    filters = {
        "q", "iCalUID", "privateExtendedProperty", "sharedExtendedProperty", "updatedMin",
        "orderBy", "eventTypes", "showDeleted",
    }  # fmt: skip
    for entry in lists:
        assert not filters & entry.query.keys()
        assert {"nextPageToken", "nextSyncToken"} <= set(entry.query["fields"].split(","))
        assert ("syncToken" in entry.query) != ("timeMin" in entry.query)


def test_blocks_of_a_deleted_busy_calendar_are_deleted_and_no_user_is_stopped(
    stage: Make,
) -> None:
    s = stage()
    other = s.google.add_calendar(SELF, "Team").id
    s.document = {"calendars": {"google": {"busy": ["primary", other]}}}
    s.busy(hour=14)
    s.busy(hour=16, calendar=other)
    s.run()
    assert len(s.blocks()) == 2
    del s.google.account(SELF).calendars[other]
    s.visit()
    result = s.later()
    assert result.failed == []
    assert s.state().failures == 0
    assert len(s.blocks()) == 2, "it may be back in a moment"
    s.later(minutes=20, again=5)
    assert [block.start for block in s.blocks()] == [s.at(1, 14)]
    assert len(s.mirrors()) == 1


# --- events ---------------------------------------------------------------------------------------


def test_answers_of_other_guests_move_the_etag_and_write_nothing(stage: Make) -> None:
    s = stage()
    guests = [
        {"email": SELF, "responseStatus": "accepted"},
        {"email": "guest@partner.example", "responseStatus": "needsAction"},
    ]
    event = s.busy(attendees=guests)
    s.run()
    etag = s.google.events_of(SELF)[0]["etag"]
    before = s.position
    for answer in ("tentative", "declined", "accepted"):
        guests[1]["responseStatus"] = answer
        s.google.patch_event(SELF, event, attendees=guests)
        s.later()
    assert s.google.events_of(SELF)[0]["etag"] != etag
    assert s.wrote(before) == []
    s.in_step()


@pytest.mark.parametrize(
    "change",
    [{"colorId": "7"}, {"reminders": {"useDefault": False}}, {"location": "Room 4"}],
    ids=lambda change: next(iter(change)),
)
def test_fields_that_are_not_synced_may_be_changed_on_a_mirror(
    stage: Make, change: dict[str, Any]
) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    [mirror] = s.mirrors()
    s.google.patch_event(SELF, mirror["id"], **change)
    before = s.position
    s.later()
    assert s.wrote(before) == []
    assert s.conflicts() == []
    # Its etag is another one by now: the next update is refused once, reads, and is made.
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    assert s.asked("google.events.patch", before) <= 2
    assert s.state().failures == 0
    s.in_step()


def test_a_copy_of_a_mirror_made_by_hand_is_left_alone(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    [mirror] = s.mirrors()
    marker = mirror["extendedProperties"]
    copy = s.busy(days=2, summary="Busy", visibility="private", extendedProperties=marker)
    before = s.position
    s.later()
    s.later()
    assert s.wrote(before) == []
    assert copy in {event["id"] for event in s.google.events_of(SELF)}
    s.in_step()


def test_a_mirror_carries_one_short_opaque_property(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    [mirror] = s.mirrors()
    assert list(mirror["extendedProperties"]) == ["private"]
    [(key, value)] = mirror["extendedProperties"]["private"].items()
    assert len(key) <= 44
    assert len(value) <= 1024
    [link] = s.links()
    assert link.source.id not in value
    assert s.ids["dana"] not in value
    assert set(mirror["id"]) <= set("abcdefghijklmnopqrstuv0123456789")
    assert 5 <= len(mirror["id"]) <= 1024


def test_an_id_once_used_is_used_up_and_the_next_generation_takes_its_place(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    ids = set()
    for _ in range(3):
        [mirror] = s.mirrors()
        ids.add(mirror["id"])
        s.google.delete_event(SELF, mirror["id"])
        s.later()
    assert len(ids) == 3
    assert s.asked("google.events.insert", status=409) == 0


def test_a_bare_cancelled_instance_of_a_living_series_frees_its_time(stage: Make) -> None:
    s = stage()
    series = s.series()
    s.run()
    instance = s.google.instance_id(SELF, series, s.at(3, 14))
    # No start, no summary: only what Google guarantees.
    bare = {
        "id": instance, "status": "cancelled", "recurringEventId": series,
        "originalStartTime": {"dateTime": s.at(3, 14).isoformat()},
    }  # fmt: skip
    s.google.delete_instance(SELF, series, s.at(3, 14))
    page = {"items": [bare], "nextSyncToken": "unknown"}
    s.fault("google", "status", "GET", "/events$", code=200, body=page, times=2)
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(day, 14) for day in (1, 2, 4, 5)]
    s.in_step()


def test_this_and_all_following_splits_a_series_and_no_time_is_lost(stage: Make) -> None:
    s = stage()
    series = s.series(rule="FREQ=DAILY;COUNT=6")
    s.run()
    s.google.move_instance(SELF, series, s.at(5, 14), s.at(5, 18), s.at(5, 19))
    s.later()
    # What Google's own client does: the old series ends, a new one begins, exceptions are reset.
    s.google.patch_event(SELF, series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    s.google.add_series(SELF, "FREQ=DAILY;COUNT=4", s.at(3, 16), s.at(3, 17))
    s.later()
    s.later()
    wanted = [s.at(day, 14 if day < 3 else 16) for day in range(1, 7)]
    assert [block.start for block in s.blocks()] == wanted
    s.in_step()


def test_a_mirror_that_may_not_be_changed_parks_alone(stage: Make) -> None:
    s = stage()
    locked, free = s.visit(days=1), s.visit(days=2)
    s.run()
    mirror = s.mirrors()[0]["id"]
    s.fault(
        "google", "status", "PATCH", mirror, code=403, reason="forbiddenForNonOrganizer", times=None
    )
    s.move(locked.event_id, 3, 9)
    s.move(free.event_id, 4, 9)
    s.later(again=3)
    assert (s.at(4, 9), s.at(4, 10)) in s.mirror_times()
    assert s.state().failures == 0
    s.sandbox.faults.clear()
    s.later(days=1)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10)), (s.at(3, 9), s.at(3, 10))]


def test_every_write_is_silent_and_names_no_guest(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.move(visit.event_id, 2, 9)
    s.later()
    s.welkin.cancel_event(visit.event_id)
    s.later()
    writes = s.sandbox.requests.writes("google")
    assert {e.kind.rpartition(".")[2] for e in writes} == {"insert", "patch", "delete"}
    assert {e.query.get("sendUpdates") for e in writes} == {"none"}
    assert s.sandbox.requests.mail_risk == []


def test_odd_rows_in_a_list_hide_no_good_one(stage: Make) -> None:
    s = stage()
    good = s.busy()
    [body] = s.google.events_of(SELF)
    odd: list[Any] = [
        None, 7, "x", [], {}, {"id": None}, {"id": "withouttimes"},
        {"id": "halfatime", "start": {"dateTime": "soon"}, "end": {}},
        {"id": "mixed", "start": {"date": "2026-03-03"}, "end": body["end"]},
        {"id": "strange", "status": "perhaps", "eventType": "party", "attendees": "all", **{
            "start": body["start"], "end": body["end"], "transparency": "translucent"}},
    ]  # fmt: skip
    page = {"items": [*odd, body], "nextSyncToken": "unknown"}
    s.fault("google", "status", "GET", "/events$", code=200, body=page, times=1)
    result = s.run()
    assert result.failed == []
    # What nobody knows is busy like anything else that has a time, until a later read denies it.
    assert {link.source.id for link in s.links()} == {good, "strange"}
    s.later(minutes=5)
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.in_step()


def test_rights_that_are_missing_for_everybody_stop_everybody(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.run()
    for name in s.ids:
        s.visit(name)
    reasons = {
        "insufficientPermissions": "google_insufficient_permissions",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "google_access_token_scope_insufficient",
    }
    for reason, code in reasons.items():
        body = {"error": {"code": 403, "details": [{"reason": reason}]}}
        s.fault("google", "status", path="/events", code=403, body=body, times=None)
        before = s.position
        with pytest.raises(SyncError) as stopped:
            s.later()
        assert stopped.value.code == code
        assert [word for word in s.wrote(before, "google") if word.endswith("200")] == []
        s.sandbox.faults.clear()
    s.later(minutes=5)
    s.later(minutes=5)
    assert len(s.mirrors("dana")) == len(s.mirrors("ruben")) == 1
    s.in_step()


def test_events_of_an_ignored_source_never_block(stage: Make) -> None:
    sources = ["https://ehr.example.org/*"]
    s = stage(settings={"block_time": {"ignore_external": {"sources": sources}}})
    s.busy(days=2, source={"url": "https://ehr.example.org/visits/7", "title": "Visit"})
    s.busy(days=3, source={"url": "https://other.example.org/7", "title": "Other"})
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(3, 14)]
