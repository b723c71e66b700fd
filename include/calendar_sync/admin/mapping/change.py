"""Changes of the user mapping, as pages and API make them alike."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from calendar_sync.admin.mapping.rows import with_row, without
from calendar_sync.admin.web import outside
from calendar_sync.admin.web.actions import author
from calendar_sync.admin.web.problems import Problem
from calendar_sync.config.credentials import WELKIN
from calendar_sync.config.mapping import MappingFile, read_mapping, read_row, refuse_samples
from calendar_sync.config.mapping.rows import staff_by_email
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.operations.mapping.taking import Mode, confirmed, taken
from calendar_sync.state import Store
from calendar_sync.state.mapping import Edit, MappingDifference, Then

logger = logging.getLogger(__name__)

EMPTY: Mapping[str, Any] = {
    "user": "",
    "platform": Platform.GOOGLE.value,
    "account": "",
    "enabled": True,
    "direction": "",
    "profile": "",
    "busy_calendars": "",
    "mirrors_calendar": "",
    "revision": None,
}


def values_of(row: MappedUser | None) -> dict[str, Any]:
    """What the form of one row shows."""
    if row is None:
        return dict(EMPTY)
    return {
        "user": row.user_id,
        "platform": row.platform.value,
        "account": row.account,
        "enabled": row.enabled,
        "direction": row.direction.value if row.direction else "",
        "profile": row.profile,
        "busy_calendars": "\n".join(row.busy_calendars),
        "mirrors_calendar": row.mirrors_calendar,
        "revision": row.revision,
    }


def set_row(request: Request, store: Store, values: Mapping[str, Any]) -> MappingDifference:
    """Add one row, or change the one that was seen at `revision`; None is none.

    Raises:
        ConfigurationError: a value is wrong, or the row is there (or is not, or is newer).
    """
    user = str(values["user"])
    row = read_row(
        {
            "email" if "@" in user else "welkin_user_id": user,
            "platform": str(values["platform"]),
            "account": str(values["account"]),
            "enabled": str(values["enabled"]),
            "direction": str(values["direction"]),
            "profile": str(values["profile"]),
            "busy_calendars": str(values["busy_calendars"]),
            "mirrors_calendar": str(values["mirrors_calendar"]),
        },
        staff_by_email(store.config.welkin_users()),
    )

    def edit(rows: list[MappedUser]) -> list[MappedUser]:
        key, seen = (row.user_id, row.platform), values["revision"]
        there = next((one for one in rows if (one.user_id, one.platform) == key), None)
        if there is not None and seen is None:
            raise ConfigurationError(
                detail=f"{row.user_id} is already mapped on {row.platform}: edit that row"
            )
        if there is None and seen is not None:
            raise ConfigurationError(detail="the row was removed in the meantime: add it again")
        if there is not None and there.revision != seen:
            raise ConfigurationError(
                RequestCode.CHANGED_MEANWHILE, detail="the row was changed in the meantime"
            )
        return with_row(rows, row)

    return apply(request, store, edit)


def switch(
    request: Request, store: Store, user_id: str, platform: Platform, to: str
) -> MappingDifference:
    """Enable, disable or remove one row.

    Raises:
        Problem: there is no such row.
    """

    def edit(rows: list[MappedUser]) -> list[MappedUser]:
        old = [one for one in rows if (one.user_id, one.platform) == (user_id, platform)]
        if not old:
            raise Problem(404, "This row does not exist.")
        if to == "remove":
            return without(rows, user_id, platform)
        return with_row(rows, replace(old[0], enabled=to == "enable"))

    return apply(request, store, edit)


def take(
    request: Request,
    store: Store,
    users: list[MappedUser],
    mode: Mode,
    based_on: int,
    remove: int | None,
) -> MappingDifference:
    """Store a whole mapping; `remove` is the confirmed number of rows to remove or disable.

    Raises:
        ConfigurationError: as `confirmed` and `edit_mapping` do.
    """
    settings = store.config.revision().settings
    store.config.preview_mapping(users, based_on=based_on)
    edit = confirmed(lambda rows: taken(rows, users, mode), settings, remove)
    return apply(request, store, edit, based_on)


def apply(
    request: Request,
    store: Store,
    edit: Edit,
    based_on: int | None = None,
    then: Then | None = None,
) -> MappingDifference:
    """Store a change, with its author, and what `then` writes with it.

    Raises:
        ConfigurationError: the rows contradict each other, or were changed since `based_on`.
    """
    now = SystemClock().now()
    # Asked before the transaction begins: it may be a matter of a secrets backend.
    host = _welkin_host()

    def checked(rows: list[MappedUser]) -> list[MappedUser]:
        stored = {(row.user_id, row.platform, row.account) for row in rows}
        made = list(edit(rows))
        new = [row for row in made if (row.user_id, row.platform, row.account) not in stored]
        refuse_samples(new, lambda: host)
        return made

    found = store.config.edit_mapping(checked, author(request), now, based_on=based_on, then=then)
    if found:
        logger.info("admin: %s stored revision %s of the mapping", author(request), found.revision)
    return found


def _welkin_host() -> str:
    """Where there is no connection yet, nothing is synced: then it need not be the sandbox's."""
    try:
        return outside.fields(WELKIN).host
    except ConfigurationError:
        return "localhost"


def read_file(store: Store, content: bytes, name: str) -> MappingFile:
    """An uploaded file.

    Raises:
        ConfigurationError: names line and column of each mistake.
    """
    return read_mapping(content, name, staff_by_email(store.config.welkin_users()))
