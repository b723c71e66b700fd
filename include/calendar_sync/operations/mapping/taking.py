"""How a whole new mapping is taken over: added to the rows that there are, or in their place.

A file that lost its rows looks like one that wants everybody removed. So rows go only when that is
asked for (`Mode.REPLACE`), and many of them only when their number is given, too.
"""

from collections.abc import Iterable
from enum import StrEnum

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser
from calendar_sync.state.mapping import Edit, MappingDifference
from calendar_sync.sync.roster import too_many


class Mode(StrEnum):
    """What becomes of rows that a new mapping does not name: they stay, or they go."""

    MERGE = "merge"
    REPLACE = "replace"


def taken(rows: Iterable[MappedUser], new: Iterable[MappedUser], mode: Mode) -> list[MappedUser]:
    """The whole mapping afterwards."""
    new = list(new)
    if mode is Mode.REPLACE:
        return new
    named = {(row.user_id, row.platform) for row in new}
    return [*(row for row in rows if (row.user_id, row.platform) not in named), *new]


def going(rows: Iterable[MappedUser], after: Iterable[MappedUser]) -> int:
    """How many rows are removed or disabled."""
    left = {(row.user_id, row.platform): row.enabled for row in after}
    gone = 0
    for row in rows:
        enabled = left.get((row.user_id, row.platform))
        gone += enabled is None or (row.enabled and not enabled)
    return gone


def going_of(found: MappingDifference) -> int:
    """The same of a difference."""
    changed = zip(found.replaced, found.changed, strict=True)
    return len(found.removed) + sum(was.enabled and not now.enabled for was, now in changed)


def needs_confirmation(gone: int, rows: int, settings: Settings) -> bool:
    """So many rows go that their number must be given: as when people leave Welkin, or all."""
    return too_many(gone, rows, settings) or (gone > 1 and gone >= rows)


def confirmed(edit: Edit, settings: Settings, number: int | None) -> Edit:
    """The same edit, which refuses to remove many rows unless `number` says how many.

    The edit raises:
        ConfigurationError: `REMOVALS_NOT_CONFIRMED`; or the number that was given is another.
    """

    def checked(rows: list[MappedUser]) -> list[MappedUser]:
        after = list(edit(rows))
        gone = going(rows, after)
        if number is not None and gone != number:
            raise ConfigurationError(
                RequestCode.REMOVALS_NOT_CONFIRMED,
                detail=f"{gone} of {len(rows)} rows would be removed or disabled, not {number}: "
                "review the changes, and give that number",
            )
        if number is None and needs_confirmation(gone, len(rows), settings):
            raise ConfigurationError(
                RequestCode.REMOVALS_NOT_CONFIRMED,
                detail=f"{gone} of {len(rows)} rows would be removed or disabled: confirm "
                f"it with their number, {gone} (command line: --remove {gone})",
            )
        return after

    return checked
