"""The body of the last task of a run: its record, its alarms, its messages.

A module of its own, so that the tasks that sync need not import what this one does.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from calendar_sync.core.model import Platform
from calendar_sync.orchestration.alarms import raise_alarms
from calendar_sync.orchestration.metrics import emit_run
from calendar_sync.orchestration.people import tell_people
from calendar_sync.orchestration.running import with_store
from calendar_sync.state import Store
from calendar_sync.sync.runner import close_lost_runs, store_run

logger = logging.getLogger(__name__)


def rows_of(pushed: Any) -> list[dict[str, Any]]:
    """All rows in what `xcom_pull` gave: nothing, one, one list, or one a mapped task."""
    if isinstance(pushed, dict):
        return [pushed]
    if pushed is None or isinstance(pushed, str):
        return []
    return [row for part in pushed for row in rows_of(part)]


def close_run(
    platform: str,
    run_id: str,
    started_at: datetime,
    rows: Sequence[dict[str, Any]],
    requests: Sequence[dict[str, int]] = (),
) -> str:
    """Write the run's row, seal its operations, emit metrics, raise alarms; returns the seal."""
    total: Counter[str] = Counter()
    for each in requests:
        total.update(each)

    def work(store: Store) -> str:
        now = store.database.clock().now()
        seal = store_run(store, Platform(platform), run_id, started_at, rows, now, total)
        emit_run(store, Platform(platform), rows, total, now)
        close_lost_runs(store, Platform(platform), now)
        raise_alarms(store, Platform(platform), now)
        tell_people(store, Platform(platform), now)
        return seal

    seal = with_store(work)
    logger.info("audit seal %s", seal or "(nothing to seal)")
    return seal
