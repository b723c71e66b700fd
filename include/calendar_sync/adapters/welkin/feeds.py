"""Rows of the export and audit feeds: a whitelist of keys is read, everything else dropped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from calendar_sync.adapters.welkin.parse import UnreadableObject, parse_encounter, parse_event, text
from calendar_sync.core.model import Encounter, WelkinEvent
from calendar_sync.core.unreadable import note

Row = TypeVar("Row")
EVENT_DELETED = "CALENDAR_EVENT_DELETED"
RECORD_DELETED = "CDT_DELETED"
# Other names for the same, should the audit of some tenant have them.
DELETED_WORDS = frozenset({"DELETE", "DELETED", "EVENT_DELETED", "RECORD_DELETED"})
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
    """A changed encounter with an appointment, and the users of that appointment.

    Of one that is `unreadable` no more than its own id is known.
    """

    encounter: Encounter
    updated_at: str
    user_ids: frozenset[str]
    unreadable: bool = False


def event_row(row: Any) -> EventRow | None:
    """A row of `export/CALENDAR_EVENT`."""
    if not isinstance(row, Mapping) or not text(row.get("id")):
        return None
    event = None
    try:
        event = parse_event(row, _UTC)
    except UnreadableObject:
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
        encounter_id = note(bug, "welkin encounter", row)
        nothing = Encounter("", encounter_id, None, "")
        return EncounterRow(nothing, "", frozenset(), unreadable=True) if encounter_id else None
    if encounter is None:
        return None
    body = row["jsonBody"]
    try:
        users = parse_event(body.get("currentScheduledAppointment"), _UTC).user_ids
    except Exception as error:
        if not isinstance(error, UnreadableObject):
            note(error, "welkin encounter", row)
        owner = text(body.get("ownerUserId"))
        users = frozenset({owner} if owner else ())
    updated = text(row.get("updatedAt")) or text(body.get("updated_at")) or ""
    return EncounterRow(encounter, updated, users)


class Deletions(set[str]):
    """Ids of what was deleted. `unreadable`: something was, and what cannot be told."""

    unreadable = False


def deletions(rows: Iterable[Any], kind: str) -> Deletions:
    """What rows of the audit say of deletions of this kind."""
    found = Deletions()
    for row in rows:
        try:
            if item := deleted_id(row, kind):
                found.add(item)
            elif any(kind in said or said in DELETED_WORDS for said in _kinds(row)):
                found.unreadable = True
        except Exception as bug:
            note(bug, "welkin audit", row)
            found.unreadable = True
    return found


def _kinds(row: Any) -> list[str]:
    """What a row says that was done, in all the places where it may say so."""
    keys = ("eventSubtype", "subtype", "action")
    said = [place.get(key) for place in _places(row) for key in keys]
    return [each for each in said if isinstance(each, str)]


def _places(row: Any) -> list[Mapping[str, Any]]:
    """The row itself, and the record inside of it."""
    places = [row, row.get("record")] if isinstance(row, Mapping) else []
    return [place for place in places if isinstance(place, Mapping)]


def deleted_id(row: Any, kind: str) -> str | None:
    """The item of an audit row about a deletion of this kind.

    The row's shape is not documented: the id is looked for under the names that the webhook audit
    uses, at the top and inside `record`.
    """
    if not isinstance(row, Mapping):
        return None
    if kind not in _kinds(row):
        return None
    for place in _places(row):
        for key in ("sourceId", "entityId", "objectId"):
            if found := text(place.get(key)):
                return found
    return None
