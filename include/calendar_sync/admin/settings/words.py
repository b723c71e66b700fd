"""The settings in the words of the pages: what a setting is called, and what each choice means.

By the dotted name of the setting; `*` stands for either calendar system. A setting that is not
named here is called by its name in the model, and explained by the text there.
"""

from collections.abc import Mapping

#: What a setting is called, and, where the model's own text says it less plainly, what it does.
NAMES: Mapping[str, tuple[str, str]] = {
    "time_zone": ("Time zone of the organisation", ""),
    "direction": (
        "Direction",
        "Which way changes are written. A direction of a user's own, in the mapping, wins.",
    ),
    "encounter_types": (
        "Encounter types",
        "Which appointments in Welkin get an event in the calendar (a “synced event”).",
    ),
    "encounter_types.include": (
        "Types to sync",
        "`*` and `?` stand for any characters; large and small letters are the same.",
    ),
    "encounter_types.exclude": (
        "Types never to sync",
        "These get no synced event, whatever the types to sync say.",
    ),
    "encounter_types.unknown_type": (
        "Encounters without a type",
        "Those for which Welkin names no template.",
    ),
    "windows": ("How far ahead and back", "In days from now. Busy time is blocked from today on."),
    "windows.mirrors_past_days": (
        "Past appointments (days)",
        "Synced events of appointments up to so many days ago are kept up to date.",
    ),
    "windows.mirrors_future_days": (
        "Appointments ahead (days)",
        "Appointments up to so many days ahead get a synced event.",
    ),
    "windows.blocks_future_days": (
        "Busy time ahead (days)",
        "Busy time up to so many days ahead is blocked in Welkin.",
    ),
    "block_time": (
        "Block time",
        "How busy time in the calendar makes a user unavailable in Welkin (a “busy block”).",
    ),
    "block_time.enabled": (
        "Block a user's busy time in Welkin",
        "Switched off, the busy blocks that there are get removed.",
    ),
    "block_time.tentative": (
        "Tentative events block time, too",
        "Events that are not confirmed yet.",
    ),
    "block_time.all_day": (
        "All-day events",
        "Only those that the calendar shows as busy.",
    ),
    "block_time.all_day_write": (
        "How an all-day busy block is written",
        "How it shows in the schedule of Welkin.",
    ),
    "block_time.block_title": (
        "Title of a busy block",
        "The event's own title can be seen by everybody who sees the schedule in Welkin.",
    ),
    "block_time.title": ("Fixed title", "What a busy block is called in Welkin."),
    "block_time.block_edited": (
        "A busy block edited or deleted in Welkin",
        "By a person; it is shown as a conflict.",
    ),
    "block_time.duplicates": (
        "Duplicates made by another integration",
        "Events at the very times of many visits, without our mark, that would block them twice.",
    ),
    "block_time.ignore_external": (
        "Events that never block",
        "For instance copies of Welkin's visits that another integration makes.",
    ),
    "block_time.ignore_external.creators": ("Created by", ""),
    "block_time.ignore_external.organizers": ("Organised by", ""),
    "block_time.ignore_external.ical_uids": ("iCalUID", ""),
    "block_time.ignore_external.sources": ("Source (Google only)", ""),
    "block_time.instances_per_series": (
        "Longest series (instances)",
        "Of a longer one only so many, nearest to now, are blocked.",
    ),
    "calendars": ("Calendars", "Which calendars of a mailbox are used."),
    "calendars.*.busy": (
        "Calendars whose events count as busy",
        "Their ids; `primary` is the mailbox's own.",
    ),
    "calendars.*.mirrors": (
        "Calendar for synced events",
        "Its id; `primary` is the mailbox's own.",
    ),
    "mirror_content": ("Event details", "How much of an appointment shows in the calendar."),
    "mirror_content.title": ("Title", "The title of a synced event."),
    "mirror_content.description": ("Description", "The text below the title."),
    "mirror_content.title.level": (
        "The title shows",
        "Fields need the business associate agreement.",
    ),
    "mirror_content.description.level": (
        "The description shows",
        "Fields need the business associate agreement.",
    ),
    "mirror_content.title.template": (
        "Title with fields",
        "Used only where the title shows fields.",
    ),
    "mirror_content.description.template": (
        "Description with fields",
        "Used only where the description shows fields.",
    ),
    "mirror_content.busy_title": (
        "Fixed title",
        "The title where nothing of the appointment shows.",
    ),
    "mirror_content.type_titles": (
        "Words for types of visit",
        "Where the type of visit shows. Other types are called “Appointment”.",
    ),
    "mirror_content.baa_confirmed": (
        "Business associate agreement",
        "Fields put patient data into calendars: an agreement with the calendar's provider must "
        "be recorded first.",
    ),
    "mirror_content.baa_confirmed.by": ("Confirmed by", ""),
    "mirror_content.baa_confirmed.on": ("Confirmed on (year-month-day)", ""),
    "mirror_moved": ("A synced event moved in the calendar", "Encounters are always put back."),
    "mirror_deleted": (
        "A synced event deleted in the calendar",
        "Past events are left as they are.",
    ),
    "both_changed": (
        "Changed on both sides",
        "A synced event edited in the calendar while its appointment changed in Welkin.",
    ),
    "on_unmapped": (
        "Users who left the mapping",
        "What becomes of the synced events and busy blocks of users who are disabled or removed.",
    ),
    "deletion_guard": (
        "Deletion limit",
        "For events to delete because their appointment was not found: more of them wait for "
        "approval.",
    ),
    "deletion_guard.max_deletions": (
        "Deletions without approval",
        "Up to this many deletions for one user need no approval.",
    ),
    "deletion_guard.max_share": (
        "Or this share of a user's events",
        "Above that number: 0.2 lets a fifth be deleted without approval.",
    ),
    "polling": ("How often calendars are read", "To find what people have changed there."),
    "polling.interval_seconds": (
        "Read each calendar every (seconds)",
        "Shorter finds changes sooner and costs more requests.",
    ),
    "polling.working_hours": (
        "Read less often outside of working hours",
        "Hours are in the time zone of the organisation.",
    ),
    "polling.working_hours.days": ("Working days", ""),
    "polling.working_hours.start": ("Begin", ""),
    "polling.working_hours.end": ("End", ""),
    "polling.off_hours_interval_seconds": (
        "Outside of working hours every (seconds)",
        "Used only where working hours are set.",
    ),
    "freshness": ("When a change is late", "Late changes are told to those who get alerts."),
    "freshness.target_seconds": (
        "Late after (seconds)",
        "A change that is not on the other side by then counts as late.",
    ),
    "notify": (
        "Notifications",
        "Without addresses and arguments nothing is sent; reports are kept anyway.",
    ),
    "notify.to": ("Send mail to", "Addresses that get reports and alerts."),
    "notify.notifier": ("Airflow notifier", "The class that sends them; mail unless changed."),
    "notify.arguments": ("Arguments of the notifier", "What the notifier is made with."),
    "notify.daily_summary": ("Send a report every day", ""),
    "notify.alerts": ("Alert when the sync stops or is late", ""),
    "notify.alert_again_hours": (
        "Repeat an alert after (hours)",
        "While the fault lasts.",
    ),
    "limits": ("Rates and sizes", "How fast the sync may be."),
    "limits.welkin_requests_per_second": ("Welkin: requests a second", ""),
    "limits.calendar_requests_per_minute": ("Calendars: requests a minute", ""),
    "limits.google_requests_per_day": (
        "Google: requests a day",
        "The quota of the project. Reading for changes stays below 60 % of it.",
    ),
    "limits.microsoft_concurrency": ("Microsoft: requests at once", ""),
    "limits.microsoft_batch_size": ("Microsoft: requests in a batch", ""),
    "limits.max_user_tasks": ("Tasks in one run", "With more users than that, users share tasks."),
    "limits.user_concurrency": ("Users at once in a task", ""),
    "limits.poll_concurrency": ("Mailboxes read at once", ""),
    "limits.max_cycle_seconds": (
        "Longest sync of a user (seconds)",
        "What is left is done in the next run.",
    ),
    "limits.max_cycle_writes": (
        "Most writes for a user in a run",
        "What is left is done in the next run.",
    ),
    "limits.max_wait_seconds": (
        "Longest wait for a server (seconds)",
        "A user who would have to wait longer is tried again later.",
    ),
}
_RESTORE, _REPORT = "Restore Welkin's version", "Only report it"
#: What each choice means.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "direction.*": {
        "": "both ways (not set)",
        "welkin_to_calendar": "Welkin to calendar only",
        "calendar_to_welkin": "Calendar to Welkin only",
        "bidirectional": "Both ways",
    },
    "encounter_types.unknown_type": {"skip": "Leave them out", "include": "Sync them"},
    "block_time.all_day": {"block": "Block the whole day", "ignore": "Block nothing"},
    "block_time.all_day_write": {
        "flag": "As an all-day event",
        "timed": "From midnight to midnight",
    },
    "block_time.block_title": {
        "fixed": "Always the fixed title",
        "event_title": "The event's own title",
    },
    "block_time.block_edited": {"restore": "Put it back", "accept": "Leave it as it is"},
    "block_time.duplicates": {"warn": "Warn me, block nothing", "block": "Block the time anyway"},
    "mirror_content.title.level": {
        "busy": "Nothing: the fixed title",
        "type": "The type of visit",
        "full": "Fields (patient data)",
    },
    "mirror_content.description.level": {
        "busy": "Nothing: it stays empty",
        "type": "The type of visit",
        "full": "Fields (patient data)",
    },
    "mirror_moved": {
        "restore": _RESTORE,
        "reschedule": "Reschedule the appointment in Welkin",
        "report": _REPORT,
    },
    "mirror_deleted": {
        "restore": _RESTORE,
        "cancel": "Cancel the appointment in Welkin",
        "report": _REPORT,
    },
    "both_changed": {"welkin_wins": _RESTORE, "report": _REPORT},
    "on_unmapped": {"remove": "Remove them", "keep": "Keep them"},
    "polling.working_hours.days": {
        "mon": "Monday",
        "tue": "Tuesday",
        "wed": "Wednesday",
        "thu": "Thursday",
        "fri": "Friday",
        "sat": "Saturday",
        "sun": "Sunday",
    },
}
#: What a field of a template puts into the text.
FIELDS: Mapping[str, str] = {
    "encounter_type": "Type of visit",
    "mode": "Video, call or in person",
    "location": "Location",
    "patient_initials": "Patient's initials",
    "patient_first_name": "Patient's first name",
    "patient_last_name": "Patient's last name",
}
_PLATFORMS: Mapping[str, str] = {"google": "Google", "microsoft": "Microsoft 365"}


def name_of(path: str) -> str:
    """What a setting is called beside the others of its section."""
    last = path.rpartition(".")[2]
    if (known := NAMES.get(_any(path))) is not None:
        return known[0]
    return _PLATFORMS.get(last) or _plain(last)


def about(path: str, otherwise: str) -> str:
    """What a setting does; the model's own text where there is none here."""
    return NAMES.get(_any(path), ("", ""))[1] or otherwise


def choice(path: str, value: str) -> str:
    """What a choice means."""
    return CHOICES.get(_any(path), {}).get(value) or _plain(value)


def has_choices(path: str) -> bool:
    """Whether the setting is one of some words."""
    return _any(path) in CHOICES


def full_name(path: str) -> str:
    """A setting where it stands alone: `Block time: Fixed title`."""
    # The names of what an organisation itself names (templates, arguments) may hold anything.
    for free in ("mirror_content.type_titles", "notify.arguments"):
        if path.startswith(f"{free}."):
            return f"{full_name(free)}: {path.removeprefix(f'{free}.')}"
    parts = path.split(".")
    return ": ".join(name_of(".".join(parts[:length])) for length in range(1, len(parts) + 1))


def _any(path: str) -> str:
    """The name with a star for the calendar system."""
    first, *rest = path.split(".")
    if rest and first in {"direction", "calendars"} and rest[0] in _PLATFORMS:
        return ".".join([first, "*", *rest[1:]])
    return path


def _plain(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"
