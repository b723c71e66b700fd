"""Evaluate the mapping rules: add who joins, disable who leaves, and say what a person must decide.

Runs daily, and by hand. Nobody is disabled because of a rule that cannot be evaluated or that names
nobody, and many at once only after approval, as when people leave Welkin.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection

from calendar_sync.config.mapping_rules import MappingRule
from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import Code, RuleCode
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Finding, MappedUser, Platform, WelkinUser
from calendar_sync.insight.mapping_rules import (
    KEPT,
    Contradiction,
    Evaluation,
    RuleChange,
    RuleDoubt,
    RuleState,
)
from calendar_sync.operations.mapping.proposals import UNKNOWN, UNKNOWN_OR_SUSPENDED
from calendar_sync.operations.mapping.proposing import look_around
from calendar_sync.operations.mapping.ruling import Decision, Ruling, decide
from calendar_sync.state.marks import Pair
from calendar_sync.state.rules import RuleRow, of_rule
from calendar_sync.sync.roster import LEFT_RULE, too_many
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)
AUTHOR = "mapping rules"


class Mode(StrEnum):
    """What is stored: nothing; what needs nobody's consent; or all that the rules want."""

    DRY_RUN = "dry_run"
    DAILY = "daily"
    APPLY = "apply"


@dataclass
class _Wanted:
    """What all rules want together, by what becomes of it."""

    now: list[Decision] = field(default_factory=list)
    waiting: list[Decision] = field(default_factory=list)
    held: list[Decision] = field(default_factory=list)
    moved: list[RuleRow] = field(default_factory=list)
    doubts: list[RuleDoubt] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    states: list[RuleState] = field(default_factory=list)
    unruled: int = 0


async def evaluate(services: Services, mode: Mode, author: str = AUTHOR) -> Evaluation:
    """Ask Welkin and the directories, and do what the mode allows; the result is kept.

    A fault of one rule, or of one calendar system, concerns only that.

    Raises:
        SyncError: Welkin's list of users cannot be read, or the mapping cannot be stored.
    """
    store, settings = services.store, services.store.config.revision().settings
    try:
        found = await _evaluate(services, settings, mode, author)
    except SyncError as error:
        if mode is not Mode.DRY_RUN:
            at = services.clock.now().isoformat()
            failed = Evaluation(at, failed=error.code.value, advice=error.remedy)
            store.rules.save_result(asdict(failed))
        raise
    if mode is not Mode.DRY_RUN:
        store.rules.save_result(asdict(found))
        logger.info("mapping rules: %s", found.sentence)
    return found


async def _evaluate(services: Services, settings: Settings, mode: Mode, author: str) -> Evaluation:
    store, now = services.store, services.clock.now()
    staff = await services.welkin.users() if settings.mapping_rules else []
    if staff:
        store.config.save_welkin_users(staff, now)
    rows, made = store.config.mapping(), store.rules.rows()
    wanted = _Wanted()
    for platform in Platform:
        rules = [rule for rule in settings.mapping_rules if rule.platform is platform]
        if not rules:
            wanted.unruled += sum(1 for row in made.values() if row.platform is platform)
            if mode is not Mode.DRY_RUN:
                _ask(services, platform, [])
            continue
        if fault := await _of_platform(services, platform, rules, staff, rows, made, mode, wanted):
            wanted.states += [_state(rule, fault=fault) for rule in rules]
    done = [] if mode is Mode.DRY_RUN else _store(services, wanted, author)
    emails = {user.id: user.email for user in staff}
    shown = wanted.now if mode is Mode.DRY_RUN else done
    counts = Counter(each.what for each in shown)
    for name in ("waiting", "held", "doubts"):
        counts[name] = len(getattr(wanted, name))
    return Evaluation(
        at=now.isoformat(),
        dry_run=mode is Mode.DRY_RUN,
        mapping_revision=store.config.mapping_revision(),
        rules=wanted.states,
        done=[_change(each) for each in shown[:KEPT]],
        waiting=[_change(each) for each in wanted.waiting[:KEPT]],
        held=[_change(each) for each in wanted.held[:KEPT]],
        doubts=[replace(each, email=emails.get(each.user_id, "")) for each in wanted.doubts[:KEPT]],
        contradictions=wanted.contradictions,
        counts={name: count for name, count in counts.items() if count},
        unruled=wanted.unruled,
    )


async def _of_platform(
    services: Services,
    platform: Platform,
    rules: Sequence[MappingRule],
    staff: list[WelkinUser],
    rows: list[MappedUser],
    made: dict[Pair, RuleRow],
    mode: Mode,
    wanted: _Wanted,
) -> Finding | None:
    """Add to `wanted` what the rules of one calendar system want; or why nothing is known."""
    if platform not in services.directories:
        error = services.why_not(platform)
        return Finding.of(error.code, error.remedy)
    try:
        looked = await look_around(services, platform, staff, rows, rules)
    except SyncError as error:
        return Finding.of(error.code, error.remedy)
    asked = looked.asked
    ruling = decide(platform, staff, rows, made, asked, looked.accounts, looked.proposals)
    for each in ruling.decisions:
        at_once = each.at_once or mode is Mode.APPLY
        (wanted.now if at_once else wanted.waiting).append(each)
    leaving, held = _guarded(services, platform, rows, ruling.leaving, mode)
    wanted.now += leaving
    wanted.held += held
    wanted.moved += ruling.moved
    wanted.doubts += _doubts(platform, ruling, rows)
    wanted.contradictions += [
        Contradiction(rule, other, platform.value, people)
        for (rule, other), people in ruling.contradictions.items()
    ]
    wanted.unruled += ruling.unruled
    many = {each.rule for each in held}
    for condition in asked:
        name, fault = condition.rule.name, condition.fault
        if fault is None and not ruling.named[name]:
            fault = Finding.of(RuleCode.NAMES_NOBODY)
        elif fault is None and name in many:
            fault = Finding.of(RuleCode.LEAVERS_HELD)
        people, owned = ruling.people[name], ruling.rows[name]
        wanted.states.append(_state(condition.rule, people, owned, fault))
    return None


def _guarded(
    services: Services,
    platform: Platform,
    rows: Sequence[MappedUser],
    leaving: list[Decision],
    mode: Mode,
) -> tuple[list[Decision], list[Decision]]:
    """Those who are disabled now, and those for whom a person is asked first."""
    store, now = services.store, services.clock.now()
    enabled = sum(1 for row in rows if row.platform is platform and row.enabled)
    approved = store.runs.approved_users(LEFT_RULE, platform, now) if leaving else set()
    held = [each for each in leaving if each.row.user_id not in approved]
    if not too_many(len(held), enabled, store.config.revision().settings):
        held = []
    if mode is not Mode.DRY_RUN:
        _ask(services, platform, held)
    names = {each.row.user_id for each in held}
    return [each for each in leaving if each.row.user_id not in names], held


def _ask(services: Services, platform: Platform, held: list[Decision]) -> None:
    """Ask a person about these, and withdraw what was asked about others."""
    store = services.store
    asked = any(
        one.reason == LEFT_RULE and one.platform is platform for one in store.runs.pending()
    )
    if not (held or asked):
        return
    users = sorted(each.row.user_id for each in held)
    text = "\n".join([LEFT_RULE, platform.value, *users])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    counts = {user: len(store.links.standing(user, platform)) for user in users}
    store.runs.ask_for(LEFT_RULE, digest, counts, platform, services.clock.now())


def _store(services: Services, wanted: _Wanted, author: str) -> list[Decision]:
    """Store what needs nobody's consent; returns what was, less what changed meanwhile."""
    if not (wanted.now or wanted.moved):
        return []
    store, now = services.store, services.clock.now()
    done: list[Decision] = []
    moved: list[RuleRow] = []

    def edit(rows: list[MappedUser]) -> list[MappedUser]:
        there = {(row.user_id, row.platform): row for row in rows}
        done.clear()
        moved[:] = [one for one in wanted.moved if one.pair in there and one.owns(there[one.pair])]
        taken = {(row.account, row.platform) for row in rows} | {
            (calendar.lower(), row.platform)
            for row in rows
            for calendar in (*row.busy_calendars, row.mirrors_calendar)
        }
        for each in wanted.now:
            key, account = (each.row.user_id, each.row.platform), each.row.account.lower()
            place = (account, each.row.platform)
            if there.get(key) != each.before or (each.before is None and place in taken):
                continue
            there[key] = each.row
            taken.add(place)
            done.append(each)
        return list(there.values())

    def then(connection: Connection) -> None:
        written = [of_rule(each.row, each.rule) for each in done]
        store.rules.save(connection, [*moved, *written], now)

    store.config.edit_mapping(edit, author, now, then=then)
    return done


def _doubts(platform: Platform, ruling: Ruling, rows: Sequence[MappedUser]) -> list[RuleDoubt]:
    """Without those who merely have no account here, but one on the other calendar system."""
    elsewhere = {row.user_id for row in rows if row.platform is not platform}
    return [
        RuleDoubt(rule, platform.value, each.user_id, each.email, each.account, each.reason)
        for rule, each in ruling.doubtful
        if each.reason not in (UNKNOWN, UNKNOWN_OR_SUSPENDED) or each.user_id not in elsewhere
    ]


def _state(
    rule: MappingRule, people: int = 0, rows: int = 0, fault: Finding | None = None
) -> RuleState:
    code: Code | None = fault.code if fault is not None else None
    return RuleState(
        rule.name,
        rule.platform.value,
        rule.in_words,
        rule.profile,
        people,
        rows,
        code.value if code is not None else "",
        fault.advice if fault is not None else "",
    )


def _change(each: Decision) -> RuleChange:
    row = each.row
    found = (each.what, each.rule, row.platform.value, row.user_id, each.email, row.account)
    return RuleChange(*found, row.profile)
