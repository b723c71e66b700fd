"""Sentences for kinds and decisions of conflicts."""

from collections.abc import Mapping

HAPPENED: Mapping[str, str] = {
    "mirror_moved": "The synced event was moved in the calendar.",
    "mirror_edited": "The synced event was edited in the calendar.",
    "mirror_deleted": "The synced event was deleted in the calendar.",
    "guests_added": "Guests were added to the synced event in the calendar.",
    "both_changed": "The synced event was edited in the calendar, and its appointment was "
    "changed in Welkin.",
    "block_edited": "The busy block was edited or deleted in Welkin.",
    "twins": "Another integration seems to copy visits into the calendar: many are there twice.",
    "series_too_long": "A series has more events than get busy blocks.",
    "left_in_account": "The previous mailbox cannot be reached. It still has synced events.",
    "left_by_direction": "The direction was changed. Events that were synced before are still "
    "there.",
}
DECIDED: Mapping[str, str] = {
    "restored": "Welkin's version was restored.",
    "reported": "Nothing was changed.",
    "parked": "It was restored three times in a day. It is not restored any more.",
    "rescheduled": "The appointment was moved in Welkin.",
    "cancelled": "The appointment was cancelled in Welkin.",
    "refused_and_restored": "Welkin rejected the change. The synced event was restored.",
    "held": "Nothing yet: it needs your decision.",
    "welkin_wins": "Welkin's version was restored.",
    "accepted": "The change in Welkin was kept.",
    "nearest_only": "Only the nearest events of the series have busy blocks.",
    "left": "They were kept.",
    "left_in_account": "The sync keeps trying to delete them.",
}
#: What you can do besides the choices on the page.
HINTS: Mapping[str, str] = {
    "mirror_moved": "To move the appointment, move it in Welkin. The synced event follows.",
    "mirror_deleted": "To cancel the appointment, cancel it in Welkin. The synced event is then "
    "deleted.",
    "guests_added": "Guests are kept. To uninvite them, remove them in the calendar.",
    "twins": "Exclude the other integration with `block_time.ignore_external`, or set "
    "`block_time.duplicates` to `block`.",
    "series_too_long": "To change the limit, set `block_time.instances_per_series`.",
    "left_in_account": "Restore access to the previous mailbox, or delete the events there.",
    "left_by_direction": "Delete the events there, or change the direction back.",
}
