"""Ids that we choose and keyed hashes of content: the same input gives the same text for ever.

All are HMAC-SHA256 under the organisation's key (connection `calendar_sync_hmac_key`), so that
without the key, guesses about the content cannot be tested. The key decides every id that we make:
a changed key would make every existing mirror foreign, hence it is made once by
`calendar-sync init` and never rotated in place.
"""

import base64
import hashlib
import hmac
import re

from calendar_sync.core.boundary import Hidden
from calendar_sync.core.ical_uid import same_everywhere
from calendar_sync.core.model import (
    GUESTS,
    Appointment,
    Availability,
    CalendarEvent,
    Encounter,
    Platform,
    Row,
    Source,
    Span,
    WelkinEvent,
)

MARKER = "calendarSync"
# How often an item may be created again.
GENERATIONS = 20
EXTERNAL_ID_PREFIX = "calsync-"
# Items of `calendar-sync selftest` are no blocks and no mirrors: they have other marks.
TEST_PROPERTY = "calendarSyncTest"
TEST_PREFIX = "synctest-"
TEST_TITLE = "Calendar sync test"
_MIRROR_KEY = re.compile(r"(?=.*[g-v])[0-9a-v]{32}")
# Of an event in Welkin; whether it is cancelled counts anyway.
_USUAL = frozenset({"", "SCHEDULED", "CANCELLED", "CANCELED", "COMPLETED", "MISSED"})


def made_as_mirror(event: Row) -> bool:
    """We made the event as a mirror, under whatever name its mailbox had: its key has our form.

    Beside our mark that is proof. Whoever copies an event copies its mark, but cannot copy its key;
    ids of Google's and Exchange's have another length or signs, and a UUID has no letter after f.
    """
    return any(_MIRROR_KEY.fullmatch(key) for key in (event.id, event.key or ""))


def derived(key: str, *purpose: str) -> str:
    """Another secret for one purpose, 43 characters; the key cannot be made of it again."""
    text = "\x1f".join(("calendar-sync", *purpose)).encode("utf-8", "surrogatepass")
    made = hmac.new(key.encode(), text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def push_key(organisation_key: str) -> str:
    """The key of the receiver of push notices, from the organisation's."""
    return Hidden(derived(organisation_key, "push"))


class Identity:
    """Makes ids and hashes for one Welkin organisation (`tenant/instance`)."""

    def __init__(self, key: str, organisation: str) -> None:
        self._key = key.encode()
        self._organisation = organisation
        self._tag = self._digest("organisation").hex()[:10]
        self.push_key = push_key(key)

    def _digest(self, *parts: str) -> bytes:
        text = "\x1f".join((self._organisation, *parts))
        # Half a surrogate pair can arrive inside a JSON escape; it must not stop anything.
        raw = text.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, raw, hashlib.sha256).digest()

    def hash(self, *parts: str) -> str:
        """A keyed hash of texts: 32 hexadecimal digits."""
        return self._digest("content", *parts).hex()[:32]

    # --- ids of what we create ----------------------------------------------------------------

    def mirror_id(
        self, platform: Platform, user_id: str, account: str, event_id: str, generation: int
    ) -> str:
        """The key of a mirror: 32 characters of base32hex.

        Google takes it as the event's id, Microsoft as the `transactionId` of its creation.
        """
        parts = ("mirror", platform, user_id, account, event_id, str(generation))
        return base64.b32hexencode(self._digest(*parts)[:20]).decode().lower()

    def block_external_id(
        self,
        platform: Platform,
        user_id: str,
        account: str,
        calendar: str,
        source: Source,
        generation: int,
    ) -> str:
        """The `externalId` of a block in Welkin: our prefix and 24 hexadecimal digits."""
        parts = ("block", platform, user_id, account, calendar, source.id, source.original_start)
        return EXTERNAL_ID_PREFIX + self._digest(*parts, str(generation)).hex()[:24]

    def marker(self, user_id: str, event_id: str) -> str:
        """The private property of a mirror: tells that it is ours, and of which appointment."""
        return f"{self._tag}.{self._digest('marker', user_id, event_id).hex()[:24]}"

    def is_ours(self, marker: str | None) -> bool:
        """The marker was written by this organisation's sync."""
        return marker is not None and marker.split(".")[0] == self._tag

    def event_uid(self, event: CalendarEvent) -> str:
        """Names an external event wherever it stands (its iCalUID, hashed); empty for none.

        All occurrences of a series have the same, in all calendars.
        """
        uid = same_everywhere(event.ical_uid or "")
        return self._digest("event", uid).hex()[:32] if uid else ""

    # --- what a test of the sync makes --------------------------------------------------------

    def test_mark(self, user_id: str) -> str:
        """Tells everything that tests of this user's sync have made, on either side."""
        return f"{TEST_PREFIX}{self._tag}-{self._digest('test', user_id).hex()[:16]}"

    def test_title(self, user_id: str) -> str:
        """A neutral and unique title, for systems that store no mark."""
        return f"{TEST_TITLE} {self._digest('test title', user_id).hex()[:10]}"

    def is_test(self, event: WelkinEvent, user_id: str) -> bool:
        """A test of this user's sync has made the event, by its mark, or where that got lost."""
        if event.external_id:
            return event.external_id.startswith(self.test_mark(user_id))
        return event.title == self.test_title(user_id) and event.host_id == user_id

    # --- hashes of content --------------------------------------------------------------------

    def mirror_hash(
        self,
        title: str,
        description: str,
        span: Span,
        location: str = "",
        *,
        tentative: bool = False,
    ) -> str:
        """The content that we want a mirror to have."""
        shown = (Availability.TENTATIVE,) if tentative else ()
        return self._mirror_hash(title, description, span, location, *shown)

    def event_hash(self, event: CalendarEvent, *, located: bool = True) -> str:
        """The same for an event as read: equal to `mirror_hash` until it is edited.

        Guests are told apart: they are never ours to write (`without_guests`). Nor is the location
        of a mirror for which we have written none: then it is not `located`.
        """
        extra = []
        if not event.private:
            extra.append("public")
        if event.availability is not Availability.BUSY:
            extra.append(event.availability)
        if event.is_master:
            extra.append("series")
        place = event.location if located else ""
        content = self._mirror_hash(event.title, event.description, event.span, place, *extra)
        return content + GUESTS if event.has_attendees else content

    def _mirror_hash(
        self, title: str, description: str, span: Span, location: str, *extra: str
    ) -> str:
        # Calendars keep texts, but not every space and line end as it was sent.
        *words, place = (" ".join(text.split()) for text in (title, description, location))
        # A mirror without a location has the hash that it had before there were any.
        where = (f"at {place}",) if place else ()
        return self.hash("mirror", *words, str(span), *where, *extra)

    def appointment_hash(self, event: WelkinEvent, template: str | None, status: str) -> str:
        """All of an appointment that a mirror may depend on, `updatedAt` excepted."""
        people = sorted(f"{p.first_name}\x1e{p.last_name}" for p in event.patients)
        # The usual words did not count when the first links were stored.
        unusual = () if event.status in _USUAL else (event.status,)
        return self.hash(
            "appointment",
            str(event.span),
            event.kind,
            str(event.cancelled),
            event.host_id or "",
            ",".join(sorted(event.user_ids)),
            "\x1d".join(people),
            event.mode or "",
            event.location or "",
            event.time_zone or "",
            template or "",
            status,
            *unusual,
        )

    def appointment(self, event: WelkinEvent, encounter: Encounter | None) -> Appointment:
        """An event that is a visit, joined with its encounter where that is known."""
        template = encounter.template if encounter else None
        status = encounter.status if encounter else ""
        return Appointment(event, encounter, self.appointment_hash(event, template, status))

    def block_hash(self, event: WelkinEvent) -> str:
        """A block as it stands in Welkin."""
        return self.hash(
            "block",
            str(event.span),
            event.instants,
            (event.title or "").strip(),
            event.kind,
            str(event.cancelled),
            ",".join(sorted(event.user_ids)),
        )
