"""Calendars of the Graph double, held against the types that Microsoft declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calendar_sync_sandbox.microsoft.directory import READ_CALENDARS
from tests.contract.graph import DANA, ME, PREFER, RUBEN, Graph, event

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

CALENDARS = f"{ME}/calendars"


def test_a_calendar_is_made_listed_used_and_deleted(sandbox: Sandbox, graph: Graph) -> None:
    made = graph("POST", CALENDARS, {"name": "Welkin"})
    assert made.status == 201
    assert (made.body["name"], made.body["isRemovable"]) == ("Welkin", True)
    assert made.body["owner"]["address"] == DANA
    path = f"{CALENDARS}/{made.body['id']}"
    inside = graph("POST", f"{path}/events", event(), PREFER).body["id"]
    assert graph("GET", path).body["name"] == "Welkin"
    assert graph("DELETE", path).status == 204
    assert graph("GET", f"{path}/events").status == 404
    assert graph("GET", f"{ME}/events/{inside}", None, PREFER).status == 404
    assert graph("DELETE", path).status == 404
    # Its number is not used again.
    assert graph("POST", CALENDARS, {"name": "Welkin"}).body["id"] != made.body["id"]


@pytest.mark.parametrize("status", [409, 400])
def test_no_two_have_one_name(sandbox: Sandbox, graph: Graph, status: int) -> None:
    sandbox.microsoft.folder_exists = status
    graph("POST", CALENDARS, {"name": "Welkin"})
    answer = graph("POST", CALENDARS, {"name": "WELKIN"})
    assert (answer.status, answer.body["error"]["code"]) == (status, "ErrorFolderExists")


def test_the_list_comes_in_pages(sandbox: Sandbox, graph: Graph) -> None:
    for number in range(4):
        sandbox.microsoft.add_calendar(DANA, f"c{number}")
    first = graph("GET", CALENDARS, None, None, **{"$top": 3, "$select": "id,name"}).body
    assert [row["name"] for row in first["value"]] == ["Calendar", "c0", "c1"]
    assert all(row.keys() == {"id", "name"} for row in first["value"])
    rest = graph.follow(first["@odata.nextLink"]).body
    assert [row["name"] for row in rest["value"]] == ["c2", "c3"]
    assert "@odata.nextLink" not in rest
    assert graph("GET", CALENDARS, None, None, **{"$select": "summary"}).status == 400


def test_a_shared_calendar_names_its_owner(sandbox: Sandbox, graph: Graph) -> None:
    key = sandbox.microsoft.add_calendar(RUBEN, "Welkin").id
    sandbox.microsoft.share_calendar(RUBEN, key, DANA)
    owners = [row["owner"]["address"] for row in graph("GET", CALENDARS).body["value"]]
    assert owners == [DANA, RUBEN]
    # It is another folder: a name of the mailbox's own is still free.
    assert graph("POST", CALENDARS, {"name": "Welkin"}).status == 201


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 256}, {"title": "x"}])
def test_a_name_is_needed_and_not_too_long(graph: Graph, body: dict[str, str]) -> None:
    assert graph("POST", CALENDARS, body).status == 400


def test_the_default_calendar_cannot_be_deleted(graph: Graph) -> None:
    key = graph("GET", f"{ME}/calendar").body["id"]
    assert graph("DELETE", f"{CALENDARS}/{key}").status == 403


def test_reading_does_not_write(sandbox: Sandbox, graph: Graph) -> None:
    key = sandbox.microsoft.add_calendar(DANA, "Other").id
    sandbox.microsoft.directory.roles = {READ_CALENDARS}
    assert graph("GET", CALENDARS).status == 200
    assert graph("POST", CALENDARS, {"name": "x"}).status == 403
    assert graph("DELETE", f"{CALENDARS}/{key}").status == 403
