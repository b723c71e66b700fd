"""Sentences for verdicts. The rules themselves are the planner's."""

from collections.abc import Mapping

from calendar_sync.config.settings import EncounterTypes
from calendar_sync.core.model import Appointment

#: What becomes of a block whose event blocks no more.
GOES = "its block is still there: the next cycle removes it"
#: What is so where a rule passes.
MIRROR_PASSES: Mapping[str, str] = {
    "cancelled": "neither the event nor its encounter is cancelled",
    "not_participant": "the user is host or participant",
    "outside_window": "it is inside the mirrors' window",
    "pending": "the encounter is known",
    "unknown_type": "its type is known, or unknown types are included",
    "filtered": "the type filter lets it through",
    "empty_time": "it ends after it begins",
}
BLOCK_PASSES: Mapping[str, str] = {
    "deleted": "it is there",
    "no_time": "it has a time",
    "series": "it is a single event or one instance",
    "empty_time": "it ends after it begins",
    "declined": "the user has not declined it",
    "informational": "it does more than inform",
    "free": "it does not show its owner as free",
    "tentative": "it is not tentative, or tentative events block",
    "all_day_ignored": "it does not last all day, or all-day events block",
    "ignored": "`ignore_external` does not name it",
    "outside_window": "it is inside the blocks' window",
    "over_limit": "its series is short enough, or it is near enough",
    "twin_held": "it is not held as a copy of an appointment",
}

#: Why an appointment has no mirror, or what state its mirror is in.
MIRROR: Mapping[str, str] = {
    "not_participant": "the user is neither host nor participant (any more)",
    "outside_window": "it lies outside the mirrors' window",
    "pending": "the encounter is not known yet: nothing is made or removed until it is",
    "unknown_type": "Welkin names no template for the encounter, and `unknown_type` is skip",
    "empty_time": "it ends before it begins, or at once: no calendar takes such an event",
    "not_mapped": "the user is not mapped on this platform (any more)",
    "disabled": "the user is disabled in the mapping",
    "inactive": "the user is inactive in Welkin",
    "not_connected": "no connection for this platform is configured",
    "not_in_direction": "the direction does not write the calendar",
    "to_create": "no mirror yet: the next cycle makes it",
    "interrupted": "its creation was begun and not seen to end: the next cycle looks for it",
    "dismissed": "removed by hand in the calendar and not made again until the appointment changes",
    "retired": "its mirror stays in the calendar; what lies before the window is not looked at",
    "removed": "its mirror was removed",
    "gone": "Welkin no longer has it: the next cycle removes the mirror",
    "mirror_ok": "mirror ok",
    "mirror_behind": "Welkin has changed since the mirror was written: the next cycle updates it",
    "mirror_edited": "the mirror was edited in the calendar: the next cycle decides",
    "mirror_missing": "the mirror is not in the calendar any more: the next cycle decides",
    "mirror_unread": "mirror written; the calendar could not be asked now",
}

#: Why an event of the calendar has no block, or what state its block is in.
BLOCK: Mapping[str, str] = {
    "deleted": "it is deleted in the calendar",
    "no_time": "it has no time that can be read",
    "series": "it is a series: its instances are judged one by one",
    "empty_time": "it ends before it begins, or at once",
    "declined": "the user has declined it",
    "informational": "it only informs (a working location or a birthday)",
    "free": "it shows its owner as free",
    "tentative": "it is tentative, or an unanswered invitation, and `block_time.tentative` is off",
    "all_day_ignored": "it lasts all day, and `block_time.all_day` is ignore",
    "ignored": "its creator, organiser or iCalUID is named in `block_time.ignore_external`",
    "outside_window": "it lies outside the blocks' window",
    "over_limit": "its series has more instances than `instances_per_series`; others are nearer",
    "twin_held": "it looks like a copy of an appointment: held until `ignore_external` names it, "
    "or `block_time.duplicates` is `block`",
    "not_mapped": "the user is not mapped on this platform (any more)",
    "disabled": "the user is disabled in the mapping",
    "inactive": "the user is inactive in Welkin",
    "not_connected": "no connection for this platform is configured",
    "not_in_direction": "the direction does not write Welkin",
    "block_time_off": "`block_time.enabled` is off",
    "not_a_busy_calendar": "its calendar does not count as busy (`calendars`)",
    "to_create": "no block yet: the next cycle makes it",
    "interrupted": "its block was begun and not seen to end: the next cycle looks for it",
    "dismissed": "its block was removed in Welkin, which the settings accept",
    "retired": "its block is of the past and stays in Welkin",
    "gone": "the calendar no longer has it: the next cycle removes the block",
    "removed": "its block was removed",
    "block_ok": "block ok",
    "block_edited": "the block was edited or removed in Welkin: the next cycle decides",
    "block_unread": "block written; Welkin could not be asked now",
    "stray_mirror": "it carries our marker, but no link names it: a copy of a mirror, or the state "
    "database was lost. It never blocks",
    "not_there": "not in this calendar",
}


def filtered(types: EncounterTypes, name: str) -> str:
    """Which list keeps this type out."""
    included = types.model_copy(update={"include": ("*",)}).wants(name)
    return f"type {name} is not included" if included else f"type {name} is excluded"


def cancelled(appointment: Appointment) -> str:
    """Which side says so."""
    if appointment.event.cancelled:
        return "the calendar event is CANCELLED"
    status = appointment.encounter.status if appointment.encounter is not None else ""
    return f"the encounter is {status}"
