"""The navigation in its order. A page is a module in `pages/` and a template of its name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One page: the words in the navigation, its path, and the templates that belong to it."""

    title: str
    path: str
    templates: frozenset[str]


NAV = (
    Entry("Overview", "/", frozenset({"overview.html"})),
    Entry("Users", "/users", frozenset({"users.html", "user.html"})),
    Entry("Activity", "/activity", frozenset({"activity.html"})),
)
