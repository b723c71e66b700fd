"""The Graph double: calendarView/delta and its quirks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox import Fault
from tests.contract.graph import (
    DANA,
    EVENTS,
    ME,
    PREFER,
    RUBEN,
    WINDOW,
    Graph,
    code,
    connect,
    event,
    marker,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox
    from tests.contract.conftest import ManualClock

HOUR = timedelta(hours=1)
DELTA = f"{ME}/calendarView/delta"
FIRST = datetime(2026, 3, 3, 15, tzinfo=UTC)


@pytest.fixture
def calm(sandbox: Sandbox) -> Sandbox:
    """A world that leaves nothing to chance."""
    sandbox.microsoft.unfriendly = False
    return sandbox


def weekly(sandbox: Sandbox, start: datetime = FIRST) -> dict[str, Any]:
    return sandbox.microsoft.add_series(DANA, "FREQ=WEEKLY", start, start + HOUR, subject="Team")


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [("removed" if "@removed" in row else row["type"], row["id"]) for row in rows]


def kinds(rows: list[dict[str, Any]]) -> list[str]:
    return [kind for kind, _ in told(rows)]


# --- Reading a window ----------------------------------------------------------


def test_a_window_is_read_whole_and_then_what_changed(calm: Sandbox, graph: Graph) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    rows, link = graph.delta()
    assert [row["id"] for row in rows] == [made["id"]]
    assert "$deltatoken=" in link
    rows, link = graph.delta(link)
    assert rows == []
    graph("PATCH", f"{EVENTS}/{made['id']}", {"subject": "New"}, PREFER)
    rows, link = graph.delta(link)
    assert [row["subject"] for row in rows] == ["New"]
    graph("DELETE", f"{EVENTS}/{made['id']}", None, PREFER)
    rows, link = graph.delta(link)
    assert rows == [{"id": made["id"], "@removed": {"reason": "deleted"}}]
    assert graph.delta(link)[0] == []


def test_a_token_can_be_used_again(calm: Sandbox, graph: Graph) -> None:
    link = graph.delta()[1]
    graph("POST", EVENTS, event(), PREFER)
    assert graph.delta(link)[0] == graph.delta(link)[0] != []


def test_pages_go_on_by_link_and_show_one_state(calm: Sandbox, graph: Graph) -> None:
    ids = [graph("POST", EVENTS, event(hour=hour), PREFER).body["id"] for hour in range(1, 8)]
    size = {**PREFER, "prefer": PREFER["prefer"] + ", odata.maxpagesize=3"}
    first = graph("GET", DELTA, None, size, **WINDOW).body
    assert len(first["value"]) == 3
    assert "$skiptoken=" in first["@odata.nextLink"]
    assert "@odata.deltaLink" not in first
    graph("DELETE", f"{EVENTS}/{ids[0]}", None, PREFER)
    graph("POST", EVENTS, event(hour=20), PREFER)
    second = graph.follow(first["@odata.nextLink"], size).body
    third = graph.follow(second["@odata.nextLink"], size).body
    rows = [*first["value"], *second["value"], *third["value"]]
    assert [row["id"] for row in rows] == ids
    changed = graph.delta(third["@odata.deltaLink"])[0]
    assert kinds(changed) == ["removed", "singleInstance"]


def test_the_size_of_a_page_is_not_in_the_token(graph: Graph) -> None:
    for hour in range(1, 8):
        graph("POST", EVENTS, event(hour=hour), PREFER)
    size = {"prefer": "odata.maxpagesize=3"}
    first = graph("GET", DELTA, None, size, **WINDOW).body
    assert len(graph.follow(first["@odata.nextLink"], {"prefer": ""}).body["value"]) == 4


def test_the_kind_of_id_is_not_in_the_token(calm: Sandbox, graph: Graph) -> None:
    link = graph.delta()[1]
    made = graph("POST", EVENTS, event(), PREFER).body
    assert [r["id"] for r in graph.follow(link, PREFER).body["value"]] == [made["id"]]
    assert [r["id"] for r in graph.follow(link, {"prefer": ""}).body["value"]] != [made["id"]]


def test_a_series_is_not_split_over_pages(calm: Sandbox, graph: Graph) -> None:
    weekly(calm)
    graph("POST", EVENTS, event(), PREFER)
    weekly(calm)
    size = {"prefer": "odata.maxpagesize=2"}
    pages = [graph("GET", DELTA, None, size, **WINDOW).body]
    while "@odata.nextLink" in pages[-1]:
        pages.append(graph.follow(pages[-1]["@odata.nextLink"], size).body)
    assert [len(page["value"]) for page in pages] == [10, 1, 10]


def test_occurrences_come_bare_beside_their_master(calm: Sandbox, graph: Graph) -> None:
    # The master began long before the window.
    series = weekly(calm, FIRST - timedelta(days=70))
    calm.microsoft.move_instance(DANA, series["id"], FIRST, FIRST + HOUR, FIRST + 2 * HOUR)
    rows, _ = graph.delta()
    by_kind = {row["type"]: row for row in rows}
    assert by_kind.keys() == {"seriesMaster", "occurrence", "exception"}
    assert by_kind["occurrence"].keys() == {
        "@odata.etag", "id", "seriesMasterId", "type", "start", "end",
    }  # fmt: skip
    assert by_kind["seriesMaster"]["subject"] == by_kind["exception"]["subject"] == "Team"
    assert {r["seriesMasterId"] for r in rows if r["type"] != "seriesMaster"} == {series["id"]}


def test_no_extended_property_is_ever_returned(graph: Graph) -> None:
    graph("POST", EVENTS, event(**marker("one")), PREFER)
    rows, _ = graph.delta()
    assert rows
    assert all("singleValueExtendedProperties" not in row for row in rows)


@pytest.mark.parametrize("option", ["$select", "$filter", "$orderby", "$search", "$top"])
def test_options_of_lists_are_refused(graph: Graph, option: str) -> None:
    assert graph("GET", DELTA, None, PREFER, **WINDOW, **{option: "subject"}).status == 400


def test_expanding_is_an_error_of_the_server(graph: Graph) -> None:
    answer = graph("GET", DELTA, None, PREFER, **WINDOW, **{"$expand": "extensions"})
    assert answer.status == 500
    message = answer.body["error"]["message"]
    assert message == "Value cannot be null.\r\nParameter name: type"


def test_the_window_is_in_the_token(graph: Graph) -> None:
    _, link = graph.delta()
    assert graph.follow(link + "&startDateTime=2026-03-01T00:00:00Z").status == 400
    assert code(graph("GET", DELTA, None, PREFER))[0] == 400
    wide = {**WINDOW, "endDateTime": "2036-01-01T00:00:00Z"}
    assert graph("GET", DELTA, None, PREFER, **wide).status == 400


# --- What is removed, and what is not told -------------------------------------


def test_removed_is_also_what_happens_outside_the_window(calm: Sandbox, graph: Graph) -> None:
    inside = graph("POST", EVENTS, event(), PREFER).body
    _, link = graph.delta()
    calm.microsoft.plan(DANA, FIRST + timedelta(days=300), FIRST + timedelta(days=301), "Far")
    rows, link = graph.delta(link)
    assert kinds(rows) == ["removed"]
    calm.microsoft.move_event(
        DANA, inside["id"], FIRST + timedelta(days=200), FIRST + timedelta(days=201)
    )
    rows, link = graph.delta(link)
    assert told(rows) == [("removed", inside["id"])]
    assert graph("GET", f"{EVENTS}/{inside['id']}", None, PREFER).status == 200


def test_removed_is_what_moved_to_another_calendar(calm: Sandbox, graph: Graph) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    other = calm.microsoft.add_calendar(DANA, "Other")
    _, link = graph.delta()
    there = f"{ME}/calendars/{other.id}/calendarView/delta"
    _, other_link = graph.delta(
        graph("GET", there, None, PREFER, **WINDOW).body["@odata.deltaLink"]
    )
    calm.microsoft.move_to_calendar(DANA, made["id"], other.id)
    rows, link = graph.delta(link)
    assert told(rows) == [("removed", made["id"])]
    rows, _ = graph.delta(other_link)
    assert told(rows) == [("singleInstance", made["id"])]
    graph("PATCH", f"{EVENTS}/{made['id']}", {"subject": "Elsewhere"}, PREFER)
    assert graph.delta(link)[0] == []


def test_a_deleted_occurrence_has_no_tombstone(calm: Sandbox, graph: Graph) -> None:
    series = weekly(calm)
    rows, link = graph.delta()
    gone = calm.microsoft.instance_id(DANA, series["id"], FIRST + timedelta(days=7))
    calm.microsoft.delete_event(DANA, gone)
    assert gone in {row["id"] for row in rows}
    rows, _ = graph.delta(link)
    assert "removed" not in kinds(rows)
    assert kinds(rows)[0] == "seriesMaster"
    assert gone not in {row["id"] for row in rows}


@pytest.mark.parametrize("choice", ["master", "all"])
def test_a_deleted_series_is_reported_as_chosen(calm: Sandbox, graph: Graph, choice: str) -> None:
    calm.microsoft.series_tombstones = choice
    series = weekly(calm)
    rows, link = graph.delta()
    calm.microsoft.delete_event(DANA, series["id"])
    removed, _ = graph.delta(link)
    assert set(kinds(removed)) == {"removed"}
    expected = {series["id"]} if choice == "master" else {row["id"] for row in rows}
    assert {row["id"] for row in removed} == expected


def test_tombstones_can_be_lost(calm: Sandbox, graph: Graph) -> None:
    calm.microsoft.lose_tombstones = True
    series = weekly(calm)
    _, link = graph.delta()
    calm.microsoft.delete_event(DANA, series["id"])
    assert graph.delta(link)[0] == []


def test_an_unfriendly_world_repeats_reorders_and_thins(sandbox: Sandbox, graph: Graph) -> None:
    _, link = graph.delta()
    twice = late = few = False
    for number in range(60):
        series = weekly(sandbox)
        graph("POST", EVENTS, event(), PREFER)
        rows, link = graph.delta(link)
        ids = [row["id"] for row in rows]
        twice |= len(set(ids)) < len(ids)
        members = [row["type"] for row in rows if row["type"] != "singleInstance"]
        late |= members[0] == "occurrence"
        change = sandbox.microsoft.instance_id(DANA, series["id"], FIRST)
        sandbox.microsoft.rename(DANA, change, f"Other {number}")
        rows, link = graph.delta(link)
        assert "exception" in kinds(rows)
        few |= len({row["id"] for row in rows}) == 2
    assert twice
    assert late
    assert few


def test_changes_can_be_notified_again(calm: Sandbox, graph: Graph) -> None:
    _, link = graph.delta()
    graph("POST", EVENTS, event(subject="First"), PREFER)
    _, link = graph.delta(link)
    graph("POST", EVENTS, event(subject="Second"), PREFER)
    calm.microsoft.replay = True
    rows, _ = graph.delta(link)
    assert [row["subject"] for row in rows] == ["First", "Second"]


def test_a_delta_can_lag(calm: Sandbox, graph: Graph, clock: ManualClock) -> None:
    _, link = graph.delta()
    clock.advance(60)
    calm.microsoft.lag_seconds = 30
    graph("POST", EVENTS, event(), PREFER)
    rows, link = graph.delta(link)
    assert rows == []
    clock.advance(31)
    assert len(graph.delta(link)[0]) == 1


# --- Tokens that end -----------------------------------------------------------


def test_an_ended_token_is_gone_with_or_without_an_address(sandbox: Sandbox, graph: Graph) -> None:
    graph("POST", EVENTS, event(), PREFER)
    _, link = graph.delta()
    sandbox.microsoft.expire_sync_tokens(DANA)
    answers = [graph.follow(link) for _ in range(2)]
    assert [code(answer) for answer in answers] == [(410, "SyncStateNotFound")] * 2
    assert ["location" in answer.headers for answer in answers] == [True, False]
    fresh = graph.follow(answers[0].headers["location"])
    assert (fresh.status, len(fresh.body["value"])) == (200, 1)
    sandbox.microsoft.gone_location = "without"
    assert "location" not in graph.follow(link).headers
    sandbox.microsoft.gone_location = "with"
    assert "location" in graph.follow(link).headers


def test_a_token_of_another_calendar_is_refused(sandbox: Sandbox, graph: Graph) -> None:
    _, link = graph.delta()
    other = sandbox.microsoft.add_calendar(DANA, "Other")
    moved = link.replace("/calendarView", f"/calendars/{other.id}/calendarView")
    assert graph.follow(moved).status == 410
    stolen = graph.follow(link.replace(DANA, RUBEN))
    assert code(stolen) == (400, "ErrorInvalidSyncStateData")
    assert graph.follow(link.partition("=")[0] + "=nonsense").status == 400


@pytest.mark.parametrize("kind", ["no_cursor", "zero_events", "reordered_page"])
def test_pages_can_be_damaged(sandbox: Sandbox, graph: Graph, kind: str) -> None:
    sandbox.microsoft.unfriendly = False
    for hour in (9, 11):
        graph("POST", EVENTS, event(hour=hour), PREFER)
    sandbox.faults.add(Fault("microsoft", kind, path="delta"))
    body = graph("GET", DELTA, None, PREFER, **WINDOW).body
    whole = graph("GET", DELTA, None, PREFER, **WINDOW).body
    assert ("@odata.deltaLink" in body) == (kind != "no_cursor")
    assert (body["value"] == []) == (kind == "zero_events")
    assert (body["value"] == whole["value"][::-1]) == (kind == "reordered_page")


@pytest.mark.parametrize("seed", range(4))
def test_following_changes_ends_where_a_fresh_read_is(sandbox: Sandbox, seed: int) -> None:
    world, dice = sandbox.microsoft, random.Random(seed)  # noqa: S311 - reproducible
    world.add_account(DANA)
    graph = connect(sandbox)
    rows, link = graph.delta()
    known: set[str] = set()
    for _ in range(40):
        start = FIRST + timedelta(hours=dice.randint(0, 2000))
        singles = [each for each in world.own(DANA) if not each.is_series and not each.series_id]
        series = [each for each in world.own(DANA) if each.is_series]
        choice = dice.randint(0, 5)
        if choice == 0 or not series:
            world.plan_series(DANA, "FREQ=WEEKLY;COUNT=3", start, start + HOUR, "Choir")
        elif choice == 1 or not singles:
            world.plan(DANA, start, start + HOUR, "Dentist")
        elif choice == 2:
            world.move_event(DANA, dice.choice(singles + series).id, start, start + HOUR)
        elif choice == 3:
            world.delete_event(DANA, dice.choice(singles + series).id)
        elif choice == 4:
            world.change_rule(DANA, dice.choice(series).id, "FREQ=WEEKLY;BYDAY=MO")
        else:
            around = (FIRST, FIRST + timedelta(days=100))
            parts = [e for e in world.expanded_glimpses(DANA, *around) if e.series_id]
            if parts:
                world.delete_event(DANA, dice.choice(parts).id)
        rows, link = graph.delta(link)
        for row in rows:
            if "@removed" in row:
                known.discard(row["id"])
            elif row["type"] in ("singleInstance", "seriesMaster"):
                known.add(row["id"])
        whole = graph.delta()[0]
        assert known == {
            row["id"] for row in whole if row["type"] in ("singleInstance", "seriesMaster")
        }


def test_a_new_rule_may_name_the_occurrences_that_left(sandbox: Sandbox, graph: Graph) -> None:
    _, link = graph.delta()
    named = False
    for _ in range(30):
        series = weekly(sandbox)
        _, link = graph.delta(link)
        left = sandbox.microsoft.instance_id(DANA, series["id"], FIRST)
        sandbox.microsoft.change_rule(DANA, series["id"], "FREQ=WEEKLY;BYDAY=MO")
        rows, link = graph.delta(link)
        named |= ("removed", left) in told(rows)
    assert named
