"""`calendar-sync mapping set|remove|disable|enable|history|rollback`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import author, open_store
from calendar_sync.cli.mapping_files import (
    compare,
    known_staff,
    look,
    preview_of,
    print_preview,
    print_result,
    refuse_new_samples,
    result_of,
    row_of,
    staff_with,
    take,
    words_of,
)
from calendar_sync.cli.output import as_json, console, reported, table
from calendar_sync.config.mapping import read_row
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, MappedUser, Platform
from calendar_sync.operations.mapping.taking import Mode
from calendar_sync.state import Store
from calendar_sync.sync.roster import user_named

User = Annotated[str, typer.Option(help="Welkin user id, or e-mail address.")]
OnPlatform = Annotated[Platform, typer.Option(help="Calendar system of the row.")]
OnlyPlatform = Annotated[
    Platform | None, typer.Option(help="Only this calendar system. Default: all.")
]


def set_row(
    user: User,
    platform: OnPlatform,
    account: Annotated[
        str | None, typer.Option(help="Address of the mailbox. Default: the present one.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Default: unchanged.")
    ] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="Direction for this user. Default: unchanged.")
    ] = None,
    usual_direction: Annotated[
        bool, typer.Option("--usual-direction", help="Use the direction of the settings again.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(help='Profile of the settings; "" for none. Default: unchanged.'),
    ] = None,
    busy_calendar: Annotated[
        list[str] | None,
        typer.Option(
            help='Id of a further calendar of the user that counts as busy; several, or "" for '
            "none. Default: unchanged."
        ),
    ] = None,
    mirrors_calendar: Annotated[
        str | None,
        typer.Option(
            help='Id of the user\'s calendar for mirrors; "" for that of the settings. Default: '
            "unchanged."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Map a user to an account, or change the existing row."""
    with reported(), open_store() as store:
        if direction and usual_direction:
            raise ConfigurationError(detail="give only one of --direction and --usual-direction")
        user_id = _user_id(store, user)
        before = store.config.mapped(user_id, platform)
        if account is None and before is None:
            raise ConfigurationError(
                detail=f"{user_id} is not mapped on {platform}: --account is needed"
            )
        wanted = read_row(
            {
                "welkin_user_id": user_id,
                "platform": platform.value,
                "account": account or (before.account if before else ""),
                "profile": profile or "",
                "busy_calendars": " ".join(busy_calendar or ()),
                "mirrors_calendar": mirrors_calendar or "",
            },
            {},
        )

        refuse_new_samples(store, [wanted])

        def edit(rows: list[MappedUser]) -> list[MappedUser]:
            others, old = _apart(rows, user_id, platform)
            row = old[0] if old else wanted
            if account is not None:
                row = replace(row, account=wanted.account)
            if enabled is not None:
                row = replace(row, enabled=enabled)
            if direction is not None or usual_direction:
                row = replace(row, direction=direction)
            if profile is not None:
                row = replace(row, profile=wanted.profile)
            if busy_calendar is not None:
                row = replace(row, busy_calendars=wanted.busy_calendars)
            if mirrors_calendar is not None:
                row = replace(row, mirrors_calendar=wanted.mirrors_calendar)
            return [*others, row]

        _change(store, edit, json=json, named=[wanted])


def remove(user: User, platform: OnlyPlatform = None, json: Json = False) -> None:
    """Remove a user from the mapping."""
    with reported(), open_store() as store:
        user_id = _user_id(store, user)
        _change(store, lambda rows: _known(rows, user_id, platform)[0], json=json)


def disable(user: User, platform: OnlyPlatform = None, json: Json = False) -> None:
    """Stop syncing a user, but keep the row. `enable` resumes."""
    _switch(user, platform, enabled=False, json=json)


def enable(user: User, platform: OnlyPlatform = None, json: Json = False) -> None:
    """Sync a disabled user again."""
    _switch(user, platform, enabled=True, json=json)


def history(
    user: Annotated[str | None, typer.Option(help="Only this Welkin user.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this mailbox.")] = None,
    newest: Annotated[int, typer.Option(help="How many.", min=1, max=100_000)] = 20,
    json: Json = False,
) -> None:
    """List changes of the mapping with time and author, newest first."""
    with reported(), open_store() as store:
        user_id = None if user is None else _user_id(store, user)
        found = store.config.mapping_history(user_id, account, newest)
        if json:
            as_json(
                [
                    {
                        "revision": change.revision,
                        "at": change.at,
                        "author": change.author,
                        "welkin_user_id": change.user_id,
                        "platform": change.platform.value,
                        "before": row_of(change.before),
                        "after": row_of(change.after),
                    }
                    for change in found
                ]
            )
        elif found:
            rows = [
                (
                    change.revision,
                    f"{change.at:%Y-%m-%d %H:%M}",
                    change.author,
                    change.user_id,
                    change.platform.value,
                    words_of(change.before) or "-",
                    words_of(change.after) or "-",
                )
                for change in found
            ]
            columns = ("revision", "when (UTC)", "author", "user", "platform", "before", "after")
            table("Mapping", columns, rows)
        else:
            console.print("no changes")


def rollback(
    number: Annotated[int, typer.Argument(help="Number of the revision to restore.", min=0)],
    remove: Annotated[
        int | None,
        typer.Option(
            help="Confirm how many rows are removed or disabled. Required for many.",
            min=0,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change. Stores nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Restore the mapping of an older revision, as a new revision."""
    with reported(), open_store() as store:
        seen = store.config.mapping_revision()
        wanted = store.config.mapping_of(number)
        if dry_run:
            found = look(store, wanted, seen, Mode.REPLACE)
            as_json(preview_of(found)) if json else print_preview(store, found)
            return
        found = take(store, wanted, seen, Mode.REPLACE, remove)
        as_json(result_of(found)) if json else print_result(store, found)


def _switch(user: str, platform: Platform | None, *, enabled: bool, json: bool) -> None:
    with reported(), open_store() as store:
        user_id = _user_id(store, user)

        def edit(rows: list[MappedUser]) -> list[MappedUser]:
            others, found = _known(rows, user_id, platform)
            return [*others, *(replace(row, enabled=enabled) for row in found)]

        _change(store, edit, json=json)


def _change(
    store: Store,
    edit: Callable[[list[MappedUser]], list[MappedUser]],
    *,
    json: bool,
    named: Sequence[MappedUser] = (),
) -> None:
    found = store.config.edit_mapping(edit, author(), SystemClock().now())
    compared = compare(store, named)
    if json:
        as_json(result_of(found) | compared.row)
    else:
        print_result(store, found)
        compared.tell()


def _known(
    rows: list[MappedUser], user_id: str, platform: Platform | None
) -> tuple[list[MappedUser], list[MappedUser]]:
    others, found = _apart(rows, user_id, platform)
    if not found:
        where = f" on {platform}" if platform else ""
        raise ConfigurationError(detail=f"{user_id} is not mapped{where}")
    return others, found


def _apart(
    rows: list[MappedUser], user_id: str, platform: Platform | None
) -> tuple[list[MappedUser], list[MappedUser]]:
    """Everybody else's rows, and this user's."""
    others: list[MappedUser] = []
    found: list[MappedUser] = []
    for row in rows:
        its = row.user_id == user_id and platform in (None, row.platform)
        (found if its else others).append(row)
    return others, found


def _user_id(store: Store, user: str) -> str:
    """The user's id. Addresses are looked up in Welkin first, then among the mailboxes."""
    if "@" not in user:
        return user
    found = known_staff(store).get(user.lower())
    if not found and "@" not in (named := user_named(store, user)):
        found = named
    found = found or staff_with(user, store).get(user.lower())
    if not found:
        raise ConfigurationError(
            detail=f"the address {user} belongs to no Welkin user, or to several"
        )
    return found
