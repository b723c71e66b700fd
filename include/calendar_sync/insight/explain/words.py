"""Sentences for verdicts. The rules themselves are in the planner."""

from collections.abc import Mapping

from calendar_sync.config.settings import EncounterTypes
from calendar_sync.core.model import Appointment

#: What happens to a block whose event no longer blocks time.
GOES = "the next sync deletes its block"
#: What is true if a rule passes.
MIRROR_PASSES: Mapping[str, str] = {
    "cancelled": "neither the event nor its encounter is cancelled",
    "not_participant": "the user is host or participant",
    "outside_window": "it is inside the window for mirrors",
    "pending": "the encounter is known",
    "unknown_type": "its type is known, or unknown types are included",
    "filtered": "its type is synced (`encounter_types`)",
    "empty_time": "it ends after it starts",
}
BLOCK_PASSES: Mapping[str, str] = {
    "deleted": "it exists",
    "no_time": "it has a time",
    "series": "it is a single event or one instance",
    "empty_time": "it ends after it starts",
    "declined": "the user has not declined it",
    "informational": "it is no working location and no birthday",
    "working_elsewhere": "it is not shown as working elsewhere, or such events block",
    "free": "it shows the user as busy, or is an all-day event of a kind that blocks",
    "tentative": "it is not tentative, or tentative events block",
    "out_of_office": "it is not an out-of-office event, or such events block",
    "all_day_kind_ignored": "it is not an all-day event of a kind that does not block",
    "all_day_ignored": "it is not an all-day event, or all-day events (of its kind) block",
    "ignored": "it does not match `ignore_external`",
    "outside_window": "it is inside the window for blocks",
    "over_limit": "it is within the limit for its series",
    "twin_held": "it is not a suspected copy of an appointment",
}

#: Why an appointment has no mirror, or the state of its mirror.
MIRROR: Mapping[str, str] = {
    "not_participant": "the user is not host or participant",
    "outside_window": "it is outside the window for mirrors",
    "pending": "the encounter is not known yet; until then nothing is created or deleted",
    "unknown_type": "the encounter has no template in Welkin, and `unknown_type` is `skip`",
    "empty_time": "it does not end after it starts, so no calendar accepts it",
    "not_mapped": "the user is not mapped on this platform",
    "disabled": "the user is disabled in the mapping",
    "inactive": "the user is inactive in Welkin",
    "paused": "the sync of the user is paused",
    "not_connected": "there is no usable connection for this platform",
    "not_in_direction": "the direction excludes writes to the calendar",
    "to_create": "no mirror yet; the next sync creates it",
    "interrupted": "the creation was interrupted; the next sync looks for it",
    "dismissed": "deleted by hand in the calendar; it is created again when the appointment "
    "changes",
    "retired": "it is older than the window; its mirror stays and is no longer synced",
    "removed": "its mirror was deleted",
    "gone": "it no longer exists in Welkin; the next sync deletes the mirror",
    "mirror_ok": "mirror OK",
    "mirror_behind": "the appointment has changed; the next sync updates the mirror",
    "mirror_edited": "the mirror was edited in the calendar; the next sync handles it",
    "mirror_missing": "the mirror is no longer in the calendar; the next sync handles it",
    "mirror_unread": "mirror written; the calendar could not be read now",
}

#: Why a calendar event has no block, or the state of its block.
BLOCK: Mapping[str, str] = {
    "deleted": "it is deleted in the calendar",
    "no_time": "it has no time that can be read",
    "series": "it is a series; each event of it is decided on its own",
    "empty_time": "it does not end after it starts",
    "declined": "the user has declined it",
    "informational": "it is a working location or a birthday",
    "working_elsewhere": "it is shown as working elsewhere, and `block_time.working_elsewhere` is "
    "`ignore`",
    "free": "it shows the user as free",
    "tentative": "it is tentative, or an unanswered invitation, and `block_time.tentative` is off",
    "out_of_office": "it is an out-of-office event, and `block_time.out_of_office` is `ignore`",
    "all_day_kind_ignored": "it is an all-day event whose kind `block_time.all_day_kinds` ignores",
    "all_day_ignored": "it is an all-day event, and `block_time.all_day` is `ignore`",
    "ignored": "it matches `block_time.ignore_external`",
    "outside_window": "it is outside the window for blocks",
    "over_limit": "its series has more events than `instances_per_series`, and others are nearer",
    "twin_held": "it looks like a copy of an appointment; it does not block until you decide: "
    "`block_time.ignore_external`, or `block_time.duplicates: block`",
    "not_mapped": "the user is not mapped on this platform",
    "disabled": "the user is disabled in the mapping",
    "inactive": "the user is inactive in Welkin",
    "paused": "the sync of the user is paused",
    "not_connected": "there is no usable connection for this platform",
    "not_in_direction": "the direction excludes writes to Welkin",
    "block_time_off": "`block_time.enabled` is off",
    "not_a_busy_calendar": "its calendar does not count as busy (`calendars`)",
    "to_create": "no block yet; the next sync creates it",
    "interrupted": "the creation was interrupted; the next sync looks for it",
    "dismissed": "its block was deleted in Welkin, and `block_edited` is `accept`",
    "retired": "its block is in the past and stays in Welkin",
    "shared": "another calendar's block covers it: the same meeting is in both",
    "gone": "it no longer exists in the calendar; the next sync deletes the block",
    "removed": "its block was deleted",
    "block_ok": "block OK",
    "block_edited": "the block was edited or deleted in Welkin; the next sync handles it",
    "block_unread": "block written; Welkin could not be read now",
    "stray_mirror": "an orphan: it has our marker but matches no appointment (a copy of a "
    "mirror, or the state database was lost); it does not block time",
    "not_there": "it is not in this calendar",
}


def filtered(types: EncounterTypes, name: str) -> str:
    """Which list excludes this type."""
    included = types.model_copy(update={"include": ("*",)}).wants(name)
    return f"type {name} is not included" if included else f"type {name} is excluded"


def cancelled(appointment: Appointment) -> str:
    """Which side cancelled it."""
    if appointment.event.cancelled:
        return "the calendar event is CANCELLED"
    status = appointment.encounter.status if appointment.encounter is not None else ""
    return f"the encounter is {status}"
