"""What single tenants of Welkin do otherwise: each switch of the double, off and on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.conftest import START, Caller
from tests.contract.test_sandbox_welkin import ADMIN, DAY, EVENTS, HOUR, WEEK, block, token

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox
    from calendar_sync_sandbox.welkin.records import User


@pytest.fixture
def user(sandbox: Sandbox) -> User:
    return sandbox.welkin.add_user("Dana.Hale@example.org", "Dana", "Hale", "US/Pacific")


@pytest.fixture
def welkin(sandbox: Sandbox) -> Caller:
    sandbox.welkin.rate_limit = None
    return Caller(sandbox, "/welkin", token(sandbox).body["token"])


def test_a_tenant_may_refuse_external_ids(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    assert welkin("POST", EVENTS, block(user, externalId="x-1")).status == 201
    sandbox.welkin.habits.external_ids = "refused"
    refused = welkin("POST", EVENTS, block(user, externalId="x-2"))
    assert (refused.status, refused.reason) == (400, "VALIDATION_ERROR")
    assert welkin("POST", EVENTS, block(user)).status == 201
    assert welkin("GET", f"{EVENTS}/x-1", type="EXTERNAL_ID").status == 200


def test_a_tenant_may_drop_external_ids_without_a_word(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    sandbox.welkin.habits.external_ids = "dropped"
    made = welkin("POST", EVENTS, block(user, externalId="x-1"))
    assert (made.status, made.body["externalId"]) == (201, None)
    assert welkin("GET", f"{EVENTS}/x-1", type="EXTERNAL_ID").status == 404


def test_a_tenant_may_not_know_the_look_up_by_external_id(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    welkin("POST", EVENTS, block(user, externalId="x-1"))
    sandbox.welkin.habits.external_id_lookup = False
    assert welkin("GET", f"{EVENTS}/x-1", type="EXTERNAL_ID").status == 400


def test_a_tenant_may_have_a_longest_window(sandbox: Sandbox, welkin: Caller) -> None:
    assert welkin("GET", EVENTS, **WEEK).status == 200
    sandbox.welkin.habits.longest_window = timedelta(days=7)
    assert welkin("GET", EVENTS, **WEEK).status == 400
    shorter = {**WEEK, "to": "2026-03-08T00:00:00.000Z"}
    assert welkin("GET", EVENTS, **shorter).status == 200


@pytest.mark.parametrize("path", [EVENTS, f"{ADMIN}/audit-data"])
def test_a_tenant_may_refuse_every_order(sandbox: Sandbox, welkin: Caller, path: str) -> None:
    query: dict[str, Any] = WEEK if path == EVENTS else {}
    assert welkin("GET", path, sort="createdAt,asc", **query).status == 200
    sandbox.welkin.habits.sorts = False
    assert welkin("GET", path, sort="createdAt,asc", **query).status == 400
    assert welkin("GET", path, **query).status == 200


def test_without_an_order_pages_may_repeat_and_skip(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    sandbox.welkin.habits.shuffles = True
    made = [welkin("POST", EVENTS, block(user, START + n * HOUR)).body["id"] for n in range(20)]

    def read(**more: Any) -> list[str]:
        pages = [welkin("GET", EVENTS, page=n, size=5, **WEEK, **more).body for n in range(4)]
        return [row["id"] for page in pages for row in page["content"]]

    assert set(read()) != set(made)
    assert read(sort="createdAt,asc") == made


def test_a_tenant_may_refuse_to_be_in_two_places_at_once(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    sandbox.welkin.habits.overlaps = False
    first = welkin("POST", EVENTS, block(user)).body
    refused = welkin("POST", EVENTS, block(user))
    assert (refused.status, refused.reason) == (409, "CALENDAR_EVENT_OVERLAPS")
    second = welkin("POST", EVENTS, block(user, START + 2 * DAY))
    assert second.status == 201
    times = {key: first[key] for key in ("startDateTime", "endDateTime")}
    assert welkin("PATCH", f"{EVENTS}/{second.body['id']}", times).status == 409
    assert welkin("PATCH", f"{EVENTS}/{first['id']}", times).status == 200


def test_a_tenant_may_leave_out_what_is_null(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    sandbox.welkin.habits.omits_nulls = True
    made = welkin("POST", EVENTS, block(user)).body
    assert {"id", "startDateTime", "endDateTime", "hostId"} <= made.keys()
    assert not {"eventTitle", "eventType", "eventStatus", "externalId"} & made.keys()


def test_a_tenant_may_write_words_times_and_keys_of_its_own(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    habits = sandbox.welkin.habits
    habits.odd_words = habits.odd_times = habits.extra_keys = True
    made = welkin("POST", EVENTS, block(user, eventType="GROUP_THERAPY", eventMode="IN-PERSON"))
    assert (made.body["eventType"], made.body["eventMode"]) == ("Group Therapy", "In-Person")
    assert made.body["startDateTime"].endswith("+03:17")
    assert datetime.fromisoformat(made.body["startDateTime"]) == START + DAY
    assert {"vendor", "series", "version"} <= made.body.keys()


def test_a_tenant_may_answer_a_patch_with_nothing(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    made = welkin("POST", EVENTS, block(user)).body
    sandbox.welkin.habits.silent_writes = True
    answer = welkin("PATCH", f"{EVENTS}/{made['id']}", {"eventTitle": "Busy"})
    assert (answer.status, answer.raw) == (204, b"")
    assert sandbox.welkin.events[made["id"]].title == "Busy"


def test_a_tenant_may_count_rows_that_it_does_not_show(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    sandbox.welkin.habits.overcounts = 2
    page = welkin("GET", f"{ADMIN}/users").body
    assert (len(page["data"]), page["metaInfo"]["totalElements"]) == (1, 3)
