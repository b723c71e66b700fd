"""Accounts as the directory of a calendar system knows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from calendar_sync.core.codes import Code, Whose


@dataclass(frozen=True, slots=True)
class DirectoryAccount:
    """One account of a Google Workspace or a Microsoft tenant. All names are in lower case.

    `address` is what the calendar's API calls it by; `others` are further addresses of the same
    mailbox; `object_id` never changes (Microsoft). `unusable` says why no calendar can be used
    there ("suspended", "archived", "disabled", "guest", "no mailbox"), empty when one can.
    `org_unit` is the path of its organisational unit (Google), as it is written there.
    """

    address: str
    others: tuple[str, ...] = ()
    object_id: str = ""
    unusable: str = ""
    org_unit: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called by, each once."""
        every = (self.address, self.object_id, *self.others)
        return tuple(dict.fromkeys(name for name in every if name))


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """Who is in a group of the directory, directly or through other groups.

    `names` are addresses or object ids in lower case, also of groups and of people elsewhere. With
    `everybody` all accounts of the organisation belong.
    """

    names: frozenset[str] = frozenset()
    everybody: bool = False

    def has(self, account: DirectoryAccount) -> bool:
        """This account belongs."""
        return self.everybody or any(name in self.names for name in account.names)


class DirectoryAccounts:
    """All accounts of one directory, by each of their names, whatever its case."""

    def __init__(self, accounts: Iterable[DirectoryAccount]) -> None:
        self._named: dict[str, list[DirectoryAccount]] = {}
        for account in accounts:
            for name in account.names:
                self._named.setdefault(name, []).append(account)

    def named(self, name: str) -> tuple[DirectoryAccount, ...]:
        """All accounts with this name: one's address may be an alias of another."""
        return tuple(self._named.get(name.lower(), ()))

    def of(self, name: str) -> DirectoryAccount | None:
        """The one that a row of the mapping means: by address or object id, else by an alias."""
        found = self.named(name)
        for account in found:
            if name.lower() in (account.address, account.object_id):
                return account
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Finding:
    """One fault of a connection: whom it concerns (empty: everybody), its code, what to do."""

    account: str
    code: Code
    advice: str

    @classmethod
    def of(cls, code: Code, said: str = "", account: str = "") -> Self:
        """A code with what to do about it, unless there are better words."""
        return cls(account, code, said or code.in_words)

    @property
    def whose(self) -> Whose:
        """Who can fix it."""
        return self.code.whose


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A calendar in an account's list; `owned`: it is the account's own, not shared with it."""

    id: str
    name: str
    owned: bool
