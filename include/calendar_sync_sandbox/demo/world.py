"""What people do in Welkin and their calendars, and see there: the sandbox's control API.

The one exception is the schedule, which is read as any client of Welkin would read it.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

#: How people call the calendar systems, by the names that the sandbox and the mapping use.
PLATFORMS = {"google": "Google", "microsoft": "Microsoft"}

#: How the external ids of our blocks begin.
BLOCK_PREFIX = "calsync-"


#: Seconds without a byte of an answer. The sandbox serves the sync meanwhile, one request after
#: the other, and counting what there is takes a busy machine long.
SILENCE = 300


class WorldError(RuntimeError):
    """The sandbox refused a request (with this HTTP status) or did not answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class User:
    """A member of staff with one mailbox; a person with two mailboxes is two of these."""

    welkin_id: str
    email: str
    time_zone: str
    account: str
    platform: str = "google"


@dataclass(frozen=True)
class Slot:
    """A time in whole minutes, UTC."""

    start: datetime
    end: datetime

    def __add__(self, shift: timedelta) -> Slot:
        """The same slot, later."""
        return Slot(self.start + shift, self.end + shift)

    def body(self) -> dict[str, str]:
        """As the control API takes it."""
        return {"start": _stamp(self.start), "end": _stamp(self.end)}

    def covers(self, start: str, end: str) -> bool:
        """Whether these two stamps, of any precision and zone, mean this slot; days never do."""
        # Days have no zone, and what has none equals no moment.
        return _parse(start) == self.start and _parse(end) == self.end


@dataclass(frozen=True)
class Booking:
    """An encounter with its appointment."""

    encounter_id: str
    event_id: str


class World:
    """All sides of the sandbox in `folder`, where it left its address and certificate."""

    def __init__(self, folder: Path) -> None:
        self.root = str(json.loads((folder / "sandbox.json").read_text())["root"])
        self.connections: dict[str, dict[str, Any]] = json.loads(
            (folder / "connections.json").read_text()
        )
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(
                context=ssl.create_default_context(cafile=str(folder / "ca.pem"))
            ),
        )
        self._welkin_token = ""

    def users(self, platform: str = "google") -> list[User]:
        """All members of staff who have a mailbox on a platform."""
        return [
            User(
                welkin_id=entry["welkin_user_id"],
                email=entry["email"],
                time_zone=entry["time_zone"],
                account=entry[f"{platform}_account"],
                platform=platform,
            )
            for entry in self._control("GET", "/users")
            if entry[f"{platform}_account"]
        ]

    def canaries(self) -> list[str]:
        """Patient data that would be recognised anywhere."""
        return [str(canary) for canary in self._control("GET", "/canaries")]

    def summary(self) -> dict[str, int]:
        """Counts of users, mirrors (of each platform, too), blocks, duplicates, canary leaks."""
        return {name: int(count) for name, count in self._control("GET", "/summary").items()}

    def made(self) -> dict[str, int]:
        """How many mirrors and blocks were asked for so far: cheap, for showing that it goes on."""
        counts = self._control("GET", "/requests/counts")
        mirrors = ("google.events.insert", "microsoft.events.create")
        return {
            "mirrors": sum(counts.get(kind, 0) for kind in mirrors),
            "blocks": counts.get("welkin.events.create", 0),
        }

    # --- Welkin -------------------------------------------------------------

    def templates(self) -> list[str]:
        """Names of encounter templates."""
        return [str(name) for name in self._control("GET", "/welkin/templates")]

    def book(self, host: User, slot: Slot, template: str) -> Booking:
        """Book an encounter with some patient."""
        answer = self._control(
            "POST",
            "/welkin/encounters",
            {"host_id": host.welkin_id, "template": template, **slot.body()},
        )
        return Booking(answer["encounter_id"], answer["event_id"])

    def reschedule(self, booking: Booking, slot: Slot) -> None:
        """Move an appointment in Welkin."""
        self._control("POST", f"/welkin/events/{booking.event_id}/move", slot.body())

    def hand_over(self, booking: Booking, host: User) -> None:
        """Give an appointment to another host."""
        self._control(
            "POST", f"/welkin/events/{booking.event_id}/host", {"host_id": host.welkin_id}
        )

    def cancel(self, booking: Booking) -> None:
        """Cancel an encounter."""
        self._control("POST", f"/welkin/encounters/{booking.encounter_id}/cancel", {})

    def uncancel(self, booking: Booking) -> None:
        """Take the cancellation back."""
        self._control("POST", f"/welkin/encounters/{booking.encounter_id}/uncancel", {})

    def unavailable(self, user: User, slot: Slot) -> list[dict[str, Any]]:
        """The entries of exactly this time in a user's schedule, read with a client's token."""
        connection = self.connections["welkin_default"]
        extra = connection["extra"]
        query = urlencode(
            {"psmIds": user.welkin_id, "from": _stamp(slot.start), "to": _stamp(slot.end)}
        )
        path = f"/{extra['tenant']}/{extra['instance']}/calendar/psm-schedules?{query}"
        address = f"{connection['host']}{path}"
        try:
            schedules = self._request("GET", address, None, self._welkin_authorization())
        except WorldError as error:
            if error.status != 401:
                raise
            # A token lives for an hour; on a slow machine the story takes longer.
            self._welkin_token = ""
            schedules = self._request("GET", address, None, self._welkin_authorization())
        return [
            event
            for schedule in schedules
            for event in schedule["events"]
            if slot.covers(event["startDateTime"], event["endDateTime"])
        ]

    def _welkin_authorization(self) -> dict[str, str]:
        if not self._welkin_token:
            connection = self.connections["welkin_default"]
            extra = connection["extra"]
            path = extra.get("token_path") or "/{tenant}/admin/api_clients/{client}"
            path = path.format(tenant=extra["tenant"], client=quote(connection["login"]))
            answer = self._request(
                "POST", f"{connection['host']}{path}", {"secret": connection["password"]}, {}
            )
            self._welkin_token = str(answer["token"])
        return {"Authorization": f"Bearer {self._welkin_token}"}

    def blocks(self, user: User) -> int:
        """How many blocks of ours a user has in Welkin, from whichever calendar."""
        leave = self._control("GET", f"/welkin/blocks?{urlencode({'user_id': user.welkin_id})}")
        return sum((entry["externalId"] or "").startswith(BLOCK_PREFIX) for entry in leave)

    # --- Calendars, the same on each platform -------------------------------

    def mirrors(self, user: User, slot: Slot) -> list[dict[str, Any]]:
        """Our events of exactly this time in a user's calendar."""
        return [
            seen
            for seen in self._control("GET", f"{_mailbox(user)}/glimpses")
            if seen["marker"] is not None and slot.covers(seen["start"], seen["end"])
        ]

    def events(self, user: User, slot: Slot) -> list[dict[str, Any]]:
        """All events of exactly this time in a user's calendar, ours or not."""
        body = slot.body()
        query = urlencode({"from": body["start"], "to": body["end"]})
        return [
            seen
            for seen in self._control("GET", f"{_mailbox(user)}/expanded?{query}")
            if slot.covers(seen["start"], seen["end"])
        ]

    def plan_privately(self, user: User, slot: Slot, title: str) -> str:
        """Put a personal event into a user's calendar and return its id."""
        answer = self._control("POST", f"{_mailbox(user)}/plan", {"title": title, **slot.body()})
        return str(answer["id"])

    def drag(self, user: User, event_id: str, slot: Slot) -> None:
        """Move an event by hand in a user's calendar."""
        path = f"{_mailbox(user)}/events/{quote(event_id, safe='')}/move"
        self._control("POST", path, slot.body())

    def revoke(self, user: User) -> None:
        """Take our access to a user's calendar away."""
        self._control("POST", f"{_mailbox(user)}/revoke", {})

    def restore(self, user: User) -> None:
        """Give the access back."""
        self._control("POST", f"{_mailbox(user)}/restore", {})

    # --- Notices ------------------------------------------------------------

    def trust_for_notices(self, authority: Path) -> None:
        """Whose certificates the senders of notices trust."""
        self._control("POST", "/push", {"trust": str(authority)})

    def listening(self, user: User) -> bool:
        """Whether changes of a user's calendar are told, to an address that has answered.

        Microsoft asks it before there is a subscription, Google sends a first message after.
        """
        if user.platform == "microsoft":
            return bool(self._channels(user))
        return self.told(user) > 0

    def told(self, user: User) -> int:
        """How many notices about a user's calendar were taken at their address."""
        channels = self._channels(user)
        return sum(
            delivery["outcome"] == "delivered" and not channels.isdisjoint(_named(delivery))
            for delivery in self._control("GET", "/push/deliveries")
        )

    def _channels(self, user: User) -> frozenset[str]:
        kind = {"google": "channels", "microsoft": "subscriptions"}[user.platform]
        return frozenset(
            str(channel["id"])
            for channel in self._control("GET", f"/{user.platform}/{kind}")
            if channel["account"].lower() == user.account.lower()
        )

    # --- Wire ---------------------------------------------------------------

    def wait_ready(self, patience: float = SILENCE) -> None:
        """Wait until the sandbox answers.

        Raises:
            WorldError: it does not.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                self._control("GET", "/health")
                return
            except WorldError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _control(self, method: str, path: str, body: object = None) -> Any:
        return self._request(method, f"{self.root}/_sandbox{path}", body, {})

    def _request(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own server
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        # The path only: a query may name a person.
        place = f"{method} {request.selector.partition('?')[0]}"
        try:
            with self._opener.open(request, timeout=SILENCE) as response:
                content = response.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            error.close()
            raise WorldError(f"{place}: {error.code}", error.code) from None
        except (OSError, ValueError) as error:
            raise WorldError(f"{place}: {error}") from error


def _mailbox(user: User) -> str:
    return f"/{user.platform}/accounts/{quote(user.account)}"


def _named(delivery: Mapping[str, Any]) -> list[str]:
    """The channels, or the subscriptions, that a notice was about."""
    return str(delivery["target"]).split(",")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(text: str) -> datetime:
    return datetime.fromisoformat(text)
