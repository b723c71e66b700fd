"""Labels and explanations of the settings on the pages, and of their choices.

By the dotted name of the setting; `*` stands for both calendar systems. A setting that is missing
here has its name and docstring in the model as label and explanation.
"""

from collections.abc import Mapping

from calendar_sync.admin.settings.running_words import RUNNING
from calendar_sync.core.model import Platform

#: Label of a setting, and an explanation if the docstring in the model is not plain enough.
NAMES: Mapping[str, tuple[str, str]] = {
    "time_zone": ("Time zone of the organisation", ""),
    "direction": (
        "Direction",
        "Which side is written. A direction in the mapping takes precedence for that user.",
    ),
    "encounter_types": (
        "Encounter types",
        "Which appointments in Welkin get an event in the calendar (a “synced event”).",
    ),
    "encounter_types.include": (
        "Types to sync",
        "`*` and `?` are wildcards. Upper and lower case are the same.",
    ),
    "encounter_types.exclude": (
        "Types never to sync",
        "These are excluded even if they match the types to sync.",
    ),
    "encounter_types.unknown_type": (
        "Encounters without a type",
        "Encounters without a template in Welkin.",
    ),
    "people_may_choose": (
        "What people may choose for themselves",
        "On the page My calendar sync: to see less than the settings allow, the reminder, and one "
        "colour (in Outlook a category) for all synced events.",
    ),
    "profiles": (
        "Profiles",
        "Settings of some users, over those of everybody, by the name of the profile. In the user "
        "mapping you say who has which. Possible are direction, encounter_types, windows, "
        "block_time, calendars, mirror_content, mirror_moved, mirror_deleted, both_changed and "
        "polling; give only what differs.",
    ),
    "mapping_rules": (
        "Mapping rules",
        "Who belongs in the user mapping, as a list. Each rule has `name`, `platform`, one of "
        "`group`, `org_unit`, `welkin_role`, `welkin_policy` and `email_domain`, and optionally "
        "`profile` and `apply: true`. The first rule that names a person decides. Evaluated daily.",
    ),
    "windows": ("How far ahead and back", "In days. Busy time is blocked from today on."),
    "windows.mirrors_past_days": (
        "Past appointments (days)",
        "How many days back synced events are kept up to date.",
    ),
    "windows.mirrors_future_days": (
        "Appointments ahead (days)",
        "How many days ahead appointments are synced.",
    ),
    "windows.blocks_future_days": (
        "Busy time ahead (days)",
        "How many days ahead busy time is blocked in Welkin.",
    ),
    "block_time": (
        "Block time",
        "How busy time in the calendar makes a user unavailable in Welkin (a “busy block”).",
    ),
    "block_time.enabled": (
        "Block a user's busy time in Welkin",
        "If you turn this off, existing busy blocks are deleted.",
    ),
    "block_time.source": (
        "What is read of a calendar",
        "“Busy times alone” needs fewer rights in the calendar system, and no appointments are "
        "written to the calendar.",
    ),
    "block_time.tentative": (
        "Tentative events block time",
        "Tentative events and unanswered invitations.",
    ),
    "block_time.working_elsewhere": (
        "Working elsewhere (Microsoft only)",
        "Events that Outlook shows as working elsewhere. Working locations in Google never block.",
    ),
    "block_time.out_of_office": ("Out-of-office events", ""),
    "block_time.all_day": (
        "All-day events",
        "All-day events that the calendar shows as busy.",
    ),
    "block_time.all_day_kinds": (
        "All-day events of some kinds",
        "What you choose here decides, whatever the settings above say.",
    ),
    "block_time.all_day_kinds.out_of_office": ("Out of office", ""),
    "block_time.all_day_kinds.tentative": ("Tentative", ""),
    "block_time.all_day_kinds.working_elsewhere": ("Working elsewhere (Microsoft only)", ""),
    "block_time.all_day_kinds.free": (
        "Shown as free",
        "Google and Outlook propose to show a new all-day event as free.",
    ),
    "block_time.all_day_write": (
        "How an all-day busy block is written",
        "How the busy block appears in Welkin.",
    ),
    "block_time.block_title": (
        "Title of a busy block",
        "Everyone with access to the schedule in Welkin can see the title.",
    ),
    "block_time.title": ("Fixed title", "The title of busy blocks in Welkin."),
    "block_time.out_of_office_title": (
        "Title if out of office",
        "The fixed title for out-of-office events, for example Out of office. Empty: as above.",
    ),
    "block_time.block_edited": (
        "A busy block edited or deleted in Welkin",
        "Changes by a person. They are shown as a conflict.",
    ),
    "block_time.duplicates": (
        "Duplicates made by another integration",
        "Events at exactly the times of many visits. They would block the time twice.",
    ),
    "block_time.report_overlaps": (
        "List visits booked over busy time",
        "On the page Attention. Nothing is changed, and no alert is sent.",
    ),
    "block_time.buffers": (
        "Time around events",
        "Busy blocks begin before and end after timed events. Of several, the longest counts.",
    ),
    "block_time.buffers.every_event": ("Every event", "Meetings and all other timed events."),
    "block_time.buffers.with_place": (
        "Events with a place",
        "Events with a location, except for addresses of online meetings. The location is not "
        "stored.",
    ),
    "block_time.buffers.online": ("Online meetings", ""),
    "block_time.buffers.out_of_office": ("Out-of-office events", ""),
    **{
        f"block_time.buffers.{kind}.{side}_minutes": (f"Minutes {side}", "")
        for kind in ("every_event", "with_place", "online", "out_of_office")
        for side in ("before", "after")
    },
    "block_time.ignore_external": (
        "Events that never block",
        "For example copies of visits that another integration makes.",
    ),
    "block_time.ignore_external.creators": ("Created by", ""),
    "block_time.ignore_external.organizers": ("Organised by", ""),
    "block_time.ignore_external.ical_uids": ("iCalUID", ""),
    "block_time.ignore_external.sources": ("Source (Google only)", ""),
    "block_time.instances_per_series": (
        "Longest series (events)",
        "Of a longer series, only the nearest events block time.",
    ),
    "calendars": ("Calendars", "Calendars of a mailbox to read and write."),
    "calendars.*.busy": (
        "Calendars whose events count as busy",
        "Ids of calendars. `primary` is the main calendar.",
    ),
    "calendars.*.mirrors": (
        "Calendar for synced events",
        "Id of a calendar. `primary` is the main calendar, `own` one named Welkin that the sync "
        "makes for each user. With Google, `own` needs two more scopes.",
    ),
    "mirror_content": ("Event details", "What the calendar shows of an appointment."),
    "mirror_content.title": ("Title", "The title of a synced event."),
    "mirror_content.description": ("Description", "The text below the title."),
    "mirror_content.title.level": (
        "The title shows",
        "Fields require a business associate agreement.",
    ),
    "mirror_content.description.level": (
        "The description shows",
        "Fields require a business associate agreement.",
    ),
    "mirror_content.title.template": (
        "Title with fields",
        "Used only if the title shows fields.",
    ),
    "mirror_content.description.template": (
        "Description with fields",
        "Used only if the description shows fields.",
    ),
    "mirror_content.busy_title": (
        "Fixed title",
        "The title if nothing of the appointment is shown.",
    ),
    "mirror_content.type_titles": (
        "Titles for types of visit",
        "Used if the type of visit is shown. Other types have the title “Appointment”.",
    ),
    "mirror_content.places": (
        "Places of the practice",
        "The text in the calendar for a location in Welkin (`*` and `?` are wildcards). Locations "
        "that are not listed are not shown. Not shown if the title shows nothing.",
    ),
    "mirror_content.link_hosts": (
        "Hosts of join links",
        "A join link in Welkin is shown if its host is listed, such as `zoom.us` or `*.zoom.us`, "
        "and nothing in it names the patient. Not shown if the title shows nothing.",
    ),
    "mirror_content.colours": (
        "Colours in Google Calendar",
        "For types of visit: lavender, sage, grape, flamingo, banana, tangerine, peacock, "
        "graphite, blueberry, basil or tomato; `*` for all others. If the title shows nothing, "
        "only `*` is used, for all.",
    ),
    "mirror_content.categories": (
        "Categories in Outlook",
        "For types of visit; `*` for all others. Outlook shows the colour that the user gave to "
        "the category. If the title shows nothing, only `*` is used, for all.",
    ),
    "mirror_content.reminder": (
        "Reminder of new events",
        "`default` (the user's), `none`, or minutes before the start (at most 40320).",
    ),
    "mirror_content.buffers": (
        "Time around visits",
        "A synced event can be longer than its visit, for the way to it or for documentation. Its "
        "title then says when the visit is. Of a visit with several, the longest counts. Nothing "
        "of it is written to Welkin.",
    ),
    "mirror_content.buffers.every_visit": ("Every visit", "All timed visits."),
    "mirror_content.buffers.types": (
        "Types of visit",
        "By template or event type; `*` and `?` are wildcards. For example: "
        "`etmp-home-*: {before_minutes: 20, after_minutes: 10}`.",
    ),
    **{
        f"mirror_content.buffers.every_visit.{side}_minutes": (f"Minutes {side}", "")
        for side in ("before", "after")
    },
    "mirror_content.tentative": (
        "Statuses that are tentative",
        "Appointments with one of these statuses in Welkin (of event or encounter) are shown as "
        "tentative.",
    ),
    "mirror_content.baa_confirmed": (
        "Business associate agreement",
        "Fields show patient data in calendars. First record your agreement with the calendar "
        "provider.",
    ),
    "mirror_content.baa_confirmed.by": ("Confirmed by", ""),
    "mirror_content.baa_confirmed.on": ("Confirmed on (year-month-day)", ""),
    "mirror_moved": (
        "A synced event moved in the calendar",
        "Encounters are always restored, unless a test has shown that they can be rescheduled.",
    ),
    "mirror_deleted": (
        "A synced event deleted in the calendar",
        "Past events are not restored.",
    ),
    "both_changed": (
        "Changed on both sides",
        "A synced event edited in the calendar while its appointment changed in Welkin.",
    ),
    "on_unmapped": (
        "Users who left the mapping",
        "Synced events and busy blocks of users who are removed, disabled or inactive in Welkin.",
    ),
    "deletion_guard": (
        "Deletion guard",
        "A limit for deletions because the appointment or event was not found. More deletions "
        "need your approval.",
    ),
    "deletion_guard.max_deletions": (
        "Deletions without approval",
        "Up to this many deletions for one user need no approval.",
    ),
    "deletion_guard.max_share": (
        "Or this share of a user's events",
        "If this is more: 0.2 allows a fifth of the user's events to be deleted.",
    ),
    "notify.to_people": (
        "Tell the person concerned",
        "An e-mail to the user, at most one a day. Nothing in it is about a patient.",
    ),
    **RUNNING,
}
#: Headings of the two columns of a mapping.
ROWS: Mapping[str, tuple[str, str]] = {
    "mirror_content.type_titles": ("Template in Welkin", "Title in the calendar"),
    "mirror_content.places": ("Location in Welkin", "Text in the calendar"),
    "mirror_content.colours": ("Template in Welkin", "Colour"),
    "mirror_content.categories": ("Template in Welkin", "Category"),
}
_RESTORE, _REPORT = "Restore Welkin's version", "Only report it"
#: Labels of choices.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "people_may_choose": {
        "level": "To see less",
        "reminder": "The reminder",
        "colour": "The colour",
    },
    "notify.to_people": {
        "not_synced": "Their calendar is not synced",
        "put_back": "An edit of theirs was put back",
        "visit_over_busy": "A visit is booked over their busy time",
    },
    "block_time.source": {"events": "Its events", "free_busy": "Busy times alone"},
    "polling.sweep": {
        "auto": "If polls alone are too slow",
        "on": "Always",
        "off": "Never",
    },
    "direction.*": {
        "": "both ways (not set)",
        "welkin_to_calendar": "Welkin to calendar only",
        "calendar_to_welkin": "Calendar to Welkin only",
        "bidirectional": "Both ways",
    },
    "encounter_types.unknown_type": {"skip": "Leave them out", "include": "Sync them"},
    "block_time.all_day": {"block": "Block the whole day", "ignore": "Block nothing"},
    "block_time.working_elsewhere": {"block": "Block the time", "ignore": "Block nothing"},
    "block_time.out_of_office": {"block": "Block the time", "ignore": "Block nothing"},
    "block_time.all_day_kinds.free": {"block": "Block the whole day", "ignore": "Block nothing"},
    **{
        f"block_time.all_day_kinds.{kind}": {
            "same": "As set above",
            "block": "Block the whole day",
            "ignore": "Block nothing",
        }
        for kind in ("out_of_office", "tentative", "working_elsewhere")
    },
    "block_time.all_day_write": {
        "flag": "As an all-day event",
        "timed": "From midnight to midnight",
    },
    "block_time.block_title": {
        "fixed": "Always the fixed title",
        "event_title": "The event's own title",
    },
    "block_time.block_edited": {"restore": "Restore it", "accept": "Keep the change"},
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
    "on_unmapped": {"remove": "Delete them", "keep": "Keep them"},
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
#: Labels of template fields.
FIELDS: Mapping[str, str] = {
    "encounter_type": "Type of visit",
    "mode": "Video, call or in person",
    "location": "Location",
    "patient_initials": "Patient's initials",
    "patient_first_name": "Patient's first name",
    "patient_last_name": "Patient's last name",
}
_PLATFORMS: Mapping[str, str] = {each.value: each.label for each in Platform}


def name_of(path: str) -> str:
    """The label of a setting within its section."""
    last = path.rpartition(".")[2]
    if (known := NAMES.get(_any(path))) is not None:
        return known[0]
    return _PLATFORMS.get(last) or _plain(last)


def about(path: str, otherwise: str) -> str:
    """The explanation of a setting, by default its docstring in the model."""
    return NAMES.get(_any(path), ("", ""))[1] or otherwise


def choice(path: str, value: str) -> str:
    """The label of a choice."""
    return CHOICES.get(_any(path), {}).get(value) or _plain(value)


def has_choices(path: str) -> bool:
    """The setting has labelled choices."""
    return _any(path) in CHOICES


def full_name(path: str) -> str:
    """The label with its section: `Block time: Fixed title`."""
    first, _, rest = path.partition(".")
    if first == "profiles" and rest:
        profile, _, inner = rest.partition(".")
        return f"Profile {profile}" + (f": {full_name(inner)}" if inner else "")
    # Keys of these are chosen by the organisation and may contain dots.
    for free in (*ROWS, "mirror_content.buffers.types", "notify.arguments"):
        if path.startswith(f"{free}."):
            return f"{full_name(free)}: {path.removeprefix(f'{free}.')}"
    parts = path.split(".")
    return ": ".join(name_of(".".join(parts[:length])) for length in range(1, len(parts) + 1))


def _any(path: str) -> str:
    """The path with `*` for the calendar system."""
    first, *rest = path.split(".")
    if first == "profiles" and len(rest) > 1:
        return _any(".".join(rest[1:]))
    if rest and first in {"direction", "calendars"} and rest[0] in _PLATFORMS:
        return ".".join([first, "*", *rest[1:]])
    return path


def _plain(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"
