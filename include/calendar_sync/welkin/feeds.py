"""Rows of the export and audit feeds: a whitelist of keys is read, everything else dropped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from calendar_sync.model import Encounter, WelkinEvent
from calendar_sync.unreadable import note
from calendar_sync.welkin.parse import Unreadable, parse_encounter, parse_event, text

Row = TypeVar("Row")
EVENT_DELETED = "CALENDAR_EVENT_DELETED"
RECORD_DELETED = "CDT_DELETED"
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class FeedPage(Generic[Row]):
    """One page: readable rows, where to go on, and whether more is known to follow."""

    rows: tuple[Row, ...]
    end: str
    more: bool
    size: int


@dataclass(frozen=True)
class EventRow:
    """A changed calendar event; where it could not be read, `event` is None and the host known."""

    id: str
    updated_at: str
    event: WelkinEvent | None
    host_id: str | None = None


@dataclass(frozen=True)
class EncounterRow:
    """A changed encounter with an appointment, and the users of that appointment."""

    encounter: Encounter
    updated_at: str
    user_ids: frozenset[str]


def event_row(row: Any) -> EventRow | None:
    """A row of `export/CALENDAR_EVENT`."""
    if not isinstance(row, Mapping) or not text(row.get("id")):
        return None
    event = None
    try:
        event = parse_event(row, _UTC)
    except Unreadable:
        pass
    except Exception as bug:
        note(bug, "welkin event", row)
    updated = text(row.get("updatedAt")) or ""
    return EventRow(str(row["id"]), updated, event, text(row.get("hostId")))


def encounter_row(row: Any) -> EncounterRow | None:
    """A row of `export/ENCOUNTER`."""
    try:
        encounter = parse_encounter(row)
    except Exception as bug:
        note(bug, "welkin encounter", row)
        return None
    if encounter is None:
        return None
    body = row["jsonBody"]
    try:
        users = parse_event(body.get("currentScheduledAppointment"), _UTC).user_ids
    except Exception as error:
        if not isinstance(error, Unreadable):
            note(error, "welkin encounter", row)
        owner = text(body.get("ownerUserId"))
        users = frozenset({owner} if owner else ())
    updated = text(row.get("updatedAt")) or text(body.get("updated_at")) or ""
    return EncounterRow(encounter, updated, users)


def deleted_id(row: Any, kind: str) -> str | None:
    """The item of an audit row about a deletion of this kind.

    The row's shape is not documented: the id is looked for under the names that the webhook audit
    uses, at the top and inside `record`.
    """
    if not isinstance(row, Mapping):
        return None
    record = row.get("record")
    places = [row, record if isinstance(record, Mapping) else {}]
    kinds = [place.get(key) for place in places for key in ("eventSubtype", "subtype", "action")]
    if kind not in kinds:
        return None
    for place in places:
        for key in ("sourceId", "entityId", "objectId"):
            if found := text(place.get(key)):
                return found
    return None
