"""Whom each mapping rule names: asked of the directory, or read from Welkin's list of users."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calendar_sync.config.mapping_rules import MappingRule
from calendar_sync.core.codes import GoogleCode, RuleCode
from calendar_sync.core.errors import NotFound, SyncError, TenantMisconfigured
from calendar_sync.core.model import DirectoryAccount, Finding, GroupMembers, WelkinUser
from calendar_sync.core.ports import Directory

NONE = GroupMembers()


@dataclass(frozen=True)
class Condition:
    """One rule with the members of its group; with a `fault` it is not known whom it names."""

    rule: MappingRule
    members: GroupMembers = NONE
    fault: Finding | None = None

    def names(self, user: WelkinUser, accounts: Iterable[DirectoryAccount]) -> bool:
        """It names this person, who has these accounts. Case matters only in paths of units."""
        wanted = self.rule.value
        match self.rule.condition:
            case "group":
                return any(self.members.has(account) for account in accounts)
            case "org_unit":
                return any(_within(account.org_unit, wanted) for account in accounts)
            case "welkin_role":
                return wanted.casefold() in {name.casefold() for name in user.roles}
            case "welkin_policy":
                return wanted.casefold() in {name.casefold() for name in user.policies}
            case _:
                return user.email.lower().rpartition("@")[2] == wanted


async def conditions(
    directory: Directory, rules: Sequence[MappingRule], closed: SyncError | None
) -> list[Condition]:
    """Ask the directory for the groups that rules name, each once; a fault is a rule's own.

    Args:
        directory: of the rules' calendar system.
        rules: of one calendar system.
        closed: why the directory's accounts cannot be read, None if they can.
    """
    asked: dict[str, GroupMembers | Finding] = {}
    found: list[Condition] = []
    for rule in rules:
        if rule.org_unit and closed is not None:
            found.append(Condition(rule, fault=_finding(closed)))
        elif rule.group:
            if rule.group not in asked:
                asked[rule.group] = await _members(directory, rule.group)
            answer = asked[rule.group]
            if isinstance(answer, Finding):
                found.append(Condition(rule, fault=answer))
            elif closed is not None:
                # Whose accounts the members are, only the accounts tell.
                found.append(Condition(rule, fault=_finding(closed)))
            else:
                found.append(Condition(rule, answer))
        else:
            found.append(Condition(rule))
    return found


def without_directory() -> SyncError:
    """Why nothing can be read of a directory that is not configured."""
    return TenantMisconfigured(
        GoogleCode.DIRECTORY_DENIED,
        detail="the connection has no directory_admin (docs/setup-google.md, step 6)",
    )


async def _members(directory: Directory, group: str) -> GroupMembers | Finding:
    try:
        return await directory.members_of(group)
    except NotFound:
        return Finding.of(RuleCode.GROUP_UNKNOWN, f"{group}: {RuleCode.GROUP_UNKNOWN.in_words}")
    except SyncError as error:
        return _finding(error)


def _finding(error: SyncError) -> Finding:
    return Finding.of(error.code, error.remedy)


def _within(path: str, unit: str) -> bool:
    return path == unit or path.startswith(unit if unit.endswith("/") else f"{unit}/")
