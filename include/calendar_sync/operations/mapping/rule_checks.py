"""Does the directory of a calendar system tell whom the mapping rules name?"""

from collections.abc import Sequence
from dataclasses import replace

from calendar_sync.config.credentials import Fields
from calendar_sync.config.mapping_rules import OF_DIRECTORY, MappingRule
from calendar_sync.config.settings import Limits
from calendar_sync.core.clock import Clock
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Finding, Platform
from calendar_sync.operations.connection_checks import CREDENTIALS, found
from calendar_sync.operations.mapping.conditions import conditions, without_directory
from calendar_sync.sync.runtime import open_directory


def of_directory(rules: Sequence[MappingRule], platform: Platform) -> list[MappingRule]:
    """The rules of this system that its directory must answer."""
    return [rule for rule in rules if rule.platform is platform and rule.condition in OF_DIRECTORY]


async def check_rules(
    fields: Fields, platform: Platform, rules: Sequence[MappingRule], limits: Limits, clock: Clock
) -> list[Finding]:
    """What keeps these rules from being evaluated, with the rule where only one is concerned."""
    try:
        async with open_directory(CREDENTIALS[platform](fields), limits, clock) as directory:
            closed: SyncError | None = None
            try:
                if await directory.accounts() is None:
                    closed = without_directory()
            except SyncError as error:
                closed = error
            asked = await conditions(directory, rules, closed)
    except SyncError as error:
        return [found(error)]
    faults = [
        replace(each.fault, account=f"rule {each.rule.name}")
        for each in asked
        if each.fault is not None
    ]
    if faults and len(faults) == len(rules) and len({each.code for each in faults}) == 1:
        return [replace(faults[0], account="")]
    return faults
