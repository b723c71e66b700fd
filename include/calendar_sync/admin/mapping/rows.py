"""The user mapping as the pages show it: rows with address, verdict and last sync, searched."""

from collections.abc import Iterable
from dataclasses import dataclass

from calendar_sync.core.codes import AccountVerdict, Code, code_of
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.state.health import Checked
from calendar_sync.state.mapping import MappingDifference

SIZE = 50


@dataclass(frozen=True)
class Row:
    """One row of the mapping."""

    user: MappedUser
    email: str
    active: bool | None
    checked: Checked | None

    @property
    def verdict(self) -> Code | None:
        """What the last check found, None if there was none."""
        return code_of(self.checked.verdict) if self.checked is not None else None


@dataclass(frozen=True)
class MappingPage:
    """One page of them; `revision` is the number of the mapping that they are."""

    rows: list[Row]
    total: int
    everybody: int
    page: int
    pages: int
    revision: int


@dataclass(frozen=True)
class Line:
    """One row of a difference: what happens to it, the row, and what it was."""

    what: str
    user: MappedUser
    was: MappedUser | None = None


def listed(
    store: Store, search: str, platform: Platform | None, only: str, page: int
) -> MappingPage:
    """One page; `only` is "enabled", "disabled", "wrong" (by the last check) or nothing."""
    revision = store.config.mapping_revision()
    staff = {user.id: user for user in store.config.welkin_users()}
    checked = {(one.user_id, one.platform): one for one in store.health.verdicts()}
    rows = [
        Row(
            user,
            staff[user.user_id].email if user.user_id in staff else "",
            staff[user.user_id].active if user.user_id in staff else None,
            checked.get((user.user_id, user.platform)),
        )
        for user in store.config.mapping(platform)
    ]
    word = search.strip().lower()
    found = [row for row in rows if _fits(row, word, only)]
    found.sort(key=lambda row: (row.user.account, row.user.platform.value))
    pages = max(1, -(-len(found) // SIZE))
    page = min(page, pages)
    shown = found[(page - 1) * SIZE : page * SIZE]
    return MappingPage(shown, len(found), len(rows), page, pages, revision)


def _fits(row: Row, word: str, only: str) -> bool:
    named = (
        word in row.user.account or word in row.email.lower() or word == row.user.user_id.lower()
    )
    wrong = row.checked is not None and row.checked.verdict != AccountVerdict.OK
    return named and {
        "enabled": row.user.enabled,
        "disabled": not row.user.enabled,
        "wrong": wrong,
    }.get(only, True)


def lines(found: MappingDifference) -> list[Line]:
    """A difference row by row, what is taken away first."""
    changed = zip(found.replaced, found.changed, strict=True)
    return [
        *(Line("removed", user) for user in found.removed),
        *(Line("changed", now, was) for was, now in changed),
        *(Line("added", user) for user in found.added),
    ]


def with_row(rows: Iterable[MappedUser], row: MappedUser) -> list[MappedUser]:
    """The rows with this one in its place, or added."""
    return [*without(rows, row.user_id, row.platform), row]


def without(rows: Iterable[MappedUser], user_id: str, platform: Platform) -> list[MappedUser]:
    """The rows but this one."""
    return [row for row in rows if (row.user_id, row.platform) != (user_id, platform)]
