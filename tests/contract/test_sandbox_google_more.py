"""More of what Google's double does as Google does: ids, deleted rows, windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.conftest import START, Caller
from tests.contract.test_sandbox_google import (
    DANA,
    EVENTS,
    HOUR,
    SILENT,
    WINDOW,
    caller,
    event,
    weekly,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox


@pytest.fixture
def google(sandbox: Sandbox) -> Caller:
    sandbox.google.unfriendly = False
    sandbox.google.add_account(DANA, "America/New_York")
    return caller(sandbox)


def ids(answer: Any) -> set[str]:
    return {item["id"] for item in answer.body["items"]}


def test_an_id_and_an_ical_uid_do_not_come_together(google: Caller) -> None:
    both = event(id="abcde", iCalUID="abcde@partner.example")
    assert google("POST", EVENTS, both, **SILENT).status == 400
    assert google("POST", EVENTS, event(id="abcde"), **SILENT).status == 200


def test_what_was_deleted_is_listed_only_when_asked_for_and_always_since_a_moment(
    google: Caller,
) -> None:
    google("POST", EVENTS, event(id="kept0"), **SILENT)
    google("POST", EVENTS, event(id="gone0"), **SILENT)
    google("DELETE", f"{EVENTS}/gone0", **SILENT)
    assert ids(google("GET", EVENTS, **WINDOW)) == {"kept0"}
    assert ids(google("GET", EVENTS, showDeleted="true", **WINDOW)) == {"kept0", "gone0"}
    since = START.isoformat()
    assert ids(google("GET", EVENTS, updatedMin=since, **WINDOW)) == {"kept0", "gone0"}
    assert google("GET", f"{EVENTS}/gone0").body["status"] == "cancelled"


def test_a_deleted_series_shows_single_instances_and_no_master(
    sandbox: Sandbox, google: Caller
) -> None:
    series = weekly(sandbox)["id"]
    sandbox.google.delete_event(DANA, series)
    found = ids(google("GET", EVENTS, showDeleted="true", **WINDOW))
    assert series not in found
    assert all(key.startswith(series) for key in found)


def test_a_zone_of_the_request_changes_how_times_are_written_and_no_instant(
    google: Caller,
) -> None:
    google("POST", EVENTS, event(START + HOUR, id="abcde"), **SILENT)
    [here] = google("GET", EVENTS).body["items"]
    [there] = google("GET", EVENTS, timeZone="Asia/Kolkata").body["items"]
    assert there["start"]["dateTime"].endswith("+05:30")
    assert here["etag"] == there["etag"]


def test_more_than_2500_are_never_on_one_page(google: Caller) -> None:
    assert google("GET", EVENTS, maxResults=0).status == 400
    assert google("GET", EVENTS, maxResults=100_000).status == 200
