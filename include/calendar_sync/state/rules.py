"""Which rows of the mapping come from which rule, and what the last evaluation of the rules found.

A row belongs to a rule as long as nobody has mapped the user to another account, and nobody has
enabled or disabled the row since the rule wrote it: what a person decides, no rule undoes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import Pair
from calendar_sync.state.runs import RunStore

FACTS = "mapping_rules"
KEYS = ("user_id", "platform")


@dataclass(frozen=True)
class RuleRow:
    """A row of the mapping as a rule wrote it last."""

    user_id: str
    platform: Platform
    rule: str
    account: str
    profile: str
    enabled: bool

    @property
    def pair(self) -> Pair:
        """User and platform."""
        return self.user_id, self.platform

    def owns(self, row: MappedUser) -> bool:
        """No person has mapped, enabled or disabled it since."""
        return row.account == self.account and row.enabled == self.enabled


class RuleStore:
    """Reads and writes what rules have done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self) -> dict[Pair, RuleRow]:
        """All rows that rules wrote, as they wrote them."""
        with self._database.read() as connection:
            found = [_row(row._mapping) for row in connection.execute(select(t.mapping_rule_row))]
        return {row.pair: row for row in found}

    def save(self, connection: Connection, rows: Iterable[RuleRow], now: datetime) -> None:
        """Note what rules wrote."""
        values = [
            {
                "user_id": row.user_id,
                "platform": row.platform.value,
                "rule": row.rule,
                "account": row.account.lower(),
                "profile": row.profile,
                "enabled": row.enabled,
                "at": now,
            }
            for row in rows
        ]
        if values:
            rest = tuple(name for name in values[0] if name not in KEYS)
            connection.execute(self._database.upsert(t.mapping_rule_row, KEYS, rest), values)

    def save_result(self, document: Mapping[str, Any]) -> None:
        """Keep what an evaluation found, in place of the one before."""
        RunStore(self._database).set_facts(FACTS, result=dict(document))

    def result(self) -> dict[str, Any] | None:
        """What the last evaluation found, None before the first."""
        found = RunStore(self._database).facts(FACTS).get("result")
        return dict(found) if isinstance(found, dict) else None


def of_rule(row: MappedUser, rule: str) -> RuleRow:
    """What is noted of a row that a rule writes."""
    return RuleRow(row.user_id, row.platform, rule, row.account, row.profile, row.enabled)


def _row(values: Mapping[Any, Any]) -> RuleRow:
    return RuleRow(
        values["user_id"],
        Platform(values["platform"]),
        values["rule"],
        values["account"],
        values["profile"],
        values["enabled"],
    )
