"""The Graph double: patterns, occurrences and exceptions of series."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.graph import DANA, EVENTS, PREFER, WINDOW, Graph, code, event

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox
    from tests.contract.conftest import ManualClock

HOUR = timedelta(hours=1)
FIRST = datetime(2026, 3, 3, 15, tzinfo=UTC)


def rule(pattern: dict[str, Any], start: str, **spread: Any) -> dict[str, Any]:
    return {
        "pattern": {"interval": 1, **pattern},
        "range": {"type": "noEnd", "startDate": start, **spread},
    }


def days_of(graph: Graph, event_id: str, **window: str) -> list[str]:
    answer = graph(
        "GET", f"{EVENTS}/{event_id}/instances", None, PREFER, **{**WINDOW, **window, "$top": 500}
    )
    return [each["start"]["dateTime"][:16] for each in answer.body["value"]]


# --- Series --------------------------------------------------------------------

TUESDAY = "2026-03-03"
PATTERNS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (
        {"type": "daily", "interval": 2},
        {"type": "numbered", "numberOfOccurrences": 3},
        ["03", "05", "07"],
    ),
    (
        {"type": "weekly", "daysOfWeek": ["monday", "tuesday"], "firstDayOfWeek": "monday"},
        {"type": "endDate", "endDate": "2026-03-16"},
        ["03", "09", "10", "16"],
    ),
    (
        {"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "tuesday"]},
        {"type": "numbered", "numberOfOccurrences": 4},
        ["03", "15", "17", "29"],
    ),
    ({"type": "absoluteMonthly", "dayOfMonth": 31}, {}, ["31", "30"]),
    ({"type": "relativeMonthly", "daysOfWeek": ["friday"], "index": "last"}, {}, ["27", "24"]),
    (
        {"type": "relativeMonthly", "daysOfWeek": ["tuesday"], "index": "first"},
        {},
        ["03", "07"],
    ),
    ({"type": "absoluteYearly", "dayOfMonth": 3, "month": 3}, {}, ["03"]),
    (
        {"type": "relativeYearly", "daysOfWeek": ["sunday"], "index": "second", "month": 4},
        {},
        ["12"],
    ),
]


@pytest.mark.parametrize(("pattern", "spread", "expected"), PATTERNS)
def test_patterns_give_their_days(
    graph: Graph, pattern: dict[str, Any], spread: dict[str, Any], expected: list[str]
) -> None:
    sent = event(recurrence=rule(pattern, TUESDAY, **spread))
    made = graph("POST", EVENTS, sent, PREFER)
    assert made.status == 201
    assert made.body["type"] == "seriesMaster"
    days = days_of(graph, made.body["id"])
    assert [day[8:10] for day in days] == expected
    # The series begins on the first day that its rule has.
    assert made.body["start"]["dateTime"][:16] == days[0]
    assert made.body["recurrence"]["range"]["startDate"] == days[0][:10]


def test_a_series_keeps_its_hour_over_a_change_of_the_clocks(graph: Graph) -> None:
    sent = event(recurrence=rule({"type": "weekly", "daysOfWeek": ["tuesday"]}, TUESDAY))
    sent["start"]["timeZone"] = sent["end"]["timeZone"] = "Eastern Standard Time"
    made = graph("POST", EVENTS, sent, PREFER).body
    assert [day[11:] for day in days_of(graph, made["id"])[:2]] == ["15:00", "14:00"]
    assert made["recurrence"]["range"]["recurrenceTimeZone"] == "Eastern Standard Time"


def test_a_rule_must_fit_its_event(graph: Graph) -> None:
    for recurrence in (
        rule({"type": "daily"}, "2026-03-04"),
        rule({"type": "weekly"}, TUESDAY),
        rule({"type": "hourly"}, TUESDAY),
        rule({"type": "daily", "interval": 0}, TUESDAY),
        rule({"type": "daily"}, TUESDAY, type="endDate", endDate="2026-03-01"),
        rule({"type": "daily"}, TUESDAY, type="numbered"),
        rule({"type": "daily", "every": 2}, TUESDAY),
    ):
        assert graph("POST", EVENTS, event(recurrence=recurrence)).status == 400


def weekly(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    start = datetime(2026, 3, 3, 15, tzinfo=UTC)
    return sandbox.microsoft.add_series(
        DANA, "FREQ=WEEKLY", start, start + HOUR, subject="Team", **fields
    )


def occurrences(graph: Graph, series: dict[str, Any]) -> list[dict[str, Any]]:
    answer = graph("GET", f"{EVENTS}/{series['id']}/instances", None, PREFER, **WINDOW)
    return list(answer.body["value"])


def test_occurrences_are_distinguished(sandbox: Sandbox, graph: Graph) -> None:
    series = weekly(sandbox)
    rows = occurrences(graph, series)
    assert {row["type"] for row in rows} == {"occurrence"}
    assert {row["seriesMasterId"] for row in rows} == {series["id"]}
    assert len({row["iCalUId"] for row in rows}) == len(rows)
    assert rows[1]["originalStart"] == "2026-03-10T14:00:00.0000000Z"
    assert rows[1]["recurrence"] is None
    one = graph("GET", f"{EVENTS}/{rows[1]['id']}", None, PREFER)
    assert one.body["subject"] == "Team"
    nested = f"{EVENTS}/{rows[1]['id']}/instances"
    assert graph("GET", nested, None, PREFER, **WINDOW).status == 400
    assert graph("GET", f"{EVENTS}/{series['id']}/instances", None, PREFER).status == 400


def test_a_changed_occurrence_is_an_exception(sandbox: Sandbox, graph: Graph) -> None:
    series = weekly(sandbox)
    second = occurrences(graph, series)[1]
    path = f"{EVENTS}/{second['id']}"
    change = {
        "subject": "Moved",
        "start": {"dateTime": "2026-03-12T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-12T10:00:00", "timeZone": "UTC"},
    }
    changed = graph("PATCH", path, change, PREFER).body
    assert changed["type"] == "exception"
    assert changed["id"] == second["id"]
    assert changed["originalStart"] == "2026-03-10T14:00:00.0000000Z"
    # The rest still follows the master.
    graph("PATCH", f"{EVENTS}/{series['id']}", {"subject": "Renamed", "showAs": "oof"}, PREFER)
    read = graph("GET", path, None, PREFER).body
    assert (read["subject"], read["showAs"]) == ("Moved", "oof")
    assert [row["type"] for row in occurrences(graph, series)].count("exception") == 1


def test_an_occurrence_does_not_pass_its_neighbours(sandbox: Sandbox, graph: Graph) -> None:
    second = occurrences(graph, weekly(sandbox))[1]
    for day in (3, 17, 24):
        times = {key: event(day=day, hour=9)[key] for key in ("start", "end")}
        answer = graph("PATCH", f"{EVENTS}/{second['id']}", times, PREFER)
        assert code(answer) == (400, "ErrorOccurrenceCrossingBoundary")
    times = {key: event(day=16, hour=9)[key] for key in ("start", "end")}
    assert graph("PATCH", f"{EVENTS}/{second['id']}", times, PREFER).status == 200


def test_deleted_occurrences_are_named_by_the_master_only(sandbox: Sandbox, graph: Graph) -> None:
    series = weekly(sandbox)
    second = occurrences(graph, series)[1]
    assert graph("DELETE", f"{EVENTS}/{second['id']}", None, PREFER).status == 204
    assert graph("GET", f"{EVENTS}/{second['id']}", None, PREFER).status == 404
    assert second["id"] not in {row["id"] for row in occurrences(graph, series)}
    path = f"{EVENTS}/{series['id']}"
    asked = graph("GET", path, None, PREFER, **{"$select": "cancelledOccurrences"}).body
    assert asked["cancelledOccurrences"] == [f"OID.{series['id']}.2026-03-10"]
    assert "cancelledOccurrences" not in graph("GET", path, None, PREFER).body
    listed = graph("GET", EVENTS, None, PREFER, **{"$select": "cancelledOccurrences"}).body
    assert "cancelledOccurrences" not in listed["value"][0]


def test_a_new_rule_forgets_the_exceptions(sandbox: Sandbox, graph: Graph) -> None:
    series = weekly(sandbox)
    rows = occurrences(graph, series)
    graph("PATCH", f"{EVENTS}/{rows[1]['id']}", {"subject": "Once"}, PREFER)
    graph("DELETE", f"{EVENTS}/{rows[2]['id']}", None, PREFER)
    path = f"{EVENTS}/{series['id']}"
    daily = {"recurrence": rule({"type": "daily"}, TUESDAY)}
    assert graph("PATCH", path, daily, PREFER).status == 200
    assert {row["type"] for row in occurrences(graph, series)} == {"occurrence"}
    assert len(days_of(graph, series["id"])) > 50
    single = graph("PATCH", path, {"recurrence": None}, PREFER).body
    assert single["type"] == "singleInstance"


def test_a_series_moves_with_its_master(sandbox: Sandbox, graph: Graph) -> None:
    series = weekly(sandbox)
    times = {key: event(day=3, hour=12)[key] for key in ("start", "end")}
    assert graph("PATCH", f"{EVENTS}/{series['id']}", times, PREFER).status == 200
    assert days_of(graph, series["id"])[0] == "2026-03-03T12:00"
    day = date(2026, 3, 5)
    start = datetime(day.year, day.month, day.day, 18, tzinfo=UTC)
    sandbox.microsoft.move_event(DANA, series["id"], start, start + HOUR)
    assert days_of(graph, series["id"])[:2] == ["2026-03-05T18:00", "2026-03-12T17:00"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FREQ=DAILY;INTERVAL=2;COUNT=3", ["03-03", "03-05", "03-07"]),
        ("FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20260310T150000Z", ["03-03", "03-09", "03-10"]),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", ["03-27", "04-24"]),
        ("FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20260310T135959Z", ["03-03", "03-09"]),
        ("FREQ=MONTHLY;BYMONTHDAY=28;COUNT=2", ["03-28", "04-28"]),
        ("FREQ=YEARLY", ["03-03"]),
        ("FREQ=YEARLY;BYMONTH=4;BYDAY=2SU", ["04-12"]),
    ],
)
def test_people_speak_of_rules_as_elsewhere(
    sandbox: Sandbox, graph: Graph, text: str, expected: list[str]
) -> None:
    series = sandbox.microsoft.plan_series(DANA, text, FIRST, FIRST + HOUR, "Series")
    assert [day[5:10] for day in days_of(graph, series)] == expected


@pytest.mark.parametrize(
    "text", ["FREQ=HOURLY", "FREQ=DAILY;BYDAY=MO", "FREQ=MONTHLY;BYSETPOS=1;BYDAY=MO"]
)
def test_outlook_cannot_keep_every_rule(sandbox: Sandbox, graph: Graph, text: str) -> None:
    with pytest.raises(ValueError, match="no pattern of Outlook"):
        sandbox.microsoft.plan_series(DANA, text, FIRST, FIRST + HOUR, "Series")


def test_occurrences_lag_with_their_series(
    sandbox: Sandbox, graph: Graph, clock: ManualClock
) -> None:
    series = weekly(sandbox)
    second = occurrences(graph, series)[1]
    clock.advance(60)
    sandbox.microsoft.lag_seconds = 30
    sandbox.microsoft.rename(DANA, second["id"], "Once")
    read = graph("GET", f"{EVENTS}/{second['id']}", None, PREFER).body
    assert (read["type"], read["subject"]) == ("occurrence", "Team")
    assert {row["type"] for row in occurrences(graph, series)} == {"occurrence"}
    clock.advance(31)
    assert graph("GET", f"{EVENTS}/{second['id']}", None, PREFER).body["type"] == "exception"
