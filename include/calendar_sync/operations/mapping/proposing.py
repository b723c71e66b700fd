"""Ask Welkin and the directories who could be mapped to which account; nothing is stored of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calendar_sync.config.mapping_rules import MappingRule
from calendar_sync.core.errors import SyncError, TenantMisconfigured
from calendar_sync.core.model import DirectoryAccounts, MappedUser, Platform, WelkinUser
from calendar_sync.core.plurals import plural
from calendar_sync.operations.mapping.conditions import (
    Condition,
    conditions,
    without_directory,
)
from calendar_sync.operations.mapping.proposals import (
    UNKNOWN,
    UNKNOWN_OR_SUSPENDED,
    Proposal,
    candidates_of,
    look_at,
    propose,
    unmapped,
)
from calendar_sync.operations.mapping.ruling import rule_of
from calendar_sync.sync.services import Services

Told = Callable[[str], None]


@dataclass(frozen=True)
class Proposals:
    """What was found; `revision` is of the mapping that `rows` are."""

    revision: int
    rows: list[MappedUser]
    staff: list[WelkinUser]
    all: list[Proposal]

    @property
    def proposed(self) -> list[Proposal]:
        """Accounts to map."""
        return [each for each in self.all if not each.reason]

    @property
    def others(self) -> list[Proposal]:
        """Users for whom none is proposed."""
        return [each for each in self.all if each.reason]

    @property
    def doubtful(self) -> list[Proposal]:
        """Those of them whom a person should look at: the rest has an account elsewhere."""
        found = {each.user_id for each in self.all if each.account}
        elsewhere = found | {row.user_id for row in self.rows}
        return [
            each
            for each in self.others
            if each.reason not in (UNKNOWN, UNKNOWN_OR_SUSPENDED) or each.user_id not in elsewhere
        ]


async def find_proposals(
    services: Services, only: Platform | None = None, told: Told = lambda text: None
) -> Proposals:
    """Match users who are not mapped with accounts; where there are mapping rules, whom they name.

    Args:
        services: both sides.
        only: this calendar system; all without.
        told: gets what a person should know of how it was found.

    Raises:
        SyncError: Welkin or a directory cannot be asked.
    """
    wanted = [only] if only else list(services.directories)
    for platform in wanted:
        if platform not in services.directories:
            raise services.why_not(platform)
    for platform, error in services.unusable.items() if only is None else ():
        told(f"{platform.value}: not asked: {error.detail}")
    config = services.store.config
    rules = config.revision().settings.mapping_rules
    staff = await services.welkin.users()
    if staff:
        config.save_welkin_users(staff, services.clock.now())
    # The number first: a change meanwhile is then refused by the import, not undone.
    revision, rows = config.mapping_revision(), config.mapping()
    found: list[Proposal] = []
    for platform in wanted:
        of_platform = [rule for rule in rules if rule.platform is platform]
        looked = await look_around(services, platform, staff, rows, of_platform, told)
        found += looked.named(platform, staff, told) if of_platform else looked.proposals
    return Proposals(revision, rows, staff, found)


@dataclass(frozen=True)
class Looked:
    """What one calendar system tells: accounts, a proposal a user, and whom rules name."""

    accounts: DirectoryAccounts
    proposals: list[Proposal]
    asked: list[Condition]

    def named(self, platform: Platform, staff: list[WelkinUser], told: Told) -> list[Proposal]:
        """The proposals of those whom rules name, with rule and profile."""
        for each in self.asked:
            if each.fault is not None:
                told(f"{platform.value}: rule {each.rule.name} is skipped: {each.fault.advice}")
        people = {user.id: user for user in staff}
        found = []
        for proposal in self.proposals:
            user = people[proposal.user_id]
            candidates = list(candidates_of(user, self.accounts).values())
            if rules := rule_of(self.asked, user, candidates):
                found.append(replace(proposal, rule=rules[0].name, profile=rules[0].profile))
        if unnamed := len(self.proposals) - len(found):
            users = plural(unnamed, "user")
            told(f"{platform.value}: not proposed, since no mapping rule names them: {users}")
        return found


async def look_around(
    services: Services,
    platform: Platform,
    staff: list[WelkinUser],
    rows: list[MappedUser],
    rules: Sequence[MappingRule],
    told: Told = lambda text: None,
) -> Looked:
    """Ask the directory of one calendar system, else each address that may be mapped.

    Raises:
        SyncError: it cannot be asked.
    """
    directory = services.directories[platform]
    closed: SyncError | None = None
    accounts: DirectoryAccounts | None = None
    try:
        accounts = await directory.accounts()
        closed = None if accounts is not None else without_directory()
    except TenantMisconfigured as error:
        closed = error
        told(f"{platform.value}: {error.detail}; each address is tested on its own")
    asked = await conditions(directory, rules, closed)
    reasons: dict[str, str] = {}
    if accounts is None:
        people = unmapped(staff, rows, platform)
        if rules:
            people = [user for user in people if rule_of(asked, user, ())]
        accounts, reasons = await look_at(directory, people)
    return Looked(accounts, propose(staff, rows, platform, accounts, reasons), asked)
