"""Callers of the Graph double; every answer is held against the types that Microsoft declares."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from calendar_sync_sandbox.microsoft.world import MARKER
from tests.contract.conftest import Answer, Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calendar_sync_sandbox import Sandbox

DANA, RUBEN = "dana.hale@example.org", "ruben.okafor@example.org"
ME = f"/users/{DANA}"
EVENTS = f"{ME}/events"
IMMUTABLE = 'IdType="ImmutableId"'
PREFER = {"prefer": f'{IMMUTABLE}, outlook.timezone="UTC"'}
WINDOW = {"startDateTime": "2026-03-01T00:00:00Z", "endDateTime": "2026-05-01T00:00:00Z"}
EXPAND = {"$expand": f"singleValueExtendedProperties($filter=id eq '{MARKER}')"}
PRIMITIVES: dict[str, tuple[type, str]] = {
    "text": (str, ""),
    "switch": (bool, ""),
    "number": (int, ""),
    "decimal": (float, ""),
    "day": (str, r"\d{4}-\d\d-\d\d"),
    "moment": (str, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z"),
}
LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}")
ANNOTATIONS = frozenset({"@odata.etag", "@odata.context", "@odata.type"})
ENVELOPE = frozenset(
    {"@odata.context", "@odata.nextLink", "@odata.deltaLink", "@odata.count", "value"}
)


# --- The metadata as a judge ---------------------------------------------------


@cache
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("graph_types.json").read_text())
    return found


def faults_of(value: Any, kind: str, place: str = "$") -> list[str]:
    """Name every difference between a value and a declared type."""
    if kind.endswith("?"):
        return [] if value is None else faults_of(value, kind[:-1], place)
    if kind.startswith("["):
        if not isinstance(value, list):
            return [f"{place}: {value!r} is no list"]
        return [
            fault
            for number, each in enumerate(value)
            for fault in faults_of(each, kind[1:-1], f"{place}[{number}]")
        ]
    if kind in PRIMITIVES:
        wanted, pattern = PRIMITIVES[kind]
        right = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if right and (not pattern or re.fullmatch(pattern, value)):
            return []
        return [f"{place}: {value!r} is no {kind}"]
    if kind in facts()["enums"]:
        members = facts()["enums"][kind]
        return [] if value in members else [f"{place}: {value!r} is not among {members}"]
    if not isinstance(value, dict):
        return [f"{place}: {value!r} is no {kind}"]
    declared, found = facts()["types"][kind], []
    for name, inner in value.items():
        if name in ANNOTATIONS:
            continue
        if "*" in declared:
            continue  # an open type
        if name not in declared:
            found.append(f"{place}: {kind} has no {name}")
        else:
            found += faults_of(inner, declared[name], f"{place}.{name}")
    if kind == "dateTimeTimeZone" and not LOCAL.fullmatch(str(value.get("dateTime"))):
        found.append(f"{place}: {value.get('dateTime')!r} has not seven digits")
    return found


def kind_of(path: str) -> str | None:
    """Return the declared type of the rows that a path answers with."""
    tail = path.partition("?")[0].removeprefix("/v1.0").strip("/").split("/")
    if tail[0] == "subscriptions":
        return "subscription"
    if tail[0] != "users":
        return None
    if len(tail) <= 2:
        return "user"
    if {"events", "calendarView"} & set(tail):
        return "event"
    return "calendar"


def judge(path: str, body: Any) -> None:
    """Hold an answer against the metadata."""
    if not isinstance(body, dict) or "error" in body:
        return
    if "responses" in body:
        return
    kind = kind_of(path)
    if kind is None:
        return
    rows = [body]
    if "value" in body:
        assert body.keys() <= ENVELOPE
        assert body["@odata.context"].startswith("https://")
        rows = body["value"]
    for row in rows:
        if "@removed" in row:
            assert row.keys() == {"id", "@removed"}
            assert row["@removed"]["reason"] in ("changed", "deleted")
            continue
        assert row["id"]
        assert faults_of(row, kind) == []


# --- Callers -------------------------------------------------------------------


class Graph(Caller):
    """Calls the API with a token; follows links; judges all that is answered."""

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        /,
        **query: Any,
    ) -> Answer:
        """Call and judge."""
        answer = super().__call__(method, path, body, headers, **query)
        if answer.status < 300:
            judge(path, answer.body)
        elif answer.raw:
            error = answer.body["error"]
            assert error.keys() == {"code", "message", "innerError"}
            assert error["innerError"].keys() == {"date", "request-id", "client-request-id"}
        return answer

    def follow(self, link: str, headers: dict[str, str] | None = None) -> Answer:
        """Call a link that an answer gave."""
        parts = urlsplit(link)
        assert f"{parts.scheme}://{parts.netloc}" == self.sandbox.root
        path = parts.path.removeprefix(self.prefix)
        return self("GET", path, None, headers or PREFER, **dict(parse_qsl(parts.query)))

    def delta(self, link: str | None = None, **headers: str) -> tuple[list[dict[str, Any]], str]:
        """Read a delta to its end: all rows and the link for the next time."""
        rows: list[dict[str, Any]] = []
        answer = (
            self.follow(link, {**PREFER, **headers})
            if link
            else self("GET", f"{ME}/calendarView/delta", None, {**PREFER, **headers}, **WINDOW)
        )
        while True:
            assert answer.status == 200, answer.raw
            rows += answer.body["value"]
            if "@odata.deltaLink" in answer.body:
                return rows, answer.body["@odata.deltaLink"]
            answer = self.follow(answer.body["@odata.nextLink"], {**PREFER, **headers})


def ask_token(sandbox: Sandbox, tenant: str | None = None, **changes: str | None) -> Answer:
    """Ask for a token with the secret; None leaves a field out."""
    directory = sandbox.microsoft.directory
    form = {
        "grant_type": "client_credentials",
        "client_id": directory.client_id,
        "client_secret": directory.client_secret,
        "scope": "https://graph.microsoft.com/.default",
        **changes,
    }
    raw = urlencode({k: v for k, v in form.items() if v is not None}).encode()
    path = f"/{tenant or directory.tenant_id}/oauth2/v2.0/token"
    return Caller(sandbox, "/microsoft/login")("POST", path, raw)


def connect(sandbox: Sandbox) -> Graph:
    """Return a caller with a fresh token."""
    return Graph(sandbox, "/microsoft/v1.0", ask_token(sandbox).body["access_token"])


def event(day: int = 3, hour: int = 10, minutes: int = 60, **fields: Any) -> dict[str, Any]:
    """Return the body of a new event in March 2026."""
    end = hour * 60 + minutes
    return {
        "subject": "Busy",
        "start": {"dateTime": f"2026-03-{day:02d}T{hour:02d}:00:00", "timeZone": "UTC"},
        "end": {
            "dateTime": f"2026-03-{day:02d}T{end // 60:02d}:{end % 60:02d}:00",
            "timeZone": "UTC",
        },
        **fields,
    }


def marker(value: str) -> dict[str, Any]:
    """Return the property that marks a mirror, as a request sends it."""
    return {"singleValueExtendedProperties": [{"id": MARKER, "value": value}]}


def code(answer: Answer) -> tuple[int, str]:
    """Return status and code of an error."""
    return answer.status, answer.body["error"]["code"]
