"""What other clients of Graph and Google write, and rules that only one of both can express."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from calendar_sync_sandbox.microsoft.recurrence import from_rrule
from tests.contract.conftest import Caller
from tests.contract.graph import DANA, EVENTS, ME, PREFER, WINDOW, Graph
from tests.contract.test_sandbox_google import ask_token, assertion

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

START = date(2026, 3, 3)  # a Tuesday


@pytest.mark.parametrize("path", [f"{ME}/calendarView", f"{ME}/calendar/calendarView"])
def test_a_delta_may_be_called_with_its_brackets(graph: Graph, path: str) -> None:
    plain = graph("GET", f"{path}/delta", None, PREFER, **WINDOW)
    called = graph("GET", f"{path}/delta()", None, PREFER, **WINDOW)
    assert (called.status, called.body["value"]) == (plain.status, plain.body["value"])
    link = called.body["@odata.deltaLink"]
    assert "/delta()?" in unquote(link)
    users = graph("GET", "/users/delta()", None, {}, **{"$select": "mail"})
    assert users.status == 200
    assert len(users.body["value"]) == 2


def test_a_part_of_a_batch_may_have_the_whole_address(sandbox: Sandbox, graph: Graph) -> None:
    root = sandbox.microsoft.directory.graph_root
    urls = [f"{root}/v1.0{EVENTS}", EVENTS]
    requests = [{"id": str(n), "method": "GET", "url": url} for n, url in enumerate(urls)]
    answer = graph("POST", "/$batch", {"requests": requests})
    assert [part["status"] for part in answer.body["responses"]] == [200, 200]
    elsewhere = [{"id": "1", "method": "GET", "url": f"https://evil.example/v1.0{EVENTS}"}]
    assert graph("POST", "/$batch", {"requests": elsewhere}).status == 400


def test_events_may_be_filtered_by_their_times(sandbox: Sandbox, graph: Graph) -> None:
    first = datetime(2026, 3, 3, 15, tzinfo=UTC)
    for day in range(3):
        start = first + timedelta(days=day)
        sandbox.microsoft.add_event(DANA, start=start, end=start + timedelta(hours=1))

    def starts(text: str) -> list[str]:
        answer = graph("GET", EVENTS, None, PREFER, **{"$filter": text})
        return sorted(each["start"]["dateTime"][:10] for each in answer.body["value"])

    assert starts("start/dateTime ge '2026-03-04T15:00:00'") == ["2026-03-04", "2026-03-05"]
    both = "start/dateTime ge '2026-03-04T00:00:00Z' and end/dateTime lt '2026-03-05T00:00:00Z'"
    assert starts(both) == ["2026-03-04"]
    refused = graph("GET", EVENTS, None, PREFER, **{"$filter": "start/dateTime ge 'soon'"})
    assert refused.status == 400


@pytest.mark.parametrize(
    ("scope", "status"),
    [("calendar.events", 403), ("calendar.events.readonly", 403), ("calendar.readonly", 200)],
)
def test_the_scope_of_events_reads_no_calendar(sandbox: Sandbox, scope: str, status: int) -> None:
    sandbox.google.add_account(DANA, "America/New_York")
    scope = f"https://www.googleapis.com/auth/{scope}"
    token = ask_token(sandbox, assertion(sandbox, scope=scope)).body["access_token"]
    google = Caller(sandbox, "/google/calendar/v3", token)
    assert google("GET", "/calendars/primary/events").status == 200
    assert google("GET", "/calendars/primary").status == status


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYMONTHDAY=1,15",
        "FREQ=MONTHLY;BYDAY=TU",
        "FREQ=MONTHLY;BYDAY=1TU,3TU",
        "FREQ=MONTHLY;BYDAY=1TU,1WE",
        "FREQ=MONTHLY;BYDAY=5TU",
        "FREQ=MONTHLY;BYDAY=-2TU",
        "FREQ=MONTHLY;BYDAY=1TU;BYMONTHDAY=3",
        "FREQ=MONTHLY;BYMONTH=3",
        "FREQ=WEEKLY;BYDAY=1TU",
        "FREQ=WEEKLY;BYMONTH=3",
        "FREQ=WEEKLY;BYMONTHDAY=3",
        "FREQ=DAILY;BYDAY=TU",
        "FREQ=DAILY;BYMONTH=3",
        "FREQ=YEARLY;BYDAY=1TU",
        "FREQ=YEARLY;BYMONTHDAY=3",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;BYMONTH=3,4",
        "FREQ=HOURLY",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=DAILY;INTERVAL=100",
        "FREQ=DAILY;COUNT=1000",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "nonsense",
    ],
)
def test_a_rule_that_outlook_cannot_keep_is_refused_and_not_bent(rule: str) -> None:
    with pytest.raises(ValueError, match="no pattern of Outlook"):
        from_rrule(rule, START, "Eastern Standard Time")


def test_a_series_ends_on_the_day_that_its_own_clocks_show() -> None:
    made = from_rrule("FREQ=DAILY;UNTIL=20260310T030000Z", START, "Eastern Standard Time")
    assert made["range"]["endDate"] == "2026-03-09"
