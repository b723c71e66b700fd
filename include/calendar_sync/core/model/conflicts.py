"""Conflicts: what can happen, what can come of it, and the words for both.

The values are what the database, the API and scripts see.
"""

from enum import StrEnum


class ConflictKind(StrEnum):
    """What happened."""

    MIRROR_MOVED = "mirror_moved"
    MIRROR_EDITED = "mirror_edited"
    MIRROR_DELETED = "mirror_deleted"
    GUESTS_ADDED = "guests_added"
    BOTH_CHANGED = "both_changed"
    BLOCK_EDITED = "block_edited"
    DUPLICATES = "twins"
    SERIES_TOO_LONG = "series_too_long"
    LEFT_IN_ACCOUNT = "left_in_account"
    LEFT_BY_DIRECTION = "left_by_direction"
    VISIT_OVER_BUSY = "visit_over_busy"

    @property
    def label(self) -> str:
        """A few words, for lists."""
        return _KINDS[self][0]

    @property
    def happened(self) -> str:
        """A sentence."""
        return _KINDS[self][1]

    @property
    def hint(self) -> str:
        """What you can do besides the choices on the page: a sentence, or nothing."""
        return _KINDS[self][2]


class ConflictDecision(StrEnum):
    """What came of it."""

    RESTORED = "restored"
    REPORTED = "reported"
    PARKED = "parked"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    REFUSED_AND_RESTORED = "refused_and_restored"
    HELD = "held"
    WELKIN_WINS = "welkin_wins"
    ACCEPTED = "accepted"
    NEAREST_ONLY = "nearest_only"
    LEFT = "left"
    LISTED = "listed"
    LEFT_IN_ACCOUNT = "left_in_account"

    @property
    def decided(self) -> str:
        """A sentence."""
        return _DECISIONS[self]


_KINDS = {
    ConflictKind.MIRROR_MOVED: (
        "a synced event was moved in the calendar",
        "The synced event was moved in the calendar.",
        "To move the appointment, move it in Welkin. The synced event follows.",
    ),
    ConflictKind.MIRROR_EDITED: (
        "a synced event was edited in the calendar",
        "The synced event was edited in the calendar.",
        "",
    ),
    ConflictKind.MIRROR_DELETED: (
        "a synced event was deleted in the calendar",
        "The synced event was deleted in the calendar.",
        "To cancel the appointment, cancel it in Welkin. The synced event is then deleted.",
    ),
    ConflictKind.GUESTS_ADDED: (
        "guests were added to a synced event",
        "Guests were added to the synced event in the calendar.",
        "Guests are kept. To uninvite them, remove them in the calendar.",
    ),
    ConflictKind.BOTH_CHANGED: (
        "appointment and synced event were both changed",
        "The synced event was edited in the calendar, and its appointment was changed in Welkin.",
        "",
    ),
    ConflictKind.BLOCK_EDITED: (
        "a busy block was edited or deleted in Welkin",
        "The busy block was edited or deleted in Welkin.",
        "",
    ),
    ConflictKind.DUPLICATES: (
        "another integration seems to copy visits into the calendar",
        "Another integration seems to copy visits into the calendar: many are there twice.",
        "Exclude the other integration with `block_time.ignore_external`, or set "
        "`block_time.duplicates` to `block`.",
    ),
    ConflictKind.SERIES_TOO_LONG: (
        "a series has too many events",
        "A series has more events than get busy blocks.",
        "To change the limit, set `block_time.instances_per_series`.",
    ),
    ConflictKind.LEFT_IN_ACCOUNT: (
        "the previous mailbox cannot be reached",
        "The previous mailbox cannot be reached. It still has synced events.",
        "Restore access to the previous mailbox, or delete the events there.",
    ),
    ConflictKind.LEFT_BY_DIRECTION: (
        "events are left after a change of direction",
        "The direction was changed. Events that were synced before are still there.",
        "Delete the events there, or change the direction back.",
    ),
    ConflictKind.VISIT_OVER_BUSY: (
        "a visit is booked over busy time",
        "A visit is booked over busy time in the calendar.",
        "Move the visit in Welkin, or the event in the calendar.",
    ),
}
_DECISIONS = {
    ConflictDecision.RESTORED: "Welkin's version was restored.",
    ConflictDecision.REPORTED: "Nothing was changed.",
    ConflictDecision.PARKED: "It was restored three times in a day. It is not restored any more.",
    ConflictDecision.RESCHEDULED: "The appointment was moved in Welkin.",
    ConflictDecision.CANCELLED: "The appointment was cancelled in Welkin.",
    ConflictDecision.REFUSED_AND_RESTORED: (
        "Welkin rejected the change. The synced event was restored."
    ),
    ConflictDecision.HELD: "Nothing yet: it needs your decision.",
    ConflictDecision.WELKIN_WINS: "Welkin's version was restored.",
    ConflictDecision.ACCEPTED: "The change in Welkin was kept.",
    ConflictDecision.NEAREST_ONLY: "Only the nearest events of the series have busy blocks.",
    ConflictDecision.LEFT: "They were kept.",
    ConflictDecision.LISTED: "Nothing was changed. It is listed while they overlap.",
    ConflictDecision.LEFT_IN_ACCOUNT: "The sync keeps trying to delete them.",
}


def decision_in_words(code: str) -> str:
    """A sentence; the code itself where another version of the sync has written it."""
    return ConflictDecision(code).decided if code in set(ConflictDecision) else code
