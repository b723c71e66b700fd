"""Verdicts on accounts, and reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, delete, insert, select, update

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database


@dataclass(frozen=True)
class Checked:
    """What the check of one mapped user found; `code` is of the answer that decided it.

    `since` is when this verdict was first given in a row, `checked_at` when last.
    """

    user_id: str
    platform: Platform
    account: str
    verdict: str
    code: str
    since: datetime
    checked_at: datetime


@dataclass(frozen=True)
class StoredReport:
    """One report: `document` for programs, `html` for people. `attention` counts what needs one."""

    id: int
    at: datetime
    run_id: str
    attention: int
    document: Mapping[str, Any]
    html: str
    sent_at: datetime | None
    not_sent_because: str


class HealthStore:
    """Reads and writes what the health check finds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_verdicts(self, found: Iterable[Checked]) -> None:
        """Store the newest verdict of each user; if nothing is known, the previous one stays."""
        table = t.verdict
        rows = [
            {
                "user_id": one.user_id,
                "platform": one.platform.value,
                "account": one.account,
                "verdict": one.verdict,
                "code": one.code[:64],
                "since": one.since,
                "checked_at": one.checked_at,
            }
            for one in found
            if one.verdict != "not_answering"
        ]
        if not rows:
            return
        statement = self._database.insert(table)
        new = statement.excluded
        same = (table.c.verdict == new.verdict) & (table.c.account == new.account)
        statement = statement.on_conflict_do_update(
            index_elements=["user_id", "platform"],
            set_={
                "account": new.account,
                "verdict": new.verdict,
                "code": new.code,
                "since": case((same, table.c.since), else_=new.since),
                "checked_at": new.checked_at,
            },
        )
        with self._database.write() as connection:
            connection.execute(statement, rows)

    def verdicts(self, platform: Platform | None = None) -> list[Checked]:
        """The newest verdict of each user who is mapped and enabled."""
        table, mapping = t.verdict, t.user_mapping
        query = (
            select(table)
            .join(
                mapping,
                (mapping.c.user_id == table.c.user_id)
                & (mapping.c.platform == table.c.platform)
                & (mapping.c.account == table.c.account),
            )
            .where(mapping.c.enabled.is_(True))
            .order_by(table.c.platform, table.c.account)
        )
        if platform is not None:
            query = query.where(table.c.platform == platform.value)
        with self._database.read() as connection:
            return [_checked(row) for row in connection.execute(query)]

    def save_report(
        self, run_id: str, at: datetime, attention: int, document: Mapping[str, Any], html: str
    ) -> int:
        """Keep a report; returns its number."""
        values = {
            "at": at,
            "run_id": run_id,
            "attention": attention,
            "document": dict(document),
            "html": html,
        }
        with self._database.write() as connection:
            key = connection.execute(insert(t.report).values(values)).inserted_primary_key
        return int(key[0]) if key else 0

    def sent(self, number: int, at: datetime | None, because: str = "") -> None:
        """Note that a report was sent, or why not."""
        with self._database.write() as connection:
            connection.execute(
                update(t.report)
                .where(t.report.c.id == number)
                .values(sent_at=at, not_sent_because=because[:255])
            )

    def report(self, number: int | None = None) -> StoredReport | None:
        """One report, or the newest."""
        query = select(t.report).order_by(t.report.c.id.desc()).limit(1)
        if number is not None:
            query = query.where(t.report.c.id == number)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return StoredReport(**row._mapping) if row is not None else None

    def reports(self, newest: int) -> list[StoredReport]:
        """The newest reports, newest first."""
        query = select(t.report).order_by(t.report.c.id.desc()).limit(newest)
        with self._database.read() as connection:
            return [StoredReport(**row._mapping) for row in connection.execute(query)]

    def forget_before(self, moment: datetime) -> int:
        """Delete reports and drift from before then; returns how many rows."""
        with self._database.write() as connection:
            return sum(
                connection.execute(delete(table).where(table.c.at < moment)).rowcount
                for table in (t.report, t.drift)
            )


def _checked(row: Row[Any]) -> Checked:
    values = dict(row._mapping)
    values["platform"] = Platform(values["platform"])
    return Checked(**values)
