"""Runs, the state of a platform as a whole, and approvals of held removals."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, exists, insert, or_, select, update

from calendar_sync.core.codes import Code, code_of
from calendar_sync.core.model import Hold, Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.open_items import unanswered

# Facts about Welkin: where deletions are learnt from; whether events keep our ids, and since when;
# what a probe has shown; how many days of a calendar one request may ask for.
WELKIN = "welkin"
ENCOUNTERS_MOVE = "encounters_move"
WINDOW_DAYS = "window_days"
WINDOW_AT = "window_at"
DELETIONS_FROM = "deletions_from"
EXTERNAL_IDS = "external_ids"
EXTERNAL_IDS_AT = "external_ids_at"
SWEEP = "sweep"
# When a row of Welkin's audit log first named an item that really was deleted.
AUDIT_MATCHED_AT = "audit_matched_at"
# Moments with more rows of a feed than a page can show, by feed, and when the last one was found.
SKIPPED, SKIPPED_AT = "feed_skipped", "feed_skipped_at"
# Facts about a calendar system: when it was last asked for changes, and which alerts were sent.
LOOKED_AT = "looked_at"
ALERTED = "alerted"
AUDIT = "audit"
# The reasons for which a cycle holds actions; a full comparison finds whether it still does.
CYCLE_REASONS = ("brake", "write_back", "stray")
BATCH = 500
APPROVAL_LASTS = timedelta(hours=24)

# Made once: see links.py. Every pass and every cycle asks.
_STATE = select(t.platform_state).where(t.platform_state.c.platform == bindparam("of"))
_FACTS = select(t.platform_state.c.facts).where(t.platform_state.c.platform == bindparam("of"))
_HELD_FACTS = _FACTS.with_for_update()
_PENDING = (
    select(t.approval)
    .where(t.approval.c.granted_at.is_(None))
    .order_by(t.approval.c.requested_at.desc(), t.approval.c.digest)
)
_SET_FACTS = update(t.platform_state).where(t.platform_state.c.platform == bindparam("of"))
_IN_FORCE = (
    t.approval.c.platform == bindparam("of"),
    t.approval.c.expires_at > bindparam("now"),
)
_APPROVED = select(t.approval.c.digest).where(t.approval.c.user_id == bindparam("user"), *_IN_FORCE)
_APPROVED_USERS = select(t.approval.c.user_id).where(
    t.approval.c.reason == bindparam("why"), *_IN_FORCE
)


@dataclass(frozen=True)
class PlatformFault:
    """Why no cycle starts on a platform, and since when."""

    code: Code
    since: datetime


@dataclass(frozen=True)
class PendingApproval:
    """Actions of one user that wait for a person: how many, and which rule holds them.

    `steps` counts them by step, `first` and `last` are when the earliest and the latest of them
    begins (ISO 8601); empty where that is not known. `declined` if the answer was to keep
    things as they are for now.
    """

    digest: str
    user_id: str
    platform: Platform
    reason: str
    count: int
    requested_at: datetime
    steps: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    declined: bool = False


@dataclass(frozen=True)
class RecordedRun:
    """One run of a sync, or of the command: how many users had work, what was done."""

    run_id: str
    platform: Platform
    started_at: datetime
    ended_at: datetime | None
    users: int
    failed: int
    done: Mapping[str, int]
    requests: int


#: How the names of runs begin that only tried the sync: the self-test's.
TRIALS = ("test-", "page-")


def _worked(row: Row[Any]) -> bool:
    writes = {step for step in row.summary.get("done", {}) if step != "noted"}
    return bool(writes or row.failed)


def _recorded(row: Row[Any]) -> RecordedRun:
    return RecordedRun(
        row.run_id,
        Platform(row.platform),
        row.started_at,
        row.ended_at,
        row.users,
        row.failed,
        row.summary.get("done", {}),
        sum(n for kind, n in row.summary.get("requests", {}).items() if kind != "throttled"),
    )


def _asked_anew(now: datetime) -> dict[str, Any]:
    """The new values of an approval's row if it is needed once more."""
    declined = t.approval.c.declined_at
    lasting = case((declined > now - APPROVAL_LASTS, declined), else_=None)
    cleared = {"granted_at": None, "granted_by": None, "expires_at": None}
    return {"requested_at": now, **cleared, "declined_at": lasting}


def about(hold: Hold) -> dict[str, Any]:
    """What a hold would do: how many of which step, and from when to when."""
    begins = sorted(str(action.span).partition("/")[0] for action in hold.actions)
    steps = Counter(action.step.value for action in hold.actions)
    return {"steps": dict(steps), "first": begins[0], "last": begins[-1]} if begins else {}


class RunStore:
    """Reads and writes what concerns more than one user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run_id: str, platform: Platform, now: datetime) -> None:
        """A run has begun: it has a row even if it is never closed."""
        row = self._database.insert(t.sync_run).on_conflict_do_nothing()
        values: dict[str, Any] = {
            "run_id": run_id,
            "platform": platform.value,
            "started_at": now,
            "summary": {},
        }
        with self._database.write() as connection:
            connection.execute(row, values)

    def unclosed(self, platform: Platform, before: datetime) -> dict[str, datetime]:
        """Runs that began before then and were never closed, with their beginning."""
        table = t.sync_run.c
        query = select(table.run_id, table.started_at).where(
            table.platform == platform.value, table.started_at < before, table.ended_at.is_(None)
        )
        with self._database.read() as connection:
            return {row.run_id: row.started_at for row in connection.execute(query)}

    def record(
        self,
        run_id: str,
        platform: Platform,
        started_at: datetime,
        ended_at: datetime,
        users: int,
        failed: int,
        summary: Mapping[str, Any],
    ) -> None:
        """One row a run; a cleared run is written again."""
        values = {
            "started_at": started_at,
            "ended_at": ended_at,
            "users": users,
            "failed": failed,
            "summary": dict(summary),
        }
        statement = self._database.insert(t.sync_run).values(
            run_id=run_id, platform=platform.value, **values
        )
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["run_id", "platform"], set_=values)
            )

    def any_sync(self) -> bool:
        """Users were synced, by Airflow or by the command line, and not only for a test."""
        name = t.sync_run.c.run_id
        trial = or_(*(name.startswith(each) for each in TRIALS))
        with self._database.read() as connection:
            ended = t.sync_run.c.ended_at.is_not(None)
            return bool(connection.scalar(select(exists().where(~trial, ended))))

    def empty(self, platform: Platform, run_ids: Collection[str]) -> set[str]:
        """Which of these runs wrote nothing and had no failed users."""
        table, found = t.sync_run, set()
        wanted = list(run_ids)
        with self._database.read() as connection:
            for first in range(0, len(wanted), BATCH):
                query = select(table).where(
                    table.c.platform == platform.value,
                    table.c.run_id.in_(wanted[first : first + BATCH]),
                )
                found |= {row.run_id for row in connection.execute(query) if not _worked(row)}
        return found

    def known(self, platform: Platform, run_ids: Iterable[str]) -> set[str]:
        """Which of these runs have a row."""
        table, found, wanted = t.sync_run.c, set[str](), list(run_ids)
        with self._database.read() as connection:
            for first in range(0, len(wanted), BATCH):
                query = select(table.run_id).where(
                    table.platform == platform.value,
                    table.run_id.in_(wanted[first : first + BATCH]),
                )
                found.update(connection.scalars(query))
        return found

    def recent(self, platform: Platform | None, newest: int, *, working: bool) -> list[RecordedRun]:
        """The newest runs, newest first; with `working` those that did something."""
        table = t.sync_run
        query = select(table).order_by(table.c.started_at.desc(), table.c.run_id)
        if platform is not None:
            query = query.where(table.c.platform == platform.value)
        query = query.execution_options(yield_per=BATCH) if working else query.limit(newest)
        with self._database.read() as connection, connection.execute(query) as rows:
            wanted = (row for row in rows if _worked(row) or not working)
            return [_recorded(row) for row in islice(wanted, newest)]

    def forget(self, empty_before: datetime, before: datetime) -> int:
        """Drop the rows of empty runs from before the one, of all from before the other moment."""
        table = t.sync_run
        query = select(table).where(table.c.started_at < empty_before)
        with self._database.write() as connection:
            rows = [
                {"run": row.run_id, "of": row.platform}
                for row in connection.execute(query)
                if row.started_at < before or not _worked(row)
            ]
            statement = delete(table).where(
                table.c.run_id == bindparam("run"), table.c.platform == bindparam("of")
            )
            if rows:
                connection.execute(statement, rows)
        return len(rows)

    def drop(self, platform: Platform, run_ids: Collection[str]) -> None:
        """Drop the rows of these runs."""
        table = t.sync_run
        statement = delete(table).where(
            table.c.platform == platform.value, table.c.run_id.in_(list(run_ids))
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def record_drift(
        self,
        connection: Connection,
        pair: tuple[str, Platform],
        writes: Mapping[str, int],
        now: datetime,
    ) -> None:
        """What a day's full comparison had to write, by reason: changes that were missed."""
        if writes:
            user_id, platform = pair
            row = insert(t.drift).values(
                at=now, user_id=user_id, platform=platform.value, writes=dict(writes)
            )
            connection.execute(row)

    # --- platform faults ----------------------------------------------------------------------

    def fault(self, platform: Platform) -> PlatformFault | None:
        """The fault that keeps cycles from starting, if any."""
        with self._database.read() as connection:
            row = connection.execute(_STATE, {"of": platform.value}).one_or_none()
        if row is None or row.fault_code is None:
            return None
        return PlatformFault(code_of(row.fault_code), row.fault_since)

    def set_fault(self, platform: Platform, code: Code | None, now: datetime) -> None:
        """Raise, keep or (None) end the fault."""
        before = self.fault(platform)
        since = before.since if before is not None and code is not None else now
        values = {"fault_code": code, "fault_since": since if code else None}
        statement = self._database.insert(t.platform_state).values(
            platform=platform.value, facts={}, **values
        )
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["platform"], set_=values)
            )

    def facts(self, platform: str) -> dict[str, Any]:
        """Facts about a platform or about Welkin, for example for the health report."""
        with self._database.read() as connection:
            facts = connection.scalar(_FACTS, {"of": platform})
        return dict(facts or {})

    def set_facts(self, platform: str, **facts: Any) -> None:
        """Add or change facts; those that another process adds meanwhile stay."""
        with self._database.write() as connection:
            known = connection.scalar(_HELD_FACTS, {"of": platform})
            if known is None:
                # There must be a row to lock.
                row = self._database.insert(t.platform_state).on_conflict_do_nothing()
                connection.execute(row, {"platform": platform, "facts": {}})
                known = connection.scalar(_HELD_FACTS, {"of": platform}) or {}
            connection.execute(_SET_FACTS, {"of": platform, "facts": {**known, **facts}})

    def take_fact(self, platform: str, name: str) -> Any:
        """Delete a fact and return it: only one process gets it, all others None."""
        table = t.platform_state
        mine = table.c.platform == platform
        with self._database.write() as connection:
            facts = dict(
                connection.scalar(select(table.c.facts).where(mine).with_for_update()) or {}
            )
            taken = facts.pop(name, None)
            if taken is not None:
                connection.execute(update(table).where(mine).values(facts=facts))
        return taken

    # --- approvals ----------------------------------------------------------------------------

    def request_approval(self, hold: Hold, user_id: str, platform: Platform, now: datetime) -> None:
        """Store that actions wait for a person; an approval that has expired is needed again."""
        statement = self._database.insert(t.approval).values(
            digest=hold.digest,
            user_id=user_id,
            platform=platform.value,
            reason=hold.reason,
            removals=len(hold.actions),
            requested_at=now,
            details=about(hold),
        )
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["digest", "user_id", "platform"],
                    set_={"details": about(hold), **_asked_anew(now)},
                    where=or_(t.approval.c.expires_at <= now, t.approval.c.granted_at.is_(None)),
                )
            )

    def withdraw(
        self, connection: Connection, pair: tuple[str, Platform], still: Iterable[str]
    ) -> None:
        """After a full comparison: delete the approvals of holds that it did not find again."""
        user_id, platform = pair
        table = t.approval
        connection.execute(
            delete(table).where(
                table.c.user_id == user_id,
                table.c.platform == platform.value,
                table.c.granted_at.is_(None),
                table.c.reason.in_(CYCLE_REASONS),
                table.c.digest.not_in(list(still)),
            )
        )

    def ask_for(
        self,
        reason: str,
        digest: str,
        counts: Mapping[str, int],
        platform: Platform,
        now: datetime,
    ) -> None:
        """Store one approval for these users together, and delete others for this reason.

        One that has expired waits again.
        """
        table = t.approval
        stale = (
            delete(table)
            .where(table.c.reason == reason, table.c.platform == platform.value)
            .where(table.c.granted_at.is_(None), table.c.digest != digest)
        )
        with self._database.write() as connection:
            connection.execute(stale)
            for user_id, count in sorted(counts.items()):
                row = self._database.insert(table).values(
                    digest=digest,
                    user_id=user_id,
                    platform=platform.value,
                    reason=reason,
                    removals=count,
                    requested_at=now,
                )
                connection.execute(
                    row.on_conflict_do_update(
                        index_elements=["digest", "user_id", "platform"],
                        set_={"removals": count, **_asked_anew(now)},
                        where=table.c.expires_at <= now,
                    )
                )

    def approved_users(self, reason: str, platform: Platform, now: datetime) -> set[str]:
        """Users for whom something of this kind may be done now."""
        named = {"why": reason, "of": platform.value, "now": now}
        with self._database.read() as connection:
            return set(connection.scalars(_APPROVED_USERS, named))

    def pending(self) -> list[PendingApproval]:
        """What waits for a person, newest first."""
        with self._database.read() as connection:
            return [
                PendingApproval(
                    row.digest,
                    row.user_id,
                    Platform(row.platform),
                    row.reason,
                    row.removals,
                    row.requested_at,
                    **(row.details or {}),
                    declined=row.declined_at is not None,
                )
                for row in connection.execute(_PENDING)
            ]

    def decline(
        self, connection: Connection, digest: str, now: datetime
    ) -> list[tuple[str, Platform]]:
        """Keep things as they are for a day; returns the users concerned."""
        table = t.approval
        waiting = (table.c.digest == digest) & unanswered()
        rows = connection.execute(
            select(table.c.user_id, table.c.platform).where(waiting).with_for_update()
        ).all()
        connection.execute(update(table).where(waiting).values(declined_at=now))
        return [(row.user_id, Platform(row.platform)) for row in rows]

    def approved(self, user_id: str, platform: Platform, now: datetime) -> frozenset[str]:
        """Digests that may be carried out now."""
        named = {"user": user_id, "of": platform.value, "now": now}
        with self._database.read() as connection:
            return frozenset(connection.scalars(_APPROVED, named))

    def grant(
        self, connection: Connection, digest: str, author: str, now: datetime
    ) -> list[tuple[str, Platform]]:
        """Approve what waits under this digest for 24 hours; returns the users concerned."""
        table = t.approval
        waiting = (table.c.digest == digest) & table.c.granted_at.is_(None)
        rows = connection.execute(
            select(table.c.user_id, table.c.platform).where(waiting).with_for_update()
        ).all()
        connection.execute(
            update(table)
            .where(waiting)
            .values(
                granted_at=now,
                granted_by=author,
                expires_at=now + APPROVAL_LASTS,
                declined_at=None,
            )
        )
        return [(row.user_id, Platform(row.platform)) for row in rows]
