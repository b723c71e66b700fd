"""The navigation in its order. A page is a folder of `admin/` with its templates."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One page: the words in the navigation, its path, and the templates that belong to it."""

    title: str
    path: str
    templates: frozenset[str]


NAV = (
    Entry(
        "Overview", "/", frozenset({"overview.html", "setup.html", "setup_job.html", "guide.html"})
    ),
    Entry("Users", "/users", frozenset({"users.html", "user.html"})),
    Entry("Attention", "/attention", frozenset({"attention.html"})),
    Entry(
        "Settings",
        "/settings",
        frozenset(
            {
                "settings.html",
                "settings_review.html",
                "settings_overtaken.html",
                "settings_history.html",
                "settings_diff.html",
                "settings_profiles.html",
            }
        ),
    ),
    Entry(
        "Mapping",
        "/mapping",
        frozenset(
            {
                "mapping.html",
                "mapping_row.html",
                "mapping_switch.html",
                "mapping_import.html",
                "mapping_history.html",
            }
        ),
    ),
    Entry("Connections", "/connections", frozenset({"connections.html"})),
    Entry("Activity", "/activity", frozenset({"activity.html"})),
    Entry(
        "Tools",
        "/tools",
        frozenset(
            {
                "tools.html",
                "reports.html",
                "report.html",
                "exposure.html",
                "unsync.html",
                "selftest.html",
            }
        ),
    ),
)
