"""Who of Welkin's staff has which account, by e-mail address; never by name.

A "+word" in Welkin's address is left out where that finds an account. Whatever is doubtful is
listed with its reason and not proposed: a wrong row shows one person's schedule to another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calendar_sync.core.codes import GoogleCode, MicrosoftCode
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import NotFound, UserUnavailable
from calendar_sync.core.model import (
    DirectoryAccount,
    DirectoryAccounts,
    MappedUser,
    Platform,
    WelkinUser,
)
from calendar_sync.core.ports import Directory

UNKNOWN, UNKNOWN_OR_SUSPENDED = "no such account", "unknown or suspended"
# Answers for a single account that say more than that it is not there.
_REASONS = {
    GoogleCode.NOT_A_CALENDAR_USER: "no calendar",
    MicrosoftCode.NO_MAILBOX: "no mailbox",
    MicrosoftCode.ACCESS_DENIED: "outside the scope of the app",
    MicrosoftCode.ACCOUNT_UNKNOWN: UNKNOWN,
}
LOOKS_AT_ONCE = 8


@dataclass(frozen=True)
class Proposal:
    """What is said of one user: an account to map, or the reason why none is proposed.

    `rule` is the mapping rule that names the user, and `profile` the one that it gives.
    """

    user_id: str
    email: str
    platform: Platform
    account: str = ""
    reason: str = ""
    profile: str = ""
    rule: str = ""

    @property
    def row(self) -> MappedUser:
        """What the mapping would get."""
        return MappedUser(self.user_id, self.platform, self.account, profile=self.profile)


def names_of(email: str) -> tuple[str, ...]:
    """The address in lower case, and without its "+word" where it has one."""
    email = email.lower()
    local, _, domain = email.rpartition("@")
    plain, plus, _ = local.partition("+")
    return (email, f"{plain}@{domain}") if plus and plain else (email,)


def unmapped(
    staff: Iterable[WelkinUser], rows: Iterable[MappedUser], platform: Platform
) -> list[WelkinUser]:
    """Active users without a row on this platform, a disabled one included."""
    mapped = {row.user_id for row in rows if row.platform is platform}
    return [user for user in staff if user.active and user.id not in mapped]


def propose(
    staff: Iterable[WelkinUser],
    rows: Iterable[MappedUser],
    platform: Platform,
    accounts: DirectoryAccounts,
    reasons: Mapping[str, str] | None = None,
) -> list[Proposal]:
    """One answer for every active user who is not mapped on this platform.

    Args:
        staff: Welkin's users.
        rows: the present mapping.
        platform: one calendar system.
        accounts: its accounts, all of them or those that were looked at.
        reasons: what keeps from an address that is none of them, where more is known than that.
    """
    rows = [row for row in rows if row.platform is platform]
    users = unmapped(staff, rows, platform)
    found = {user.id: candidates_of(user, accounts) for user in users}
    holders: dict[str, str] = {}
    for row in rows:
        account = accounts.of(row.account)
        holders[account.address if account else row.account] = row.user_id
    claims: dict[str, list[str]] = {}
    for user_id, candidates in found.items():
        for address in candidates:
            claims.setdefault(address, []).append(user_id)
    return [
        _proposal(user, platform, found[user.id], claims, holders, reasons or {}) for user in users
    ]


def candidates_of(user: WelkinUser, accounts: DirectoryAccounts) -> dict[str, DirectoryAccount]:
    """The accounts that have the address of this user, by their own address."""
    return {
        account.address: account
        for name in names_of(user.email)
        if user.email
        for account in accounts.named(name)
    }


def _proposal(
    user: WelkinUser,
    platform: Platform,
    candidates: Mapping[str, DirectoryAccount],
    claims: Mapping[str, list[str]],
    holders: Mapping[str, str],
    reasons: Mapping[str, str],
) -> Proposal:
    def answer(account: str = "", reason: str = "") -> Proposal:
        return Proposal(user.id, user.email, platform, account, reason)

    if not user.email:
        return answer(reason="no e-mail address in Welkin")
    if not candidates:
        known = [reasons[name] for name in names_of(user.email) if name in reasons]
        return answer(reason=known[-1] if known else UNKNOWN)
    if len(candidates) > 1:
        return answer(reason=f"ambiguous: {' or '.join(sorted(candidates))}")
    [(address, account)] = candidates.items()
    others = sorted(set(claims[address]) - {user.id})
    if address in holders:
        return answer(address, f"already mapped to {holders[address]}")
    if others:
        return answer(address, f"ambiguous: {', '.join(others)} may own it, too")
    return answer(address, account.unusable)


async def look_at(
    directory: Directory, users: Iterable[WelkinUser]
) -> tuple[DirectoryAccounts, dict[str, str]]:
    """Try each address on its own, if no directory can be read.

    Returns:
        The accounts that answered, and by address what keeps from the others.

    Raises:
        TenantMisconfigured: no account at all can be used.
        TransientError: not now.
    """
    names = list(dict.fromkeys(n for user in users if user.email for n in names_of(user.email)))

    async def reason(name: str) -> str:
        try:
            await directory.look(name)
        except UserUnavailable as error:
            return _REASONS.get(error.code, UNKNOWN_OR_SUSPENDED)
        except NotFound:
            return UNKNOWN_OR_SUSPENDED
        return ""

    found = await together((reason(name) for name in names), LOOKS_AT_ONCE)
    reasons = dict(zip(names, found, strict=True))
    answered = [DirectoryAccount(name) for name in names if not reasons[name]]
    return DirectoryAccounts(answered), {name: why for name, why in reasons.items() if why}
