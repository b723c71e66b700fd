"""The routes of the Graph double: tokens, users, calendars, events.

https://learn.microsoft.com/graph/api/resources/calendar-overview
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft import update, writes
from calendar_sync_sandbox.microsoft.batch import Batch
from calendar_sync_sandbox.microsoft.calendars import CalendarHandlers
from calendar_sync_sandbox.microsoft.delta import Delta
from calendar_sync_sandbox.microsoft.directory import CALENDARS, GROUPS, READ_CALENDARS, USERS
from calendar_sync_sandbox.microsoft.errors import GraphError, error_body
from calendar_sync_sandbox.microsoft.groups import GroupHandlers
from calendar_sync_sandbox.microsoft.preferences import check_options, prefers, read_body
from calendar_sync_sandbox.microsoft.schedules import Schedules
from calendar_sync_sandbox.microsoft.subscriptions import PATH
from calendar_sync_sandbox.microsoft.times import Json, read_span
from calendar_sync_sandbox.microsoft.traffic import Traffic
from calendar_sync_sandbox.microsoft.users import UserHandlers
from calendar_sync_sandbox.microsoft.views import Views
from calendar_sync_sandbox.microsoft.wire import calendar_json, is_organizer
from calendar_sync_sandbox.service import Call, Handler, Reply, Route, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.faults import Faults
    from calendar_sync_sandbox.microsoft.store import Folder, Instance, Mailbox, Version
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld
    from calendar_sync_sandbox.requestlog import RequestLog

LOGIN = "/login/{tenant}"
V1 = "/v1.0"
USER = V1 + "/users/{user}"
# The user's default calendar may be named or left out; others are named by their id.
CALENDARS_OF = ("", "/calendar", "/calendars/{calendar}")
STATES = {
    "revoked": (403, "ErrorAccessDenied", "Access to OData is disabled."),
    "suspended": (404, "ErrorInvalidUser", "The requested user is invalid."),
    "deleted": (404, "ErrorInvalidUser", "The requested user is invalid."),
    "purged": (404, "ErrorInvalidUser", "The requested user is invalid."),
    "unlicensed": (
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    ),
    "on_premises": (
        404,
        "MailboxNotHostedInExchangeOnline",
        "The mailbox is not hosted in Exchange Online.",
    ),
}
CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    ', client_id="00000003-0000-0000-c000-000000000000"'
)


class MicrosoftApp:
    """The handlers; the world does the work."""

    def __init__(self, world: MicrosoftWorld, faults: Faults, log: RequestLog) -> None:
        """Lay out the routes."""
        self.world = world
        self.traffic = Traffic(world)
        self._views, self._delta = Views(world), Delta(world)
        self._answered = 0
        users, groups = UserHandlers(world), GroupHandlers(world)
        self.schedules = Schedules(world)
        self.calendars = CalendarHandlers(world)
        routes = [
            Route(
                "GET",
                LOGIN + "/v2.0/.well-known/openid-configuration",
                "microsoft.discovery",
                lambda call: world.directory.configuration(
                    call.params["tenant"], world.clock.now()
                ),
            ),
            Route(
                "POST",
                LOGIN + "/oauth2/v2.0/token",
                "microsoft.token",
                lambda call: world.directory.exchange(
                    call.params["tenant"], call.body, world.clock.now()
                ),
            ),
            Route("POST", V1 + r"/\$batch", "microsoft.batch", self._batch),
            Route("GET", V1 + "/users", "microsoft.users.list", self._people(users.read)),
            Route("GET", V1 + "/users/delta", "microsoft.users.delta", self._people(users.delta)),
            Route(
                "GET", V1 + r"/users/delta\(\)", "microsoft.users.delta",
                self._people(users.delta),
            ),
            Route("GET", USER, "microsoft.users.get", self._people(users.get)),
            Route(
                "GET", USER + "/calendars", "microsoft.calendars.list",
                self._in(self.calendars.list),
            ),
            Route(
                "POST", USER + "/calendars", "microsoft.calendars.create",
                self._in(self.calendars.make),
            ),
            Route(
                "DELETE", USER + "/calendars/{calendar}", "microsoft.calendars.delete",
                self._in(self.calendars.delete),
            ),
            Route(
                "GET", V1 + "/groups", "microsoft.groups.list", self._people(groups.read, GROUPS)
            ),
            Route(
                "GET", V1 + "/groups/{group}/transitiveMembers", "microsoft.groups.members",
                self._people(groups.transitive, GROUPS),
            ),
            Route(
                "GET", USER + "/calendars/{calendar}", "microsoft.calendars.get",
                self._in(self._folder),
            ),
            Route("GET", USER + "/calendar", "microsoft.calendars.get", self._in(self._folder)),
            Route(
                "POST", USER + "/calendar/getSchedule", "microsoft.schedule.get",
                self._in(self.schedules.answer, reads=True),
            ),
            *self._subscription_routes(),
        ]  # fmt: skip
        for middle in CALENDARS_OF:
            routes += self._routes_of(USER + middle)
        self.service = Service(
            "microsoft",
            routes,
            clock=world.clock,
            faults=faults,
            log=log,
            identify=lambda call: self.traffic.mailbox_of(call.path),
            expire=lambda call: world.directory.forget(call.bearer),
            failure=error_body,
            finish=self._finish,
            traffic=self.traffic,
            before=world.subscriptions.prove,
        )
        self._batches = Batch(self.service, self.traffic, lambda: world.directory.graph_root)

    def _routes_of(self, base: str) -> list[Route]:
        events, event = base + "/events", base + "/events/{event}"
        view = base + "/calendarView"
        inside = self._in
        return [
            # A function is called with its brackets, or without them.
            Route("GET", view + "/delta", "microsoft.events.delta", inside(self._read_delta)),
            Route("GET", view + r"/delta\(\)", "microsoft.events.delta", inside(self._read_delta)),
            Route("GET", view, "microsoft.events.view", inside(self._read_view)),
            Route("GET", events, "microsoft.events.find", inside(self._find)),
            Route("POST", events, "microsoft.events.create", inside(self._create)),
            Route("GET", event, "microsoft.events.get", inside(self._get)),
            Route("PATCH", event, "microsoft.events.update", inside(self._update)),
            Route("DELETE", event, "microsoft.events.delete", inside(self._delete)),
            Route(
                "GET", event + "/instances", "microsoft.events.instances", inside(self._instances)
            ),
        ]

    def _subscription_routes(self) -> list[Route]:
        held, one = self.world.subscriptions, PATH + "/{subscription}"
        rows = [
            ("POST", PATH, "create", held.create),
            ("GET", PATH, "list", held.list),
            ("GET", one, "get", held.get),
            ("PATCH", one, "update", held.update),
            ("DELETE", one, "delete", held.delete),
            ("POST", one + "/reauthorize", "reauthorize", held.reauthorize),
        ]
        return [
            Route(verb, path, f"microsoft.subscriptions.{name}", self._signed(handler))
            for verb, path, name, handler in rows
        ]

    # Who asks, and may they

    def _check_token(self, call: Call) -> None:
        if not self.world.directory.valid(call.bearer, self.world.clock.now()):
            known = call.bearer in self.world.directory.grants
            message = "Lifetime validation failed, the token is expired."
            if not known:
                message = "Access token is empty." if not call.bearer else "Invalid token."
            raise GraphError(
                401, "InvalidAuthenticationToken", message, {"www-authenticate": CHALLENGE}
            )

    def _signed(self, handler: Handler) -> Handler:
        def answer(call: Call) -> Reply:
            self._check_token(call)
            return handler(call)

        return answer

    def _people(self, handler: Handler, role: str = USERS) -> Handler:
        def answer(call: Call) -> Reply:
            self._check_token(call)
            if role not in self.world.directory.roles:
                raise GraphError(
                    403,
                    "Authorization_RequestDenied",
                    "Insufficient privileges to complete the operation.",
                )
            return handler(call)

        return answer

    def _in(self, handler: Callable[[Call, Mailbox], Reply], *, reads: bool = False) -> Handler:
        """Wrap a handler in what every call for a mailbox meets first."""

        def answer(call: Call) -> Reply:
            self._check_token(call)
            reading = reads or call.method == "GET"
            enough = {CALENDARS, READ_CALENDARS} if reading else {CALENDARS}
            if not enough & self.world.directory.roles:
                raise GraphError(403)
            try:
                mailbox = self.world.account(call.params["user"])
            except KeyError:
                raise self._nobody(call) from None
            if mailbox.state != "ok":
                status, code, message = STATES[mailbox.state]
                if code == "ErrorInvalidUser":
                    raise self._nobody(call)
                raise GraphError(status, code, message)
            prefers(call)
            return handler(call, mailbox)

        return answer

    def _nobody(self, call: Call) -> GraphError:
        user = call.params["user"]
        if "@" in user:
            return GraphError(
                404, "ErrorInvalidUser", f"The requested user '{user[:60]}' is invalid."
            )
        return GraphError(404, "ResourceNotFound", "Resource could not be discovered.")

    def _batch(self, call: Call) -> Reply:
        self._check_token(call)
        return self._batches.answer(call)

    def _finish(self, call: Call, reply: Reply) -> None:
        """Add what every answer carries: who it is for, when, and what was honoured."""
        self._answered += 1
        request_id = str(uuid.UUID(int=self.world.seed << 96 | self._answered))
        client_id = call.headers.get("client-request-id", request_id)
        now = self.world.clock.now()
        reply.headers = {
            "request-id": request_id,
            "client-request-id": client_id,
            **reply.headers,
        }
        if reply.status < 400 and "prefer" in call.headers:
            applied = prefers(call).applied
            if applied:
                reply.headers["preference-applied"] = applied
        error = reply.body.get("error") if isinstance(reply.body, dict) else None
        if isinstance(error, dict):
            inner = {
                "date": f"{now:%Y-%m-%dT%H:%M:%S}",
                "request-id": request_id,
                "client-request-id": client_id,
            }
            reply.body = {"error": {**error, "innerError": inner}}

    # What is asked for

    def _calendar(self, call: Call, mailbox: Mailbox) -> Folder:
        wanted = call.params.get("calendar")
        if wanted is None:
            return mailbox.primary
        try:
            return mailbox.calendars[wanted]
        except KeyError:
            raise GraphError(404) from None

    def _found(self, call: Call, mailbox: Mailbox) -> tuple[Version, Instance | None]:
        try:
            version, day = mailbox.find(call.params["event"], immutable=prefers(call).immutable)
        except KeyError:
            raise GraphError(404) from None
        if day is None and self.world.has_no_master(mailbox, version):
            raise GraphError(404)
        if "calendar" in call.params and version.folder != self._calendar(call, mailbox).number:
            raise GraphError(404)
        return version, version.instance(day) if day else None

    def _horizon(self, mailbox: Mailbox) -> int:
        if not self.world.lag_seconds:
            return mailbox.seq
        return mailbox.horizon(self.world.clock.now() - timedelta(seconds=self.world.lag_seconds))

    def _lagging(
        self, call: Call, mailbox: Mailbox, row: tuple[Version, Instance | None]
    ) -> tuple[Version, Instance | None]:
        """Return an event as reads see it, which may be as it was some time ago."""
        if not self.world.lag_seconds:
            return row
        version, instance = row
        old = mailbox.at(version.key, self._horizon(mailbox))
        if old is None or not old.live:
            raise GraphError(404)
        if instance is None:
            return old, None
        earlier = old.instance(instance.day)
        if earlier is None:
            raise GraphError(404)
        return old, earlier

    # Reading

    def _folder(self, call: Call, mailbox: Mailbox) -> Reply:
        check_options(call, frozenset({"$select"}))
        context = f"{self.world.directory.graph_root}/v1.0/$metadata#users/calendar"
        written = calendar_json(mailbox, self._calendar(call, mailbox))
        return Reply(200, {"@odata.context": context, **written})

    def _read_delta(self, call: Call, mailbox: Mailbox) -> Reply:
        folder = self._calendar(call, mailbox)
        return self._delta.answer(call, mailbox, folder, self._horizon(mailbox))

    def _read_view(self, call: Call, mailbox: Mailbox) -> Reply:
        folder = self._calendar(call, mailbox)
        return self._views.view(call, mailbox, folder, self._horizon(mailbox))

    def _find(self, call: Call, mailbox: Mailbox) -> Reply:
        folder = self._calendar(call, mailbox)
        return self._views.find(call, mailbox, folder, self._horizon(mailbox))

    def _get(self, call: Call, mailbox: Mailbox) -> Reply:
        row = self._lagging(call, mailbox, self._found(call, mailbox))
        return self._views.one(call, mailbox, row)

    def _instances(self, call: Call, mailbox: Mailbox) -> Reply:
        row = self._lagging(call, mailbox, self._found(call, mailbox))
        return self._views.instances(call, mailbox, row)

    # Writing

    def _create(self, call: Call, mailbox: Mailbox) -> Reply:
        check_options(call, frozenset())
        sent = read_body(call)
        folder = self._calendar(call, mailbox)
        writes.check_names(sent, creating=True)
        fields = {**writes.blank(mailbox), **writes.read_fields(sent)}
        properties = writes.read_properties(sent)
        self._check_zones(sent)
        span = read_span(sent)
        fields["recurrence"], span = writes.settled(sent.get("recurrence"), span)
        call.mail_risk = bool(fields["attendees"])
        transaction = fields.get("transactionId")
        known = self.world.remembered(mailbox, transaction) if transaction else None
        if known is not None and self.world.duplicate_transaction == "refuse":
            raise GraphError(
                409, "ErrorDuplicateTransactionId", "Your request can't be completed: it was made."
            )
        version = known or self.world.create(mailbox, folder.number, fields, span, properties)
        if transaction and known is None:
            self.world.remember(mailbox, transaction, version)
        return self._written(call, mailbox, version, None, 201)

    def _update(self, call: Call, mailbox: Mailbox) -> Reply:
        check_options(call, frozenset())
        version, instance = self._found(call, mailbox)
        _check_match(call, version)
        sent = read_body(call)
        self._check_zones(sent)
        self._note_mail(call, mailbox, version, sent)
        day = instance.day if instance else None
        changed = update.patch(self.world, mailbox, version, day, sent)
        return self._written(call, mailbox, changed, day, 200)

    def _delete(self, call: Call, mailbox: Mailbox) -> Reply:
        check_options(call, frozenset())
        version, instance = self._found(call, mailbox)
        _check_match(call, version)
        self._note_mail(call, mailbox, version, {})
        self.world.remove(mailbox, version, instance.day if instance else None)
        return Reply(204)

    def _check_zones(self, sent: Json) -> None:
        """Refuse zones that this server does not know."""
        for which in ("start", "end"):
            value = sent.get(which)
            if isinstance(value, dict) and value.get("timeZone") in self.world.unknown_zones:
                raise GraphError(400, "TimeZoneNotSupportedException", "Unknown time zone.")

    def _note_mail(self, call: Call, mailbox: Mailbox, version: Version, sent: Json) -> None:
        guests = bool(version.fields["attendees"]) and is_organizer(mailbox, version.fields)
        call.mail_risk = guests or bool(sent.get("attendees"))

    def _written(
        self, call: Call, mailbox: Mailbox, version: Version, day: Any, status: int
    ) -> Reply:
        if prefers(call).minimal:
            return Reply(204)
        row = version, version.instance(day) if day else None
        reply = self._views.one(call, mailbox, row)
        return Reply(status, reply.body)


def _check_match(call: Call, version: Version) -> None:
    wanted = call.headers.get("if-match")
    if wanted not in (None, "*", version.etag):
        raise GraphError(412)
