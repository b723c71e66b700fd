"""The users of the Workspace, for administrators.

https://developers.google.com/workspace/admin/directory/reference/rest/v1/users/list
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from calendar_sync_sandbox.google.delegation import DIRECTORY_SCOPES
from calendar_sync_sandbox.google.errors import GoogleError, bad_parameter
from calendar_sync_sandbox.google.parameters import COMMON
from calendar_sync_sandbox.google.partial import select
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.google.store import Json
    from calendar_sync_sandbox.google.world import Account, GoogleWorld

PARAMETERS = frozenset({
    "customFieldMask", "customer", "domain", "event", "maxResults", "orderBy", "pageToken",
    "projection", "query", "showDeleted", "sortOrder", "viewType",
})  # fmt: skip
CUSTOMER = "C01sandbox"
USUAL_PAGE, LARGEST_PAGE = 100, 500


class DirectoryHandlers:
    """The handlers of the Admin SDK's part of the API."""

    def __init__(self, world: GoogleWorld) -> None:
        """Keep the world."""
        self.world = world

    def users(self, call: Call) -> Reply:
        """Answer ``/admin/directory/v1/users``."""
        self.check(call, DIRECTORY_SCOPES)
        for name in call.query:
            if name not in PARAMETERS and name not in COMMON:
                raise bad_parameter(name, f"Unknown parameter {name[:40]}")
        if call.one("customer") is None and call.one("domain") is None:
            raise GoogleError(400, "badRequest", "Bad Request")
        if call.one("customer") not in (None, "my_customer", CUSTOMER):
            raise GoogleError(404, "notFound", "Resource Not Found: customer")
        size = self._size(call)
        held = unseal(call.one("pageToken") or "")
        if call.one("pageToken") and held.get("k") != "users":
            raise bad_parameter("pageToken", "Invalid Input: pageToken")
        offset = int(held.get("o", 0))
        accounts = [each for each in self.world.accounts.values() if each.state != "deleted"]
        # Once on the way a page is empty, and has a successor all the same.
        gap = self.world.unfriendly and offset > 0 and not held.get("e")
        page = [] if gap else accounts[offset : offset + size]
        body: Json = {"kind": "admin#directory#users", "etag": f'"{len(accounts)}"'}
        if page:
            body["users"] = [_as_json(account) for account in page]
        done = offset + len(page)
        if done < len(accounts):
            body["nextPageToken"] = seal({"k": "users", "o": done, "e": gap or held.get("e", 0)})
        fields = call.one("fields")
        return Reply(200, select(body, fields) if fields else body)

    def check(self, call: Call, scopes: frozenset[str]) -> None:
        """Token, API, scope, and at last whether the user who is impersonated may."""
        world = self.world
        grant = world.delegation.grants.get(call.bearer)
        if grant is None or grant.expires <= world.clock.now():
            raise GoogleError(401, location=("header", "Authorization") if call.bearer else None)
        if not world.directory_enabled:
            raise GoogleError(403, "accessNotConfigured", "Admin SDK API is not enabled.")
        if not grant.scopes & scopes:
            raise GoogleError(
                403, "insufficientPermissions", "Request had insufficient authentication scopes."
            )
        account = world.accounts.get(grant.subject)
        if account is None or not account.admin:
            raise GoogleError(403, "forbidden", "Not Authorized to access this resource/api")

    def _size(self, call: Call) -> int:
        text = call.one("maxResults") or str(USUAL_PAGE)
        if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
            message = f"Invalid value '{text[:20]}'. Values must be within the range: [1, 500]"
            raise bad_parameter("maxResults", message)
        return int(text)


def _as_json(account: Account) -> Json:
    """Write a user; lists that would be empty are left out."""
    number = int(hashlib.sha256(account.email.lower().encode()).hexdigest()[:16], 16)
    first, _, last = account.email.partition("@")[0].partition(".")
    suspended = account.state == "suspended"
    return {
        "kind": "admin#directory#user",
        "id": f"{number:021d}"[:21],
        "etag": f'"{number:x}"',
        "primaryEmail": account.email,
        "name": {
            "givenName": first.title(),
            "familyName": last.title(),
            "fullName": f"{first} {last}".strip().title(),
        },
        "isAdmin": account.admin,
        "isDelegatedAdmin": False,
        "suspended": suspended,
        **({"suspensionReason": "ADMIN"} if suspended else {}),
        "archived": account.state == "archived",
        "isMailboxSetup": True,
        "customerId": CUSTOMER,
        "orgUnitPath": account.org_unit,
        "nonEditableAliases": [f"{account.email}.test-google-a.com"],
        **({"aliases": list(account.aliases)} if account.aliases else {}),
    }
