"""What mapping rules want of the rows of one calendar system. Nothing is asked or stored here.

The first rule that names a person decides. Only rows that a rule has made, and that no person has
changed since, are a rule's to change or disable.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from calendar_sync.config.mapping_rules import MappingRule
from calendar_sync.core.model import (
    DirectoryAccount,
    DirectoryAccounts,
    MappedUser,
    Platform,
    WelkinUser,
)
from calendar_sync.insight.mapping_rules import ADD, CHANGE, DISABLE, ENABLE
from calendar_sync.operations.mapping.conditions import Condition
from calendar_sync.operations.mapping.proposals import Proposal, candidates_of
from calendar_sync.state.marks import Pair
from calendar_sync.state.rules import RuleRow


@dataclass(frozen=True)
class Decision:
    """A row as a rule wants it, and as it is; `at_once` if nobody needs to accept it."""

    what: str
    rule: str
    email: str
    row: MappedUser
    before: MappedUser | None = None
    at_once: bool = False


@dataclass
class Ruling:
    """What the rules of one calendar system want.

    `decisions` add, change and enable rows; `leaving` are to be disabled. `doubtful` are named and
    have no certain account, each with the rule. `moved` rows belong to another rule than before.
    `people` counts whom a rule decides about, `named` all whom it names, `rows` those that it made.
    """

    decisions: list[Decision] = field(default_factory=list)
    leaving: list[Decision] = field(default_factory=list)
    doubtful: list[tuple[str, Proposal]] = field(default_factory=list)
    moved: list[RuleRow] = field(default_factory=list)
    contradictions: Counter[tuple[str, str]] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    unruled: int = 0


def rule_of(
    conditions: Iterable[Condition], user: WelkinUser, accounts: Sequence[DirectoryAccount]
) -> list[MappingRule]:
    """All rules that name this person, the one that decides first."""
    return [each.rule for each in conditions if each.fault is None and each.names(user, accounts)]


def decide(
    platform: Platform,
    staff: Iterable[WelkinUser],
    rows: Iterable[MappedUser],
    made: Mapping[Pair, RuleRow],
    conditions: Sequence[Condition],
    accounts: DirectoryAccounts,
    proposals: Iterable[Proposal],
) -> Ruling:
    """Compare the rules with the mapping.

    Args:
        platform: one calendar system.
        staff: Welkin's list of users, as just read. Who is not in it, is inactive, or cannot be
            read, is left alone.
        rows: the present mapping.
        made: the rows that rules have made, on all systems.
        conditions: the rules of this system in their order.
        accounts: of its directory, or those that were looked at.
        proposals: of this system, one for each active user without a row.
    """
    found = Ruling()
    present = {row.user_id: row for row in rows if row.platform is platform}
    offered = {each.user_id: each for each in proposals}
    usable = {each.rule.name for each in conditions if each.fault is None}
    known = {each.rule.name for each in conditions}
    for user in staff:
        if not user.active or user.unreadable:
            continue
        row = present.get(user.id)
        owner = made.get((user.id, platform))
        if row is not None and (owner is None or not owner.owns(row)):
            owner = None
        rules = rule_of(conditions, user, _accounts(user, row, accounts))
        found.named.update(rule.name for rule in rules)
        if row is not None and owner is None:
            continue
        if owner is not None and row is not None:
            found.rows[owner.rule] += 1
        if rules:
            first, *later = rules
            found.people[first.name] += 1
            for rule in later:
                if rule.profile != first.profile:
                    found.contradictions[first.name, rule.name] += 1
            if row is None:
                _join(found, user, first, offered.get(user.id))
            elif owner is not None:
                _keep(found, user, first, row, owner)
        elif row is not None and owner is not None:
            if owner.rule not in known:
                found.unruled += 1
            elif row.enabled and owner.rule in usable:
                off = replace(row, enabled=False)
                found.leaving.append(Decision(DISABLE, owner.rule, user.email, off, row))
    # A rule that names nobody looks like a fault: a group that was emptied, or renamed.
    found.leaving = [one for one in found.leaving if found.named[one.rule]]
    return found


def _accounts(
    user: WelkinUser, row: MappedUser | None, accounts: DirectoryAccounts
) -> list[DirectoryAccount]:
    if row is None:
        return list(candidates_of(user, accounts).values())
    account = accounts.of(row.account)
    return [account] if account is not None else []


def _join(found: Ruling, user: WelkinUser, rule: MappingRule, offer: Proposal | None) -> None:
    if offer is None:
        return
    if offer.reason:
        found.doubtful.append((rule.name, offer))
        return
    row = replace(offer.row, profile=rule.profile)
    found.decisions.append(Decision(ADD, rule.name, user.email, row, at_once=rule.apply))


def _keep(
    found: Ruling, user: WelkinUser, rule: MappingRule, row: MappedUser, owner: RuleRow
) -> None:
    """The row of a person whom a rule still names, or names again."""
    # A profile that a person has given since stays.
    profile = rule.profile if row.profile == owner.profile else row.profile
    wanted = replace(row, enabled=True, profile=profile)
    if wanted != row:
        what = CHANGE if row.enabled else ENABLE
        decided = Decision(what, rule.name, user.email, wanted, row, at_once=rule.apply)
        found.decisions.append(decided)
    elif owner.rule != rule.name:
        found.moved.append(replace(owner, rule=rule.name))
