"""Texts for the steps of a sync, as logs, reports and pages show them."""

from collections.abc import Mapping

from calendar_sync.core.plurals import plural

#: One of each: a noun and a last word that says what was done.
STEPS: Mapping[str, str] = {
    "create_mirror": "synced event created",
    "adopt_mirror": "synced event recovered",
    "update_mirror": "synced event updated",
    "delete_mirror": "synced event deleted",
    "create_block": "busy block created",
    "adopt_block": "busy block recovered",
    "update_block": "busy block updated",
    "delete_block": "busy block deleted",
    "reschedule": "appointment rescheduled",
    "cancel": "appointment cancelled",
    "make_calendar": "calendar created",
    "remove_calendar": "calendar deleted",
}


def done(step: str, count: int) -> str:
    """How often it was done: `1 busy block created`, `6 busy blocks created`."""
    noun, _, verb = STEPS.get(step, step).rpartition(" ")
    return f"{plural(count, noun)} {verb}" if noun else f"{count:,} {verb}"
