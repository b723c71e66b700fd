"""The Google double's groups, against the description of the Admin SDK and Google's client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from googleapiclient.errors import HttpError

from calendar_sync.adapters.google import directory as ours
from calendar_sync.adapters.google.tokens import DIRECTORY_SCOPE, GROUPS_SCOPE
from calendar_sync_sandbox.google.groups import EVERYBODY, GROUP_SCOPES, PARAMETERS
from tests.contract import test_sandbox_google_directory
from tests.contract.test_sandbox_google_directory import BOSS, DANA, description, undeclared

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

live, client_of = test_sandbox_google_directory.live, test_sandbox_google_directory.client_of
Client = Callable[..., Any]
TEAM, INNER = "team@example.org", "inner@example.org"


@pytest.fixture
def team(live: Sandbox) -> Sandbox:
    live.google.groups.add(INNER, *(f"user{number}@example.org" for number in range(5)), TEAM)
    live.google.groups.add(TEAM, DANA, INNER, "guest@elsewhere.example", EVERYBODY)
    return live


def members(client_of: Client, **options: Any) -> list[dict[str, Any]]:
    resource = client_of(BOSS, GROUPS_SCOPE).members()
    request = resource.list(groupKey=TEAM, **options)
    found: list[dict[str, Any]] = []
    while request is not None:
        page = request.execute()
        assert undeclared(page, "Members") == []
        found += page.get("members", [])
        request = resource.list_next(request, page)
    assert [fault for one in found for fault in undeclared(one, "Member")] == []
    return found


def test_googles_client_reads_members_of_a_group_alone_and_of_groups_in_it(
    team: Sandbox, client_of: Client
) -> None:
    kinds = {one.get("email", ""): one["type"] for one in members(client_of)}
    assert kinds == {
        DANA: "USER", INNER: "GROUP", "guest@elsewhere.example": "USER", "": "CUSTOMER",
    }  # fmt: skip
    found = members(client_of, includeDerivedMembership=True, maxResults=2)
    assert len(found) == len({one["id"] for one in found})
    assert {one.get("email") for one in found} >= {f"user{number}@example.org" for number in (0, 4)}


@pytest.mark.parametrize(
    ("subject", "scope", "group", "options", "status", "words"),
    [
        (DANA, GROUPS_SCOPE, TEAM, {}, 403, "Not Authorized"),
        (BOSS, DIRECTORY_SCOPE, TEAM, {}, 403, "insufficient"),
        (BOSS, GROUPS_SCOPE, "nobody@example.org", {}, 404, "Resource Not Found: groupKey"),
        (BOSS, GROUPS_SCOPE, "team@elsewhere.example", {}, 403, "Not Authorized"),
        (BOSS, GROUPS_SCOPE, TEAM, {"maxResults": 201}, 400, "maxResults"),
        (BOSS, GROUPS_SCOPE, TEAM, {"pageToken": "x"}, 400, "pageToken"),
    ],
    ids=["no administrator", "scope", "unknown", "foreign", "large page", "token"],
)
def test_a_request_is_refused(
    team: Sandbox,
    client_of: Client,
    subject: str,
    scope: str,
    group: str,
    options: dict[str, Any],
    status: int,
    words: str,
) -> None:
    with pytest.raises(HttpError) as caught:
        client_of(subject, scope).members().list(groupKey=group, **options).execute()
    assert caught.value.status_code == status
    assert words in str(caught.value)


def test_what_the_double_and_we_know_is_declared() -> None:
    method = description()["resources"]["members"]["methods"]["list"]
    assert set(method["parameters"]) == PARAMETERS | {"groupKey"}
    assert method["path"] == f"{ours.ROOT}/groups/{{groupKey}}/members".removeprefix("/")
    assert GROUPS_SCOPE in GROUP_SCOPES
    assert set(method["scopes"]) == GROUP_SCOPES
    assert (
        f"Max allowed value is {ours.MEMBERS_PAGE}"
        in (method["parameters"]["maxResults"]["description"])
    )
    assert {"email", "type"} <= set(description()["schemas"]["Member"]["properties"])
