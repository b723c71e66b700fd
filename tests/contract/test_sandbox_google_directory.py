"""The Google double's directory, against the description of the Admin SDK and Google's client."""

from __future__ import annotations

import json
from contextlib import ExitStack
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_auth_httplib2
import googleapiclient
import httplib2
import pytest
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from calendar_sync.adapters.google import directory as ours
from calendar_sync.adapters.google.tokens import DIRECTORY_SCOPE
from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.google.directory import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOSS, DANA = "boss@example.org", "dana@example.org"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "array": (list,), "object": (dict,), "any": (object,),
}  # fmt: skip


@cache
def description() -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "admin.directory_v1.json").read_text())
    return found


def undeclared(value: dict[str, Any], schema: str) -> list[str]:
    """Names of fields that the description lacks, or gives another type."""
    declared = description()["schemas"][schema]["properties"]
    return [
        name
        for name, item in value.items()
        if name not in declared or not isinstance(item, TYPES[declared[name].get("type", "any")])
    ]


@pytest.fixture(scope="module")
def live() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    sandbox.google.add_account(BOSS).admin = True
    sandbox.google.add_account(DANA).aliases = ["d.hale@example.org"]
    for number in range(10):
        sandbox.google.add_account(f"user{number}@example.org")
    sandbox.google.suspend("user0@example.org")
    sandbox.google.archive("user1@example.org")
    sandbox.google.delete_account("user2@example.org")
    with running(sandbox):
        yield sandbox


@pytest.fixture
def client_of(live: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Google's own client, acting for somebody."""
    assert live.ca is not None
    ca = tmp_path / "ca.pem"
    ca.write_bytes(live.ca.read_bytes())
    # The client writes into the document that it is given.
    document = {**deepcopy(description()), "rootUrl": f"{live.root}/google/"}
    document["baseUrl"] = document["rootUrl"] + document["servicePath"]
    with ExitStack() as opened:

        def acting_for(subject: str, scope: str = DIRECTORY_SCOPE) -> Any:
            credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                live.google.keyfile(), scopes=[scope], subject=subject
            )
            plain = httplib2.Http(ca_certs=str(ca))
            opened.callback(plain.close)
            http = google_auth_httplib2.AuthorizedHttp(credentials, http=plain)
            return opened.enter_context(build_from_document(document, http=http))

        yield acting_for


@pytest.fixture
def users_of(client_of: Callable[..., Any]) -> Callable[..., Any]:
    """The same for users."""
    return lambda *given: client_of(*given).users()


def test_googles_client_reads_all_pages(users_of: Callable[..., Any]) -> None:
    users = users_of(BOSS)
    request = users.list(customer="my_customer", maxResults=4)
    found: list[dict[str, Any]] = []
    sizes = []
    while request is not None:
        page = request.execute()
        assert undeclared(page, "Users") == []
        found += page.get("users", [])
        sizes.append(len(page.get("users", [])))
        request = users.list_next(request, page)
    assert [fault for user in found for fault in undeclared(user, "User")] == []
    assert 0 in sizes, "once a page is empty on the way"
    by_address = {user["primaryEmail"]: user for user in found}
    assert len(by_address) == len(found) == 11
    assert by_address["user0@example.org"]["suspended"]
    assert by_address["user1@example.org"]["archived"]
    assert by_address[DANA]["aliases"] == ["d.hale@example.org"]
    assert "aliases" not in by_address[BOSS]
    assert "user2@example.org" not in by_address


@pytest.mark.parametrize(
    ("subject", "options", "status", "words"),
    [
        (DANA, {"customer": "my_customer"}, 403, "Not Authorized"),
        (BOSS, {}, 400, "Bad Request"),
        (BOSS, {"customer": "my_customer", "maxResults": 501}, 400, "maxResults"),
        (BOSS, {"customer": "C0other"}, 404, "Not Found"),
        (BOSS, {"customer": "my_customer", "pageToken": "x"}, 400, "pageToken"),
    ],
    ids=["no administrator", "no customer", "large page", "other customer", "token"],
)
def test_a_request_is_refused(
    users_of: Callable[..., Any], subject: str, options: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(HttpError) as caught:
        users_of(subject).list(**options).execute()
    assert caught.value.status_code == status
    assert words in str(caught.value)


def test_a_token_for_calendars_reads_no_directory(users_of: Callable[..., Any]) -> None:
    scope = "https://www.googleapis.com/auth/calendar.events"
    with pytest.raises(HttpError) as caught:
        users_of(BOSS, scope).list(customer="my_customer").execute()
    assert caught.value.status_code == 403
    assert "insufficient" in str(caught.value)


def test_what_the_double_and_we_know_is_declared() -> None:
    method = description()["resources"]["users"]["methods"]["list"]
    assert set(method["parameters"]) == PARAMETERS
    assert method["path"] == ours.USERS.removeprefix("/")
    assert DIRECTORY_SCOPE in method["scopes"]
    assert method["parameters"]["maxResults"]["maximum"] == str(ours.PAGE)
    assert description()["rootUrl"] == "https://admin.googleapis.com/"
    user = description()["schemas"]["User"]["properties"]
    inner = ours.FIELDS.removeprefix("users(").partition(")")[0]
    assert set(inner.split(",")) <= set(user)
