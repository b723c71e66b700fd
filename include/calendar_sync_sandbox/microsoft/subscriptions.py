"""``/subscriptions`` of the Graph double: created after a handshake, read, renewed, deleted.

https://learn.microsoft.com/graph/api/resources/subscription and
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks

The pages name two longest lives for events (4,230 and 10,080 minutes); the double has the longer,
and refuses more or grants less, as ``beyond`` says. Words of refusals are those that clients have
reported: https://github.com/microsoftgraph/microsoft-graph-docs/issues/2988 (too long),
https://github.com/splunk/azure-functions-splunk/issues/26 and
https://github.com/microsoftgraph/nodejs-webhooks-sample/issues/350 (handshake),
https://github.com/microsoftgraph/msgraph-sdk-dotnet/issues/365 (rights),
https://github.com/microsoftgraph/microsoft-graph-docs/issues/6869 (mailbox),
https://github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/3201 (user gone).
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from calendar_sync_sandbox.microsoft.changes import Changes, Subscription
from calendar_sync_sandbox.microsoft.directory import CALENDARS, READ_CALENDARS
from calendar_sync_sandbox.microsoft.errors import GraphError
from calendar_sync_sandbox.microsoft.preferences import check_options, prefers, read_body
from calendar_sync_sandbox.microsoft.times import parse, stamp7
from calendar_sync_sandbox.outbox import Answer
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Refusal, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox
    from calendar_sync_sandbox.microsoft.tenant import Tenant
    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.outbox import Outbox

PATH = "/v1.0/subscriptions"
KINDS = frozenset(("created", "updated", "deleted"))
NAMES = frozenset({
    "changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime",
    "clientState", "latestSupportedTlsVersion", "includeResourceData", "encryptionCertificate",
    "encryptionCertificateId", "notificationQueryOptions", "notificationUrlAppId", "@odata.type",
})  # fmt: skip
#: What cannot be had here: events with their content.
RICH = ("encryptionCertificate", "encryptionCertificateId", "notificationQueryOptions")
REQUIRED = ("changeType", "notificationUrl", "resource", "expirationDateTime")
EVENTS = re.compile(r"/?users(?:/([^/?]+)|\('([^']+)'\))/events$", re.IGNORECASE)
LONGEST_STATE = 128
LONGEST_URL = 2048
HANDSHAKE_SECONDS = 10.0
SHORTEST = timedelta(minutes=45)
PAGE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for, its values checked."""

    user: str
    kinds: frozenset[str]
    url: str
    lifecycle_url: str | None
    expires: datetime


class Subscriptions:
    """The handlers and the switches; :mod:`.changes` does the sending.

    Attributes:
        changes: the living subscriptions.
        longest: the longest life.
        beyond: ``refuse`` or ``shorten``: what becomes of a wish for a longer one.
        most: subscriptions that one mailbox can have.
    """

    def __init__(self, world: Tenant, outbox: Outbox, seed: int) -> None:
        """Start without a subscription."""
        self.world = world
        self.outbox = outbox
        self.changes = Changes(world, outbox, seed)
        self.longest = timedelta(minutes=10_080)
        self.beyond = "refuse"
        self.most = 1000

    # The handshake, before the request is carried out

    async def prove(self, call: Call) -> None:
        """Ask the addresses of a request, or of the parts of a batch, to echo a token.

        What they did stands in ``call.proofs`` afterwards: nothing for a right answer, else words.
        """
        for url in _addresses(call):
            if url not in call.proofs and self._may_knock(call, url):
                call.proofs[url] = await self._knock(url)

    def _may_knock(self, call: Call, url: str) -> bool:
        if not self.world.directory.valid(call.bearer, self.world.clock.now()):
            return False
        try:
            self._check_url("notificationUrl", url)
        except Refusal:
            return False
        return True

    async def _knock(self, url: str) -> str:
        number = uuid.UUID(int=self.changes.random.getrandbits(128), version=4)
        token = f"Validation: Testing client application reachability for subscription: {number}"
        to = f"{url}{'&' if urlsplit(url).query else '?'}validationToken={quote(token, safe='')}"
        headers = {"content-type": "text/plain; charset=utf-8", "content-length": "0"}
        answer = Answer()
        if not self.outbox.trouble["microsoft"].dead:
            answer = await self.outbox.post(to, headers, b"", HANDSHAKE_SECONDS)
        if answer.status == 0:
            return "Subscription validation request timed out."
        if answer.status != HTTPStatus.OK:
            return (
                f"Subscription validation request failed. HTTP status code is '{answer.status}'. "
                "Notification endpoint must respond with 200 OK to validation request."
            )
        plain = answer.content_type.partition(";")[0].strip().lower() == "text/plain"
        if not plain or answer.body != token.encode():
            return (
                "Subscription validation request failed. Response must exactly match "
                "validationToken query parameter."
            )
        return ""

    def _check_proof(self, call: Call, *urls: str | None) -> None:
        for url in urls:
            if url is not None and (problem := call.proofs.get(url, "No validation was made.")):
                raise GraphError(400, "ValidationError", problem)

    # Requests

    def create(self, call: Call) -> Reply:
        """Answer the creation of a subscription."""
        check_options(call, frozenset())
        sent = read_body(call)
        wanted = self._wanted(sent)
        self._check_proof(call, wanted.url, wanted.lifecycle_url)
        mailbox = self._mailbox("Create", wanted.user)
        if self.changes.count[mailbox.guid] >= self.most:
            raise _extension(403, "Create", "The mailbox has too many subscriptions.")
        now = self.world.clock.now()
        number = uuid.UUID(int=self.changes.random.getrandbits(128), version=4)
        subscription = Subscription(
            id=str(number),
            mailbox=mailbox,
            resource=sent["resource"],
            kinds=wanted.kinds,
            url=wanted.url,
            lifecycle_url=wanted.lifecycle_url,
            state=sent.get("clientState"),
            immutable=prefers(call).immutable,
            expires=wanted.expires,
            authorised=now,
        )
        self.changes.attend(subscription)
        return Reply(201, self._written(subscription, secret=True, single=True))

    def list(self, call: Call) -> Reply:
        """Answer the application's own subscriptions, a page at a time."""
        check_options(call, frozenset({"$skiptoken"}))
        self._check_rights("Read")
        begin = unseal(call.one("$skiptoken") or "").get("o", 0)
        found = self.changes.of()
        root = f"{self.world.directory.graph_root}/v1.0"
        body: Json = {
            "@odata.context": f"{root}/$metadata#subscriptions",
            "value": [
                self._written(each, secret=False, single=False)
                for each in found[begin : begin + PAGE]
            ],
        }
        if begin + PAGE < len(found):
            token = seal({"o": begin + PAGE})
            body["@odata.nextLink"] = f"{root}/subscriptions?$skiptoken={token}"
        return Reply(200, body)

    def get(self, call: Call) -> Reply:
        """Answer one subscription, without its secret."""
        check_options(call, frozenset())
        self._check_rights("Read")
        return Reply(200, self._written(self._found(call), secret=False, single=True))

    def update(self, call: Call) -> Reply:
        """Answer a renewal, which reauthorises too; the address may change with a handshake."""
        check_options(call, frozenset())
        subscription = self._found(call)
        sent = read_body(call)
        if not sent or sent.keys() - {"expirationDateTime", "notificationUrl", "@odata.type"}:
            raise _invalid("Only expirationDateTime and notificationUrl can be updated.")
        expires, url = subscription.expires, subscription.url
        if "expirationDateTime" in sent:
            expires = self._expiration(sent["expirationDateTime"])
        if "notificationUrl" in sent:
            url = self._check_url("notificationUrl", sent["notificationUrl"])
            self._check_proof(call, url)
        self._mailbox("Update", subscription.mailbox.guid)
        subscription.expires, subscription.url = expires, url
        subscription.authorise(self.world.clock.now())
        return Reply(200, self._written(subscription, secret=False, single=True))

    def delete(self, call: Call) -> Reply:
        """Answer a deletion."""
        check_options(call, frozenset())
        subscription = self._found(call)
        mailbox = subscription.mailbox
        if mailbox.state in ("suspended", "deleted", "purged"):
            name = f"{mailbox.guid}@{self.world.directory.tenant_id}"
            raise _extension(404, "Delete", f"The requested user '{name}' is invalid.")
        self.changes.drop(subscription)
        return Reply(204)

    def reauthorize(self, call: Call) -> Reply:
        """Answer a reauthorisation, which leaves the end of the life where it is."""
        check_options(call, frozenset())
        subscription = self._found(call)
        self._mailbox("Update", subscription.mailbox.guid)
        subscription.authorise(self.world.clock.now())
        return Reply(204)

    # Inside

    def _found(self, call: Call) -> Subscription:
        found = self.changes.find(call.params["subscription"])
        if found is None:
            raise GraphError(404, "ResourceNotFound", "The object was not found.")
        return found

    def _check_rights(self, verb: str) -> None:
        if not {CALENDARS, READ_CALENDARS} & self.world.directory.roles:
            raise _extension(403, verb, "Forbidden")

    def _mailbox(self, verb: str, user: str) -> Mailbox:
        """Return a mailbox that the application may read the events of."""
        self._check_rights(verb)
        try:
            mailbox = self.world.account(user)
        except KeyError:
            raise _extension(404, verb, f"The requested user '{user[:60]}' is invalid.") from None
        if mailbox.state == "revoked":
            raise _extension(403, verb, "Access to OData is disabled.")
        if mailbox.state in ("unlicensed", "on_premises"):
            raise _extension(404, verb, "REST API is not yet supported for this mailbox.")
        if mailbox.state != "ok":
            raise _extension(404, verb, f"The requested user '{user[:60]}' is invalid.")
        return mailbox

    def _wanted(self, sent: Json) -> Wanted:
        if unknown := sent.keys() - NAMES:
            raise _invalid(
                "Could not process subscription creation payload. Are all property names spelled "
                f"and camelCased properly? Unknown: {sorted(unknown)[0][:40]}"
            )
        for name in REQUIRED:
            if not sent.get(name):
                raise _invalid(f"{name} is a required property for subscription creation.")
            if not isinstance(sent[name], str):
                raise _invalid(f"The value of {name} is not valid.")
        if sent.get("includeResourceData") or any(sent.get(name) for name in RICH):
            raise _invalid("Resource data is not part of these subscriptions.")
        state = sent.get("clientState")
        if not isinstance(state, str | None) or len(state or "") > LONGEST_STATE:
            raise _invalid("The value of clientState must not exceed 128 characters.")
        kinds = frozenset(kind.strip() for kind in sent["changeType"].split(","))
        if not kinds <= KINDS:
            raise _invalid("The value of changeType is not valid.")
        match = EVENTS.fullmatch(sent["resource"])
        if match is None:
            raise _invalid("Resource is not supported for subscriptions.")
        url = self._check_url("notificationUrl", sent["notificationUrl"])
        lifecycle = sent.get("lifecycleNotificationUrl")
        if lifecycle is not None:
            lifecycle = self._check_url("lifecycleNotificationUrl", lifecycle)
        expires = self._expiration(sent["expirationDateTime"])
        return Wanted(match[1] or match[2], kinds, url, lifecycle, expires)

    def _check_url(self, name: str, url: Any) -> str:
        schemes = ("https", "http") if self.outbox.allow_http else ("https",)
        try:
            parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        except ValueError:
            parts = urlsplit("")
        if (
            parts.scheme not in schemes
            or not parts.hostname
            or len(url) > LONGEST_URL
            or re.search(r"[\s\x00-\x1f]", url)
        ):
            raise _invalid(f"The value of {name} must be an https address.")
        return str(url)

    def _expiration(self, text: Any) -> datetime:
        moment = parse(text) if isinstance(text, str) else None
        now = self.world.clock.now()
        if moment is None or moment.tzinfo is None:
            raise _invalid("The value of expirationDateTime is not valid.")
        moment = moment.astimezone(UTC)
        if moment <= now:
            raise _invalid("Subscription expiration must be in the future.")
        if moment > now + self.longest:
            if self.beyond == "refuse":
                minutes = int(self.longest.total_seconds() // 60)
                raise GraphError(
                    400,
                    "ExtensionError",
                    f"Subscription expiration can only be {minutes} minutes in the future.",
                )
            moment = now + self.longest
        return max(moment, now + SHORTEST)

    def _written(self, each: Subscription, *, secret: bool, single: bool) -> Json:
        directory = self.world.directory
        written: Json = {
            "id": each.id,
            "resource": each.resource,
            "applicationId": directory.client_id,
            "changeType": ",".join(
                kind for kind in ("created", "updated", "deleted") if kind in each.kinds
            ),
            # Only the answer to its creation repeats the secret.
            "clientState": each.state if secret else None,
            "notificationUrl": each.url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": each.lifecycle_url,
            "expirationDateTime": stamp7(each.expires),
            "creatorId": str(uuid.uuid5(uuid.NAMESPACE_DNS, directory.client_id)),
            "includeResourceData": None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }
        if single:
            context = f"{directory.graph_root}/v1.0/$metadata#subscriptions/$entity"
            return {"@odata.context": context, **written}
        return written


def _addresses(call: Call) -> list[str]:
    """Name the addresses that a request, or a part of a batch, wants to be proved."""
    if b"otificationUrl" not in call.body:
        return []
    try:
        sent = json.loads(call.body)
    except ValueError:
        return []
    if not isinstance(sent, dict):
        return []
    if call.path == "/v1.0/$batch":
        parts = sent.get("requests")
        rows = [
            (f"/v1.0{part.get('url')}", part.get("body"))
            for part in (parts if isinstance(parts, list) else [])
            if isinstance(part, dict)
        ]
    else:
        rows = [(call.path, sent)]
    names = ("notificationUrl", "lifecycleNotificationUrl")
    return [
        body[name]
        for path, body in rows
        if path.startswith(PATH) and isinstance(body, dict)
        for name in names
        if isinstance(body.get(name), str)
    ]


def _invalid(message: str) -> GraphError:
    return GraphError(400, "InvalidRequest", message)


def _extension(status: int, verb: str, reason: str) -> GraphError:
    """Return what Exchange, behind the subscriptions, has against a request."""
    phrase = {403: "Forbidden", 404: "NotFound"}[status]
    return GraphError(
        status,
        "ExtensionError",
        f"Operation: {verb}; Exception: [Status Code: {phrase}; Reason: {reason}]",
    )
