"""The bodies of the tasks beside the sync: health, approvals, un-sync.

Everything that is returned, raised or logged here is free of patient data.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import tzinfo
from functools import partial
from typing import Any

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError, UsersFailed
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.health import accounts
from calendar_sync.insight.health.keeping import keep
from calendar_sync.operations.approvals import Waiting, decline, grant, grouped, waiting
from calendar_sync.operations.unsync import AUTHOR, Standing, Unsynced, disable, standing, unsync
from calendar_sync.orchestration.airflow_questions import pages_address
from calendar_sync.orchestration.metrics import emit_health
from calendar_sync.orchestration.notify import send
from calendar_sync.orchestration.running import run, with_store
from calendar_sync.state import Store
from calendar_sync.state.config import Revision
from calendar_sync.state.seals import seal
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

GROUP = 20
# Airflow refuses to map a task over more than 1,024 values (`max_map_length`).
QUESTIONS = 100
GROUPS = 1000
BOTH = "both"

# --- health -----------------------------------------------------------------------------------


def list_accounts() -> list[dict[str, Any]]:
    """Everybody who is mapped, in groups for mapped tasks. Welkin is asked here, and only here."""

    async def work(services: Services, revision: Revision) -> list[accounts.Group]:
        return await accounts.groups(services)

    return [asdict(one) for one in run(work, own_tokens=True)]


def validate_accounts(group: dict[str, Any]) -> str:
    """Check the users of one group; returns the label."""
    platform = Platform(group["platform"])
    made = accounts.Group(platform, tuple(group["users"]), group["known"])

    async def work(services: Services, revision: Revision) -> str:
        found = await accounts.validate(services, revision.settings, made)
        for one in found:
            if one.verdict != "ok":
                logger.warning("%s: %s %s", one.account, one.verdict, one.code)
        return accounts.label(platform, found)

    return run(work, own_tokens=True)


@dataclass(frozen=True)
class Reported:
    """A stored report; `not_sent_because` is empty if it was sent."""

    id: int
    attention: int
    not_sent_because: str


def report(run_id: str, *, checked: bool = True) -> Reported:
    """Put the report together, keep it, and send it if somebody wants it.

    Args:
        run_id: of the DAG run, or of the command.
        checked: the accounts could be looked at.
    """

    def work(store: Store) -> Reported:
        kept = keep(store, run_id, SystemClock().now(), checked=checked)
        emit_health(kept.report.document["platforms"])
        attention, notify = kept.report.attention, kept.notify
        if (attention and notify.alerts) or notify.daily_summary:
            reason = send(notify, kept.message)
        else:
            reason = "nothing needs attention, and daily summaries are off"
        store.health.sent(kept.id, None if reason else kept.at, reason)
        return Reported(kept.id, attention, reason)

    done = with_store(work)
    how = done.not_sent_because or "sent"
    logger.info("report %d: %d to look at; %s", done.id, done.attention, how)
    return done


# --- approvals --------------------------------------------------------------------------------


def list_waiting() -> list[dict[str, str]]:
    """What waits for a person, as questions: digest, subject, body (Markdown)."""

    def work(store: Store) -> list[dict[str, str]]:
        zone = store.config.revision().settings.zone()
        return [
            {"digest": one.digest, "subject": one.question, "body": _question(one, zone)}
            for one in grouped(waiting(store), QUESTIONS)
        ]

    return with_store(work)


def _question(one: Waiting, zone: tzinfo) -> str:
    """Users and counts, dates, the reason, and where to see the items."""
    when = one.when(zone)
    since = f"Waiting since {one.since.astimezone(zone):%Y-%m-%d %H:%M} ({zone})."
    parts = [
        _list(one.users),
        f"Dates: {when}." if when else "",
        one.why,
        f"{since} An approval is valid for 24 hours.",
        "You can also see the items and answer on the page "
        f"[Attention]({pages_address()}/attention). Approval `{one.digest}`.",
    ]
    return "\n\n".join(part for part in parts if part)


def approve(digest: str, author: str) -> int:
    """Grant this, or all of these (with commas); returns how many users it concerns."""
    count = 0
    for one in digest.split(","):
        users = with_store(partial(grant, digest=one, author=author, now=SystemClock().now()))
        logger.info("approval %s by %s: %d users", one, author, users)
        count += users
    return count


def leave(digest: str, author: str) -> int:
    """Keep for now: nothing happens, and the question is not asked again for a day."""
    count = 0
    for one in digest.split(","):
        users = with_store(partial(decline, digest=one, author=author, now=SystemClock().now()))
        logger.info("approval %s declined by %s: %d users", one, author, users)
        count += users
    return count


def short(digest: str) -> str:
    """One digest as it is, of several the first and their number."""
    first, *others = digest.split(",")
    return f"{first} and {len(others)} more" if others else first


# --- un-sync ----------------------------------------------------------------------------------


def ask_unsync(users: Sequence[str], *, everybody: bool, platform: str) -> dict[str, str]:
    """The question before an un-sync, with the number of events for each account.

    Raises:
        ConfigurationError: no users are given, or there is nothing to delete.
    """
    if bool(users) == everybody:
        raise ConfigurationError(detail="give either Users or Everybody")
    rows = with_store(lambda store: standing(store, _platforms(platform), users))
    if not rows:
        raise ConfigurationError(detail="no users are mapped, and no synced events are left")
    mirrors, blocks = (sum(getattr(row, kind) for row in rows) for kind in ("mirrors", "blocks"))
    named = {f"{row.account} ({row.platform})": row.mirrors + row.blocks for row in rows}
    return {
        "subject": f"Delete {plural(mirrors, 'synced event')} and {plural(blocks, 'busy block')} "
        f"of {plural(len(rows), 'account')}?",
        "body": _body(named, "Their rows of the mapping are disabled first."),
    }


def switch_off(users: Sequence[str], *, platform: str, author: str) -> list[list[dict[str, Any]]]:
    """Disable the mapping's rows; returns the accounts to clean, in groups."""

    async def work(services: Services, revision: Revision) -> list[Standing]:
        rows = standing(services.store, _platforms(platform), users)
        count = disable(services, rows, f"{AUTHOR}:{author}")
        logger.info("%d rows of the mapping disabled", count)
        return rows

    rows = [asdict(row) for row in run(work)]
    size = max(GROUP, -(-len(rows) // GROUPS))
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def unsync_group(
    group: Sequence[dict[str, Any]], *, run_id: str, owner: str
) -> tuple[str, list[dict[str, Any]]]:
    """Remove what is ours for one group; returns the label and one row an account."""

    async def work(services: Services, revision: Revision) -> list[Unsynced]:
        rows = [Standing(**{**row, "platform": Platform(row["platform"])}) for row in group]
        return await unsync(services, revision, rows, run_id=run_id, owner=owner)

    results = run(work)
    for result in results:
        getattr(logger, "info" if result.clean else "warning")("%s", result.label)
    clean = sum(result.clean for result in results)
    label = (
        results[0].label
        if len(results) == 1
        else f"{clean} of {plural(len(results), 'account')} cleaned up"
    )
    rows = [{**asdict(result), "clean": result.clean, "label": result.label} for result in results]
    return label, rows


def prove_unsync(run_id: str, rows: Sequence[dict[str, Any]], *, expected: int) -> dict[str, int]:
    """Seal the operations, and say what was removed and what is left.

    Raises:
        UsersFailed: something is left, names accounts; or some of those expected are missing.
    """
    made = with_store(lambda store: seal(store, run_id, SystemClock().now()))
    logger.info("audit seal %s", made or "(nothing to seal)")
    counts = {
        "accounts": len(rows),
        "removed": sum(sum(row["removed"].values()) for row in rows),
        "left": sum(sum(row["left"].values()) for row in rows),
        "past_blocks_kept": sum(row["history"] for row in rows),
        "failed": sum(not row["clean"] for row in rows),
    }
    logger.info("un-sync: %s", ", ".join(f"{count} {what}" for what, count in counts.items()))
    raise_left(rows)
    if len(rows) != expected:
        raise UsersFailed(
            detail=f"{plural(expected - len(rows), 'account')} not cleaned up: see the tasks"
        )
    return counts


def raise_left(rows: Sequence[dict[str, Any]]) -> None:
    """Fail for accounts where something of ours is left, or may be.

    Raises:
        UsersFailed: names them.
    """
    if labels := [row["label"] for row in rows if not row["clean"]]:
        raise UsersFailed(detail="; ".join(labels))


def _platforms(platform: str) -> list[Platform]:
    return list(Platform) if platform == BOTH else [Platform(platform)]


def _body(users: dict[str, int], note: str) -> str:
    return f"{_list(users)}\n\n{note}"


def _list(users: dict[str, int]) -> str:
    shown = list(users.items())[:50]
    lines = [f"- `{account}`: {count}" for account, count in shown]
    if more := len(users) - len(shown):
        lines.append(f"- and {more} more")
    return "\n".join(lines)
