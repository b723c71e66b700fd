"""What the tasks of `calendar_unsync` do."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError, UsersFailed
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.operations.unsync import AUTHOR, SyncedItems, Unsynced, disable, standing, unsync
from calendar_sync.orchestration.running import run, with_store
from calendar_sync.orchestration.tasks.approvals import listed
from calendar_sync.state.config import Revision
from calendar_sync.state.seals import seal
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

GROUP = 20
# Airflow refuses to map a task over more than 1,024 values (`max_map_length`).
GROUPS = 1000
BOTH = "both"


def ask(users: Sequence[str], *, everybody: bool, platform: str) -> dict[str, str]:
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

    async def work(services: Services, revision: Revision) -> list[SyncedItems]:
        rows = standing(services.store, _platforms(platform), users)
        count = disable(services, rows, f"{AUTHOR}:{author}")
        logger.info("%d rows of the mapping disabled", count)
        return rows

    rows = [asdict(row) for row in run(work)]
    size = max(GROUP, -(-len(rows) // GROUPS))
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def clean_up(
    group: Sequence[dict[str, Any]], *, run_id: str, owner: str
) -> tuple[str, list[dict[str, Any]]]:
    """Remove what is ours for one group; returns the label and one row an account."""

    async def work(services: Services, revision: Revision) -> list[Unsynced]:
        rows = [SyncedItems(**{**row, "platform": Platform(row["platform"])}) for row in group]
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


def prove(run_id: str, rows: Sequence[dict[str, Any]], *, expected: int) -> dict[str, int]:
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
    """Fail for accounts where mirrors or blocks are left, or may be.

    Raises:
        UsersFailed: names them.
    """
    if labels := [row["label"] for row in rows if not row["clean"]]:
        raise UsersFailed(detail="; ".join(labels))


def _platforms(platform: str) -> list[Platform]:
    return list(Platform) if platform == BOTH else [Platform(platform)]


def _body(users: dict[str, int], note: str) -> str:
    return f"{listed(users)}\n\n{note}"
