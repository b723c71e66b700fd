"""Settings that have a new name: files, requests and stored revisions may still use the old one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calendar_sync.core.errors import ConfigurationError

#: Old name to new name, dotted. Sections come first: names within them stand under the new one.
RENAMED: Mapping[str, str] = {
    "brake": "deletion_guard",
    "details": "mirror_content",
    "poll": "polling",
    "unmapped": "on_unmapped",
    "block_time.twins": "block_time.duplicates",
    "deletion_guard.at_least": "deletion_guard.max_deletions",
    "deletion_guard.share": "deletion_guard.max_share",
    "limits.calendar_requests_per_minute": "limits.google_requests_per_minute",
    "limits.cycle_seconds": "limits.max_cycle_seconds",
    "limits.cycle_waits_seconds": "limits.max_wait_seconds",
    "limits.cycle_writes": "limits.max_cycle_writes",
    "limits.daily_calendar_requests": "limits.google_requests_per_day",
    "limits.microsoft_batch": "limits.microsoft_batch_size",
    "limits.microsoft_requests_at_once": "limits.microsoft_concurrency",
    "limits.polls_at_once": "limits.poll_concurrency",
    "limits.users_at_once": "limits.user_concurrency",
    "polling.outside_interval_seconds": "polling.off_hours_interval_seconds",
}


@dataclass(frozen=True)
class Current:
    """A document under present names; `written` gives the old path of each setting by its new."""

    document: dict[str, Any]
    written: Mapping[str, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each old name in the document."""
        return tuple(
            f"{old} is now called {new}: please use the new name"
            for new, old in self.written.items()
        )

    def path_of(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Where the value at a present path stands in the document as it was written."""
        for length in range(len(path), 0, -1):
            old = self.written.get(".".join(map(str, path[:length])))
            if old is not None:
                return (*old.split("."), *path[length:])
        return path


def with_new_names(document: Mapping[str, Any]) -> Current:
    """The settings of a file, a request or a stored revision, each key under its present name.

    Raises:
        ConfigurationError: both names of a setting are given.
    """
    found, written = dict(document), dict[str, str]()
    for old, new in RENAMED.items():
        section, _, name = old.rpartition(".")
        said = f"{written.get(section, section)}.{name}" if section else old
        try:
            renamed = _rename(found, old, new)
        except KeyError:
            raise ConfigurationError(
                detail=f"settings: {said} is now called {new}: give only {new}, not both"
            ) from None
        if renamed is not None:
            found, written[new] = renamed, said
    return Current(found, written)


def with_old_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the names that they had first."""
    found = dict(document)
    for old, new in reversed(list(RENAMED.items())):
        found = _rename(found, new, old) or found
    return found


def _rename(document: dict[str, Any], before: str, after: str) -> dict[str, Any] | None:
    """A copy with the key renamed in its place; None without it. KeyError: both are there."""
    section, _, old = before.rpartition(".")
    new = after.rpartition(".")[2]
    keys = document.get(section) if section else document
    if not isinstance(keys, Mapping) or old not in keys:
        return None
    if new in keys:
        raise KeyError(new)
    renamed = {new if key == old else key: value for key, value in keys.items()}
    return {**document, section: renamed} if section else renamed
