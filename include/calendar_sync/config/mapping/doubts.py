"""The mapping beside a directory: what no file shows, because an account has several names."""

from collections.abc import Iterable
from dataclasses import dataclass

from calendar_sync.core.model import DirectoryAccounts, MappedUser, Platform

SHARED, UNKNOWN, ALIAS = "shared", "unknown", "alias"


@dataclass(frozen=True)
class Doubt:
    """One row that is wrong, or will not work.

    `code` is `SHARED`, `UNKNOWN`, `ALIAS`, or why the account has no usable calendar.
    """

    user_id: str
    platform: Platform
    account: str
    code: str
    advice: str


def doubts(
    rows: Iterable[MappedUser], platform: Platform, accounts: DirectoryAccounts
) -> list[Doubt]:
    """Every row of this platform that the directory speaks against.

    A disabled row can only be `SHARED`: the account of an absent user may be suspended.
    """
    found: list[Doubt] = []
    holders: dict[str, MappedUser] = {}
    for row in sorted(rows, key=lambda row: row.user_id):
        if row.platform is not platform:
            continue
        account = accounts.of(row.account)
        name = account.address if account else row.account
        first = holders.setdefault(name, row)
        problem: tuple[str, str] | None = None
        if first.user_id != row.user_id:
            text = (
                f"{first.account} of {first.user_id} is the same account: keep only one of the rows"
            )
            problem = SHARED, text
        elif not row.enabled:
            continue
        elif account is None:
            problem = UNKNOWN, "the account is not in the directory"
        elif account.unusable:
            problem = account.unusable, "the account cannot be synced: disable the row"
        elif row.account not in (account.address, account.object_id):
            problem = ALIAS, f"this is another name of {account.address}: use that"
        if problem:
            found.append(Doubt(row.user_id, platform, row.account, *problem))
    return found
