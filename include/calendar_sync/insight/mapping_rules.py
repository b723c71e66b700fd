"""What the last evaluation of the mapping rules found: for the report, the pages and the API."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from calendar_sync.core.codes import RuleCode
from calendar_sync.core.plurals import plural
from calendar_sync.state import Store

ADD, CHANGE, ENABLE, DISABLE = "add", "change", "enable", "disable"
#: So many changes of a kind are kept by name; `counts` has them all.
KEPT = 1000


@dataclass(frozen=True)
class RuleState:
    """One rule: how many people it decides about, how many rows are its, and what is wrong.

    `code` and `advice` are empty if nothing is.
    """

    name: str
    platform: str
    condition: str
    profile: str
    people: int = 0
    rows: int = 0
    code: str = ""
    advice: str = ""


@dataclass(frozen=True)
class RuleChange:
    """What a rule does to one row: add, change (its profile), enable or disable it."""

    what: str
    rule: str
    platform: str
    user_id: str
    email: str
    account: str
    profile: str


@dataclass(frozen=True)
class RuleDoubt:
    """A person whom a rule names and who is not mapped, for this reason."""

    rule: str
    platform: str
    user_id: str
    email: str
    account: str
    reason: str


@dataclass(frozen=True)
class Contradiction:
    """So many people are named by both rules, which give different profiles; the first decides."""

    rule: str
    other: str
    platform: str
    people: int


@dataclass(frozen=True)
class Evaluation:
    """All rules at one time (ISO 8601).

    `done` was stored (nothing of a `dry_run` is), `waiting` are proposals, `held` would be disabled
    once a person approves, `doubts` are not proposed. `counts` says how many of each there are.
    `unruled` are rows of rules that the settings no longer have; they stay. `failed` is the code of
    an evaluation that found nothing, with `advice`.
    """

    at: str
    dry_run: bool = False
    mapping_revision: int = 0
    rules: Sequence[RuleState] = ()
    done: Sequence[RuleChange] = ()
    waiting: Sequence[RuleChange] = ()
    held: Sequence[RuleChange] = ()
    doubts: Sequence[RuleDoubt] = ()
    contradictions: Sequence[Contradiction] = ()
    counts: dict[str, int] = field(default_factory=dict)
    unruled: int = 0
    failed: str = ""
    advice: str = ""

    @property
    def sentence(self) -> str:
        """`2 rows added, 1 disabled; 3 proposals`."""
        done = [
            f"{count} {words}"
            for what, words in _DONE.items()
            if (count := self.counts.get(what, 0))
        ]
        parts = [", ".join(done) if done else "no row changed"]
        if waiting := self.counts.get("waiting", 0):
            parts.append(plural(waiting, "proposal"))
        if held := self.counts.get("held", 0):
            parts.append(f"{held} to disable after approval")
        if doubts := self.counts.get("doubts", 0):
            parts.append(f"{doubts} not proposed")
        return "; ".join(parts)


_DONE = {ADD: "added", CHANGE: "changed", ENABLE: "enabled again", DISABLE: "disabled"}
_READ = TypeAdapter(Evaluation)


@dataclass(frozen=True)
class RuleItem:
    """One thing about the rules that needs attention."""

    platform: str
    rule: str
    code: str
    advice: str


def last_evaluation(store: Store) -> Evaluation | None:
    """What was found last; None before the first, or if another version stored it."""
    try:
        return _READ.validate_python(store.rules.result())
    except ValidationError:
        return None


def to_look_at(found: Evaluation) -> list[RuleItem]:
    """What needs attention, apart from approvals."""
    if found.failed:
        said = f"{RuleCode.NOT_EVALUATED.sentence} {found.failed}: {found.advice}"
        return [RuleItem("", "", RuleCode.NOT_EVALUATED.value, said)]
    items = [
        RuleItem(rule.platform, rule.name, rule.code, rule.advice)
        for rule in found.rules
        if rule.code
    ]
    for each in found.contradictions:
        people = plural(each.people, "person", "people")
        said = f"{RuleCode.RULES_CONTRADICT.sentence} Rule {each.other} also names {people}."
        code = RuleCode.RULES_CONTRADICT.value
        items.append(RuleItem(each.platform, each.rule, code, said))
    waiting: dict[tuple[str, str], int] = {}
    for change in found.waiting:
        key = (change.platform, change.rule)
        waiting[key] = waiting.get(key, 0) + 1
    for (platform, rule), count in waiting.items():
        said = f"{plural(count, 'row')}: {RuleCode.WAITING.sentence}"
        items.append(RuleItem(platform, rule, RuleCode.WAITING.value, said))
    return items
