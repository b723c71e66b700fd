"""Numbers for Airflow's own metrics (StatsD or OpenTelemetry, as Airflow is configured).

Names begin with `calendar_sync.` (behind Airflow's prefix) and carry the platform, so that backends
without tags can tell them apart. They are listed in docs/operations.md.
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from calendar_sync.adapters.http import THROTTLED
from calendar_sync.core.model import Platform
from calendar_sync.insight.status import status
from calendar_sync.insight.user_state import UserState
from calendar_sync.state import Store

_ODD = re.compile(r"[^a-z0-9_.]+")


def emit_run(
    store: Store,
    platform: Platform,
    rows: Iterable[Mapping[str, Any]],
    requests: Mapping[str, int],
    now: datetime,
) -> None:
    """How a platform stands after a run, and what the run did."""
    from airflow.sdk.observability.stats import Stats

    if not _wanted():
        return
    base = f"calendar_sync.{platform.value}"
    for entry in status(store, now, platforms=[platform]):
        Stats.gauge(f"{base}.freshness_seconds", entry.freshness_seconds)
        Stats.gauge(f"{base}.stopped", int(entry.fault is not None))
        Stats.gauge(f"{base}.conflicts", entry.conflicts)
        Stats.gauge(f"{base}.visits_over_busy", entry.overlaps)
        Stats.gauge(f"{base}.parked", entry.parked)
        Stats.gauge(f"{base}.approvals", entry.approvals)
        if entry.push is not None:
            for name, value in asdict(entry.push).items():
                if isinstance(value, int | float):
                    Stats.gauge(f"{base}.push.{name}", value)
        for state in UserState:
            Stats.gauge(f"{base}.users.{_name(state)}", entry.users.get(state, 0))
    done: Counter[str] = Counter()
    for row in rows:
        done.update(row["done"])
    for step, count in done.items():
        Stats.incr(f"{base}.writes.{_name(step)}", count)
    for kind, count in requests.items():
        name = f"{base}.throttled" if kind == THROTTLED else f"{base}.requests.{_name(kind)}"
        Stats.incr(name, count)


def emit_health(entries: Iterable[Mapping[str, Any]]) -> None:
    """What the health check found, by platform: verdicts and drift (the report's `platforms`)."""
    from airflow.sdk.observability.stats import Stats

    for entry in entries:
        base = f"calendar_sync.{entry['platform']}"
        for verdict, count in entry["verdicts"].items():
            Stats.gauge(f"{base}.verdicts.{_name(verdict)}", count)
        Stats.gauge(f"{base}.drift", sum(entry["drift"]["writes"].values()))


def _wanted() -> bool:
    """Metrics are collected; otherwise nothing needs to be counted."""
    from airflow.sdk.configuration import conf

    ways = ("statsd_on", "statsd_datadog_enabled", "otel_on")
    return any(conf.getboolean("metrics", way, fallback=False) for way in ways)


def _name(text: str) -> str:
    return _ODD.sub("_", text.lower())
