"""What a conflict's kind and decision mean, as sentences for people."""

from collections.abc import Mapping

HAPPENED: Mapping[str, str] = {
    "mirror_moved": "Somebody moved the mirror in the calendar.",
    "mirror_edited": "Somebody edited the mirror in the calendar.",
    "mirror_deleted": "Somebody deleted the mirror in the calendar.",
    "guests_added": "Somebody added guests to the mirror in the calendar.",
    "both_changed": "The mirror was edited in the calendar, and its appointment in Welkin.",
    "block_edited": "Somebody edited or deleted the block in Welkin.",
    "twins": "Many visits stand in the calendar a second time, without our mark.",
    "series_too_long": "A series has more instances than get blocks.",
    "left_in_account": "A former account cannot be reached: our events are still there.",
    "left_by_direction": "The direction no longer writes that side: our events are still there.",
}
DECIDED: Mapping[str, str] = {
    "restored": "It was put back as Welkin has it.",
    "reported": "Nothing was changed: it is left as it is.",
    "parked": "It was put back three times in a day, and is left alone now.",
    "rescheduled": "The appointment was moved in Welkin, too.",
    "cancelled": "The appointment was cancelled in Welkin, too.",
    "refused_and_restored": "Welkin did not take the change: the mirror was put back.",
    "held": "Nothing yet: it waits for a person.",
    "welkin_wins": "The mirror was written as Welkin has it.",
    "accepted": "The block is left as Welkin has it.",
    "nearest_only": "Only the nearest instances have blocks.",
    "left": "They were left there.",
    "left_in_account": "Their removal is tried again and again.",
}
#: What to do where no choice below does it.
HINTS: Mapping[str, str] = {
    "mirror_moved": "To move the appointment, move it in Welkin: the mirror follows.",
    "mirror_deleted": "To cancel the appointment, cancel it in Welkin: the mirror goes.",
    "guests_added": "They stay. Where nobody is to be invited, take them out in the calendar.",
    "twins": "Name the other integration in `block_time.ignore_external`, or set `block_time.duplicates` to `block`.",
    "series_too_long": "`block_time.instances_per_series` is the limit.",
    "left_in_account": "Restore access to the former account, or delete the events there.",
    "left_by_direction": "Delete them there, or open the direction again.",
}
