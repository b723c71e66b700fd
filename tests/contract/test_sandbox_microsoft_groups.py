"""The Graph double: groups, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.graph import DANA, RUBEN, Graph, code

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

TEAM, INNER = "team@example.org", "inner@example.org"


@pytest.fixture
def team(sandbox: Sandbox, graph: Graph) -> str:
    sandbox.microsoft.groups.add(INNER, RUBEN, TEAM)
    return str(sandbox.microsoft.groups.add(TEAM, DANA, INNER).id)


def test_a_group_is_found_by_its_address(team: str, graph: Graph) -> None:
    found = graph("GET", "/groups", **{"$filter": f"mail eq '{TEAM}'", "$select": "id"}).body
    assert found["value"] == [{"id": team}]
    assert graph("GET", "/groups", **{"$filter": "mail eq 'x@example.org'"}).body["value"] == []
    refused = graph("GET", "/groups", **{"$filter": "startswith(mail, 't')"})
    assert code(refused) == (400, "Request_UnsupportedQuery")


def test_members_of_all_kinds_are_listed_in_pages_each_once(
    sandbox: Sandbox, team: str, graph: Graph
) -> None:
    path = f"/groups/{team}/transitiveMembers"
    first = graph("GET", path, **{"$select": "id", "$top": 2}).body
    rest = graph.follow(first["@odata.nextLink"]).body
    rows = first["value"] + rest["value"]
    kinds = [row["@odata.type"].rpartition(".")[2] for row in rows]
    assert kinds == ["user", "group", "user", "group"]
    users = {sandbox.microsoft.account(name).guid for name in (DANA, RUBEN)}
    assert users < {row["id"] for row in rows}
    assert all(row.keys() == {"id", "@odata.type"} for row in rows)


def test_what_is_asked_wrongly_is_refused(sandbox: Sandbox, team: str, graph: Graph) -> None:
    unknown = f"/groups/{'0' * 8}-0000-0000-0000-{'0' * 12}/transitiveMembers"
    assert code(graph("GET", unknown)) == (404, "Request_ResourceNotFound")
    assert code(graph("GET", f"/groups/{TEAM}/transitiveMembers")) == (400, "Request_BadRequest")
    sandbox.microsoft.directory.roles.discard("GroupMember.Read.All")
    for path in ("/groups", f"/groups/{team}/transitiveMembers"):
        assert code(graph("GET", path)) == (403, "Authorization_RequestDenied")
