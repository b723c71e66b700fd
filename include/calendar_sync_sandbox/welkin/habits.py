"""What one tenant of Welkin does and another does not: nothing of it is documented.

A test switches a habit on before it lets anybody write; what was answered earlier stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]
# An offset that no zone has, so that it cannot be mistaken for one.
ODD_OFFSET = timezone(timedelta(hours=3, minutes=17))
TIMES = ("startDateTime", "endDateTime", "createdAt", "updatedAt", "externalIdUpdatedAt")
WORDS = ("eventStatus", "eventType", "eventMode")


@dataclass(slots=True)
class Habits:
    """The switches; all off is what was recorded of real tenants.

    Attributes:
        external_ids: ``kept``; ``refused`` (a write that names one is 400); or ``dropped`` (the
            write works and the id is null).
        external_id_lookup: False makes a read with ``type=EXTERNAL_ID`` 400.
        longest_window: a longer list is 400.
        cuts_windows: a longer list answers only so much of its beginning, without a word.
        refuses_titles: a write of an event with such a title is answered with 500.
        hides: users about whom lists of events answer ``hides_with``.
        sorts: False makes any list or audit read with ``sort`` 400.
        shuffles: lists without ``sort`` come in another order each time.
        overlaps: False refuses (409) an event at a time at which its host has another one.
        omits_nulls: keys without a value are missing.
        extra_keys: objects have unknown keys.
        odd_times: times have an offset and six digits of fraction.
        odd_words: enumerations are written ``in-person`` or ``Group Therapy``.
        overcounts: so many more rows are announced by encounters, users and audit than there are.
        silent_writes: a good PATCH answers 204 without the event.
        unknown_zones: a write that names such a time zone is 400.
        audit_key: under which key the audit names the item.
        same_instant: writes of one moment share one time stamp, as a bulk import's do.
        largest_page: an export shows no more rows at once.
    """

    external_ids: str = "kept"
    external_id_lookup: bool = True
    longest_window: timedelta | None = None
    cuts_windows: timedelta | None = None
    refuses_titles: frozenset[str] = frozenset()
    hides: frozenset[str] = frozenset()
    hides_with: int = 403
    sorts: bool = True
    shuffles: bool = False
    overlaps: bool = True
    omits_nulls: bool = False
    extra_keys: bool = False
    odd_times: bool = False
    odd_words: bool = False
    overcounts: int = 0
    silent_writes: bool = False
    unknown_zones: frozenset[str] = frozenset()
    audit_key: str = "sourceId"
    same_instant: bool = False
    largest_page: int | None = None

    @property
    def writes_oddly(self) -> bool:
        """Answers differ from the usual form."""
        return self.omits_nulls or self.extra_keys or self.odd_times or self.odd_words

    def dialect(self, body: Json) -> Json:
        """Write an event as this tenant does."""
        body = dict(body)
        if self.odd_times:
            for name in TIMES:
                moment = datetime.fromisoformat(body[name])
                body[name] = moment.astimezone(ODD_OFFSET).isoformat(timespec="microseconds")
        if self.odd_words:
            for name in WORDS:
                body[name] = body[name] and body[name].replace("_", " ").title()
        if self.extra_keys:
            body |= {"vendor": None, "series": {"id": 7, "rule": ["daily"]}, "version": 3}
            body["participants"] = [{**row, "pronouns": None} for row in body["participants"]]
        if self.omits_nulls:
            body = _without_nulls(body)
        return body


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
