"""Shared by the commands for the mapping: reading files, storing, printing changes."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from calendar_sync.cli.environment import author, load_fields
from calendar_sync.cli.output import console, errors, table
from calendar_sync.config.credentials import WELKIN, Missing, welkin_credentials
from calendar_sync.config.documents import read_file as read_bounded
from calendar_sync.config.mapping import MappingFile, read_mapping, refuse_samples
from calendar_sync.config.mapping.rows import staff_by_email
from calendar_sync.config.settings import Settings
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.core.model import MappedUser, WelkinUser
from calendar_sync.core.plurals import plural
from calendar_sync.operations.mapping.taking import (
    Mode,
    confirmed,
    going_of,
    needs_confirmation,
    taken,
)
from calendar_sync.state import Store
from calendar_sync.state.mapping import MappingDifference
from calendar_sync.sync.runtime import open_welkin

NAMES = ("user_mapping.csv", "user_mapping.yaml", "user_mapping.yml")
# So many rows are printed; all of them are in the JSON.
SHOWN = 50
COLUMNS = ("", "user", "platform", "account", "enabled", "direction", "profile", "was")
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Replace the mapping: rows that are not in the file are removed."
    ),
]
Remove = Annotated[
    int | None,
    typer.Option(
        help="Confirm how many rows are removed or disabled. Required for many. Implies --replace.",
        min=0,
    ),
]


def find_mapping(folder: Path) -> Path | None:
    """The mapping file of a folder, if there is one.

    Raises:
        ConfigurationError: there are several.
    """
    found = [name for name in NAMES if (folder / name).exists()]
    if len(found) > 1:
        raise ConfigurationError(detail=f"found {' and '.join(found)}: keep only one of them")
    return folder / found[0] if found else None


def read_file(file: Path, store: Store) -> MappingFile:
    """Read a mapping file. If it needs addresses and none are stored yet, Welkin is asked."""
    content = read_bounded(file)
    try:
        return read_mapping(content, str(file), known_staff(store))
    except ConfigurationError as error:
        if ", email: " not in error.detail or store.config.welkin_users_seen_at() is not None:
            raise
    asyncio.run(_ask_for_staff(store))
    return read_mapping(content, str(file), known_staff(store))


def known_staff(store: Store) -> dict[str, str]:
    """Ids of Welkin's users by address, as last read."""
    return staff_by_email(store.config.welkin_users())


def staff_with(email: str, store: Store) -> dict[str, str]:
    """The same; Welkin is asked again if the address is unknown."""
    found = known_staff(store)
    if email and email.lower() not in found:
        asyncio.run(_ask_for_staff(store))
        found = known_staff(store)
    return found


async def _ask_for_staff(store: Store) -> None:
    if listed := await _staff():
        store.config.save_welkin_users(listed, SystemClock().now())


async def _staff() -> list[WelkinUser]:
    async with open_welkin(welkin_credentials(load_fields(WELKIN)), SystemClock()) as welkin:
        return await welkin.users()


def refuse_new_samples(store: Store, users: Iterable[MappedUser]) -> None:
    """Refuse new rows with the made-up people of the samples.

    Raises:
        ConfigurationError: names the rows.
    """
    stored = {(row.user_id, row.platform, row.account) for row in store.config.mapping()}
    new = [row for row in users if (row.user_id, row.platform, row.account) not in stored]
    refuse_samples(new, _welkin_host)


def _welkin_host() -> str:
    try:
        return load_fields(WELKIN).host
    except Missing:
        return ""


@dataclass(frozen=True)
class Compared:
    """Mapped ids that Welkin does not know, or why they could not be checked."""

    unknown: tuple[str, ...] = ()
    not_compared: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """For scripts, without empty values."""
        said = {"unknown_users": list(self.unknown), "not_compared": self.not_compared}
        return {key: value for key, value in said.items() if value}

    def tell(self) -> None:
        """Print it on standard error."""
        said = ""
        if self.unknown:
            said = (
                f"Welkin has no users with these ids: {', '.join(self.unknown)}; correct the rows"
            )
        elif self.not_compared:
            said = f"the ids could not be checked in Welkin: {self.not_compared}"
        if said:
            errors.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)


def compare(store: Store, users: Iterable[MappedUser]) -> Compared:
    """The ids that Welkin does not know. It is asked if the stored list lacks one."""
    unknown = {row.user_id for row in users} - {user.id for user in store.config.welkin_users()}
    if not unknown:
        return Compared()
    try:
        # Not stored: what a run keeps of the list has its own time and meaning.
        unknown -= {user.id for user in asyncio.run(_staff())}
    except SyncError as error:
        return Compared(not_compared=error.remedy)
    return Compared(tuple(sorted(unknown)))


def take(
    store: Store,
    users: list[MappedUser],
    based_on: int | None,
    mode: Mode,
    remove: int | None,
    settings: Settings | None = None,
) -> MappingDifference:
    """Store a mapping. `remove` is the confirmed number of rows to remove or disable.

    The limit is taken from `settings`, by default the current ones.

    Raises:
        ConfigurationError: as `confirmed` and `edit_mapping` do.
    """
    settings = settings or store.config.revision().settings
    store.config.preview_mapping(users, based_on=based_on)
    edit = confirmed(lambda rows: taken(rows, users, mode), settings, remove)
    return store.config.edit_mapping(edit, author(), SystemClock().now(), based_on=based_on)


def look(
    store: Store,
    users: list[MappedUser],
    based_on: int | None,
    mode: Mode,
    wanted: Settings | None = None,
) -> MappingDifference:
    """What `take` would change, without its confirmation; under the `wanted` settings, if given."""
    profiles = None if wanted is None else wanted.profiles
    # A file that is based on an older revision is refused.
    store.config.preview_mapping(users, based_on=based_on, profiles=profiles)
    rows = taken(store.config.mapping(), users, mode)
    return store.config.preview_mapping(rows, based_on=based_on, profiles=profiles)


def check(
    store: Store,
    users: list[MappedUser],
    based_on: int | None,
    mode: Mode,
    remove: int | None,
    wanted: Settings | None = None,
) -> None:
    """Refuse what `take` would refuse, once the `wanted` settings are stored.

    Raises:
        ConfigurationError: as `take` does.
    """
    look(store, users, based_on, mode, wanted)
    settings = store.config.revision().settings
    confirmed(lambda rows: taken(rows, users, mode), settings, remove)(store.config.mapping())


def mode_of(replace: bool, remove: int | None) -> Mode:
    """--remove implies --replace."""
    return Mode.REPLACE if replace or remove is not None else Mode.MERGE


def result_of(found: MappingDifference) -> dict[str, int]:
    """The result for scripts."""
    return {
        "mapping_revision": found.revision,
        "users_added": len(found.added),
        "users_changed": len(found.changed),
        "users_removed": len(found.removed),
    }


def print_result(store: Store, found: MappingDifference) -> None:
    """Print how many rows were added, changed and removed, and the effect on their users."""
    revision = f"revision {found.revision}" + ("" if found else " (unchanged)")
    console.print(f"mapping: {revision}, {_counts(found)}", highlight=False, soft_wrap=True)
    _print_leaving(store, found, "are")


def print_preview(store: Store, found: MappingDifference) -> None:
    """Print the first rows that would change."""
    rows = _rows(found)
    if rows:
        table("Changes", COLUMNS, rows[:SHOWN])
    if len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN} more (--json prints all)")
    console.print(f"mapping: {_counts(found)}; nothing was stored", highlight=False, soft_wrap=True)
    gone, rows_now = going_of(found), len(store.config.mapping())
    if needs_confirmation(gone, rows_now, store.config.revision().settings):
        console.print(
            f"to confirm the removals, give their number: --remove {gone}", highlight=False
        )
    _print_leaving(store, found, "would be")


def print_staying(store: Store, users: list[MappedUser], mode: Mode) -> None:
    """Print how many rows are not in the file and stay."""
    named = {(user.user_id, user.platform) for user in users}
    rows = store.config.mapping()
    staying = sum((row.user_id, row.platform) not in named for row in rows)
    if mode is Mode.MERGE and staying:
        is_not = (
            "row is not in the file and stays"
            if staying == 1
            else ("rows are not in the file and stay")
        )
        console.print(
            f"{staying} {is_not} (--replace removes what is not in the file)",
            highlight=False,
            soft_wrap=True,
        )


def preview_of(found: MappingDifference) -> dict[str, Any]:
    """The same for scripts."""
    changed = zip(found.replaced, found.changed, strict=True)
    return {
        "stored": False,
        "added": [row_of(user) for user in found.added],
        "changed": [{"before": row_of(was), "after": row_of(now)} for was, now in changed],
        "removed": [row_of(user) for user in found.removed],
    }


def row_of(user: MappedUser | None) -> dict[str, Any] | None:
    """One row with the names of the file's columns."""
    if user is None:
        return None
    return {
        "welkin_user_id": user.user_id,
        "platform": user.platform.value,
        "account": user.account,
        "enabled": user.enabled,
        "direction": user.direction.value if user.direction else None,
        "profile": user.profile,
        "busy_calendars": list(user.busy_calendars),
        "mirrors_calendar": user.mirrors_calendar,
    }


def words_of(user: MappedUser | None) -> str:
    """One row in a few words, without the user."""
    if user is None:
        return ""
    words = [user.account]
    if not user.enabled:
        words.append("disabled")
    if user.direction:
        words.append(user.direction.value)
    if user.profile:
        words.append(f"profile {user.profile}")
    if user.busy_calendars:
        words.append(plural(len(user.busy_calendars), "more calendar"))
    if user.mirrors_calendar:
        words.append(f"mirrors in {user.mirrors_calendar}")
    return ", ".join(words)


def _rows(found: MappingDifference) -> list[Sequence[object]]:
    def row(what: str, user: MappedUser, was: MappedUser | None = None) -> Sequence[object]:
        direction = user.direction.value if user.direction else ""
        enabled = "yes" if user.enabled else "no"
        named = (what, user.user_id, user.platform.value, user.account, enabled, direction)
        return (*named, user.profile, words_of(was))

    changed = zip(found.replaced, found.changed, strict=True)
    return [
        *(row("removed", user) for user in found.removed),
        *(row("changed", now, was) for was, now in changed),
        *(row("added", user) for user in found.added),
    ]


def _counts(found: MappingDifference) -> str:
    return f"{len(found.added)} added, {len(found.changed)} changed, {len(found.removed)} removed"


def _print_leaving(store: Store, found: MappingDifference, verb: str) -> None:
    """Print what happens to the mirrors and blocks of users who are no longer synced."""
    changed = zip(found.replaced, found.changed, strict=True)
    disabled = [now for was, now in changed if was.enabled and not now.enabled]
    removed = [user for user in found.removed if user.enabled]
    if not removed and not disabled:
        return
    unmapped = store.config.revision().settings.on_unmapped
    what = {
        "remove": f"their mirrors and blocks {verb} deleted by the next runs",
        "keep": f"their mirrors and blocks {verb} kept",
    }[unmapped]
    console.print(
        f"{plural(len(removed) + len(disabled), 'user')} no longer synced: {what} "
        f"(setting on_unmapped: {unmapped})",
        highlight=False,
        soft_wrap=True,
    )
