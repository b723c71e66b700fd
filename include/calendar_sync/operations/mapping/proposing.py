"""Ask Welkin and the directories who could be mapped to which account; nothing is stored of it."""

from collections.abc import Callable
from dataclasses import dataclass

from calendar_sync.core.errors import ConfigurationError, TenantMisconfigured
from calendar_sync.core.model import MappedUser, Platform, WelkinUser
from calendar_sync.operations.mapping.proposals import (
    UNKNOWN,
    UNKNOWN_OR_SUSPENDED,
    Proposal,
    look_at,
    propose,
    unmapped,
)
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
    """Match users who are not mapped with accounts.

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
            raise ConfigurationError(detail=f"no connection for {platform.value} is configured")
    config = services.store.config
    staff = await services.welkin.users()
    if staff:
        config.save_welkin_users(staff, services.clock.now())
    # The number first: a change meanwhile is then refused by the import, not undone.
    revision, rows = config.mapping_revision(), config.mapping()
    found: list[Proposal] = []
    for platform in wanted:
        found += await _of_platform(services, platform, staff, rows, told)
    return Proposals(revision, rows, staff, found)


async def _of_platform(
    services: Services,
    platform: Platform,
    staff: list[WelkinUser],
    rows: list[MappedUser],
    told: Told,
) -> list[Proposal]:
    directory = services.directories[platform]
    try:
        accounts = await directory.accounts()
    except TenantMisconfigured as error:
        accounts = None
        told(f"{platform.value}: {error.detail}; each address is tested on its own")
    if accounts is not None:
        return propose(staff, rows, platform, accounts)
    answered, reasons = await look_at(directory, unmapped(staff, rows, platform))
    return propose(staff, rows, platform, answered, reasons)
