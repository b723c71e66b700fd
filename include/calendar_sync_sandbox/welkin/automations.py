"""Webhooks of the Welkin double: made by hand in Designer, sent when something happens.

What is sent, and that it may come twice 19 ms apart, is as recorded at receivers in 2022: one
compact object without null values, no signature, the static headers and query parameters from
Admin → Integrations → Webhooks. It names the item and nothing of the change.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calendar_sync_sandbox.outbox import Outbox
    from calendar_sync_sandbox.welkin.records import Encounter, Event, Json

HEADERS = {
    "content-type": "application/json",
    "accept": "text/plain, application/xml, text/xml, application/json, application/*+xml, "
    "application/*+json, */*",
    "user-agent": "Apache-HttpClient/4.5.13 (Java/11.0.16)",
}
CALENDAR = tuple(f"CALENDAR_EVENT_{verb}" for verb in ("CREATED", "UPDATED", "DELETED"))
CDT = ("CDT_CREATED", "CDT_UPDATED", "CDT_DELETED")
SUBTYPES = frozenset((*CALENDAR, *CDT))
ENCOUNTERS = "__encounter__"
APART = 0.019
#: What the button "Test webhook" sends in place of values.
PLACEHOLDERS = {
    "sourceId": "SOURCE_ID",
    "eventSubtype": "EVENT_SUBTYPE",
    "patientId": "PATIENT_ID",
    "eventEntity": "EVENT_ENTITY",
    "sourceName": "SOURCE_NAME",
    "url": "URL",
}


@dataclass(slots=True)
class Automation:
    """One webhook and when it is sent; inactive until somebody activates it, as in Admin."""

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    subtypes: frozenset[str] = frozenset(CALENDAR)
    active: bool = False

    def as_json(self) -> Json:
        """Describe it for the control API, without the values of its headers and parameters."""
        return {
            "name": self.name,
            "url": self.url,
            "headers": sorted(self.headers),
            "query": sorted(self.query),
            "subtypes": sorted(self.subtypes),
            "active": self.active,
        }


class Automations:
    """All webhooks of a tenant.

    Attributes:
        all: webhooks by name.
        double: share of what is sent twice.
    """

    def __init__(self, outbox: Outbox, seed: int, tenant: str, instance: str) -> None:
        """Start without a webhook."""
        self.outbox = outbox
        self.random = random.Random(f"automations-{seed}")  # noqa: S311 - reproducible, not secret
        self.tenant = tenant
        self.instance = instance
        self.all: dict[str, Automation] = {}
        self.double = 0.3

    def make(
        self,
        name: str,
        url: str,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        subtypes: Iterable[str] = CALENDAR,
        *,
        active: bool = True,
    ) -> Automation:
        """Make a webhook, or another one in its place, as a person does by hand.

        Args:
            name: its name in Designer.
            url: where to; http only where the outbox allows it.
            headers: static headers, among them a secret.
            query: static parameters.
            subtypes: what it is sent for.
            active: whether it was activated.

        Raises:
            ValueError: for an address or a subtype that cannot be.
        """
        schemes = ("https", "http") if self.outbox.allow_http else ("https",)
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"not an address: {url[:200]}")
        wanted = frozenset(subtypes)
        if not wanted <= SUBTYPES:
            raise ValueError(f"unknown subtypes: {sorted(wanted - SUBTYPES)}")
        made = Automation(name, url, headers or {}, query or {}, wanted, active)
        self.all[name] = made
        return made

    def tell_event(self, verb: str, event: Event) -> None:
        """Say that a calendar event was created, updated or deleted."""
        if self.all:
            kind = event.type or "APPOINTMENT"
            self._tell("CALENDAR", f"CALENDAR_EVENT_{verb}", event.id, kind, event.patient_id)

    def tell_encounter(self, verb: str, encounter: Encounter) -> None:
        """Say the same of an encounter."""
        if self.all:
            self._tell("CDT", f"CDT_{verb}", encounter.id, ENCOUNTERS, encounter.patient_id)

    def test(self, name: str) -> None:
        """Press "Test webhook": placeholders are sent, whether or not it is active."""
        one = self.all[name]
        body = {**PLACEHOLDERS, "tenantName": self.tenant, "instanceName": self.instance}
        self._send(one, "TEST", body)

    def _tell(self, entity: str, subtype: str, source: str, kind: str, patient: str | None) -> None:
        body = {
            "eventEntity": entity,
            "eventSubtype": subtype,
            "instanceName": self.instance,
            **({"patientId": patient} if patient else {}),
            "sourceId": source,
            "sourceName": kind,
            "tenantName": self.tenant,
        }
        for one in self.all.values():
            if one.active and subtype in one.subtypes:
                self._send(one, subtype, body)
                if self.random.random() < self.double:
                    self._send(one, subtype, body, APART)

    def _send(self, one: Automation, subtype: str, body: Json, delay: float = 0.0) -> None:
        url = one.url
        if one.query:
            url += ("&" if urlsplit(url).query else "?") + urlencode(one.query)
        raw = json.dumps(body, separators=(",", ":")).encode()
        headers = {**HEADERS, **one.headers}
        self.outbox.add("welkin", subtype, one.name, url, headers, raw, delay)
