"""Labels and explanations of the settings for how the sync runs (see `words`)."""

from collections.abc import Mapping

#: Label and explanation, by the dotted name of the setting.
RUNNING: Mapping[str, tuple[str, str]] = {
    "polling": ("How often calendars are checked", "To find changes by users."),
    "polling.interval_seconds": (
        "Check each calendar every (seconds)",
        "A shorter time finds changes sooner but needs more requests.",
    ),
    "polling.working_hours": (
        "Check less often outside working hours",
        "In the time zone of the organisation.",
    ),
    "polling.working_hours.days": ("Working days", ""),
    "polling.working_hours.start": ("Start", ""),
    "polling.working_hours.end": ("End", ""),
    "polling.off_hours_interval_seconds": (
        "Outside working hours, every (seconds)",
        "Used only if working hours are set.",
    ),
    "push": (
        "Push",
        "Google, Microsoft and Welkin report changes as they happen. Needs a public address: see "
        "docs/operations.md.",
    ),
    "push.address": (
        "Public address of the receiver",
        "For example https://sync.example.org/calendar-sync-push. Empty: push is off.",
    ),
    "push.poll_seconds": (
        "Google: check a calendar with push every (seconds)",
        "Only calendars whose notices arrive reliably. All others are checked as set above.",
    ),
    "polling.sweep": (
        "Ask Google about many calendars at once",
        "One request shows when 50 accounts are busy. Finds new events sooner if there are more "
        "than about 400 Google accounts. Needs the scope calendar.freebusy.",
    ),
    "polling.sweep_as": (
        "Account that asks",
        "E-mail address. Empty: any mapped account. It must see the free/busy times of the others.",
    ),
    "notice": ("How often Welkin is checked", "To find changes of appointments."),
    "notice.welkin_seconds": (
        "Check Welkin every (seconds)",
        "Two requests each time, and two more every 30 seconds. Welkin's limit applies to all.",
    ),
    "freshness": ("When a change is late", "Late changes cause an alert."),
    "freshness.target_seconds": (
        "Late after (seconds)",
        "A change that is not synced by then counts as late.",
    ),
    "notify": (
        "Notifications",
        "Without addresses and arguments nothing is sent. Reports are stored anyway.",
    ),
    "notify.to": ("Send e-mail to", "Recipients of reports and alerts."),
    "notify.notifier": ("Airflow notifier", "The class that sends messages. Default: e-mail."),
    "notify.arguments": ("Arguments of the notifier", "Arguments for the notifier."),
    "notify.daily_summary": ("Send a report every day", ""),
    "notify.alerts": ("Alert when the sync stops or is late", ""),
    "notify.alert_again_hours": (
        "Repeat an alert after (hours)",
        "While the problem continues.",
    ),
    "limits": ("Rates and sizes", "Limits of the sync."),
    "limits.welkin_requests_per_second": ("Welkin: requests per second", ""),
    "limits.google_requests_per_minute": (
        "Google: requests per minute",
        "The quota of the project.",
    ),
    "limits.google_requests_per_day": (
        "Google: requests per day",
        "The quota of the project. Checks for changes use at most 60 % of it.",
    ),
    "limits.microsoft_requests_per_minute": ("Microsoft: requests per minute", ""),
    "limits.microsoft_concurrency": ("Microsoft: concurrent requests", ""),
    "limits.microsoft_batch_size": ("Microsoft: requests per batch", ""),
    "limits.max_user_tasks": (
        "Tasks in one run",
        "With more users, users share tasks. 0: as many as Airflow runs at the same time.",
    ),
    "limits.user_concurrency": ("Concurrent users in a task", ""),
    "limits.poll_concurrency": ("Concurrent checks of mailboxes", ""),
    "limits.max_cycle_seconds": (
        "Longest sync of a user (seconds)",
        "The rest is done in the next run.",
    ),
    "limits.max_cycle_writes": (
        "Most writes for a user in a run",
        "The rest is done in the next run.",
    ),
    "limits.max_wait_seconds": (
        "Longest wait for a server (seconds)",
        "If a wait would be longer, the user is retried later.",
    ),
}
