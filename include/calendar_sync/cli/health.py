"""`calendar-sync health`, `report` and `runs`: do the accounts work, and what was synced?"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from calendar_sync.cli.environment import load_secrets, new_run_id, open_store
from calendar_sync.cli.output import FAILED, as_json, console, progress_bar, reported
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.health import accounts
from calendar_sync.insight.health.keeping import keep
from calendar_sync.insight.health.render import KINDS
from calendar_sync.insight.step_words import done
from calendar_sync.state import Store
from calendar_sync.state.health import StoredReport
from calendar_sync.sync.runtime import Secrets, open_services

# Names and codes stay whole, and nothing in them is read as markup.
PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def health(
    send: Annotated[
        bool, typer.Option(help="Send the report to the recipients in the settings.")
    ] = False,
    json: Json = False,
) -> None:
    """Check every mapped account and print a report. Exit 1: something needs attention."""
    with reported():
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            asyncio.run(_check(store, secrets, quiet=json))
            kept = keep(store, new_run_id(), SystemClock().now())
            reason = "not asked for"
            if send:
                from calendar_sync.orchestration.notify import send as deliver

                reason = deliver(kept.notify, kept.message)
            store.health.sent(kept.id, None if reason else kept.at, reason)
            found = store.health.report(kept.id)
        _show(found, json=json)
        if send and reason:
            raise ConfigurationError(detail=f"the report was not sent: {reason}")
    if kept.report.attention:
        raise typer.Exit(FAILED)


async def _check(store: Store, secrets: Secrets, *, quiet: bool) -> None:
    revision = store.config.revision()
    limits = revision.settings.limits
    async with open_services(secrets, store.database, limits, own_tokens=True) as services:
        groups = await accounts.groups(services)
        total = sum(len(group.users) for group in groups)
        with progress_bar("accounts", quiet=quiet) as bar:
            done = 0
            for group in groups:
                await accounts.validate(services, revision.settings, group)
                done += len(group.users)
                bar.update(bar.task_ids[0], completed=done, total=total)


def report(
    number: Annotated[
        int | None, typer.Argument(help="Number of the report. Default: the newest.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report to this file as HTML.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a stored report of the DAG sync_health or of `health`."""
    with reported(), open_store() as store:
        found = store.health.report(number)
        if found is None:
            raise ConfigurationError(detail="no such report: `calendar-sync health` makes one")
        if html is not None:
            html.write_text(found.html, encoding="utf-8")
        _show(found, json=json)


def _show(found: StoredReport | None, *, json: bool) -> None:
    if found is None:  # pragma: no cover - it was stored a moment ago
        return
    if json:
        as_json(found.document)
        return
    for item in found.document["items"]:
        who = item["account"] or item["user_id"] or "all users"
        where = f" ({item['platform']})" if item["platform"] else ""
        kind = KINDS.get(item["kind"], item["kind"])
        console.print(f"{who}{where}: {kind}: {item['code']}", style="bold", **PLAIN)
        console.print(f"  {item['advice']}", **PLAIN)
    if more := found.document["more"]:
        console.print(f"and {more} more: --json lists what the report holds")
    for entry in found.document["platforms"]:
        users = ", ".join(f"{count} {state}" for state, count in sorted(entry["users"].items()))
        synced = sum(entry["synced"].values())
        drift = sum(entry["drift"]["writes"].values())
        console.print(
            f"{entry['platform']}: {users}; {plural(synced, 'event')} synced in 24 hours, "
            f"oldest change not yet synced {entry['freshness_seconds']:.0f} s, "
            f"{plural(drift, 'correction')} by the daily comparison",
            **PLAIN,
        )
    if rules := found.document.get("mapping_rules"):
        console.print(f"mapping rules: {rules['in_words']}", **PLAIN)
    console.print(
        f"report {found.id}: "
        + (f"{plural(found.attention, 'item')} to look at" if found.attention else "no problems")
    )


def runs(
    platform: Annotated[Platform | None, typer.Option(help="Only this calendar system.")] = None,
    newest: Annotated[int, typer.Option(help="How many.", min=1, max=10_000)] = 20,
    everything: Annotated[
        bool, typer.Option("--all", help="Include runs that had nothing to do.")
    ] = False,
    json: Json = False,
) -> None:
    """List the newest runs that synced something, newest first."""
    with reported(), open_store() as store:
        found = store.runs.recent(platform, newest, working=not everything)
        rows = [
            {
                "run_id": run.run_id,
                "platform": run.platform.value,
                "started_at": run.started_at,
                "seconds": (run.ended_at - run.started_at).total_seconds()
                if run.ended_at
                else None,
                "users": run.users,
                "failed": run.failed,
                "done": {step: count for step, count in run.done.items() if step != "noted"},
                "requests": run.requests,
            }
            for run in found
        ]
        if json:
            as_json(rows)
            return
        for run in found:
            steps = [done(step, n) for step, n in sorted(run.done.items()) if step != "noted"]
            console.print(
                f"{run.started_at:%Y-%m-%d %H:%M:%S} {run.platform.value}: "
                f"{', '.join(steps) or 'nothing to do'}; {plural(run.users, 'user')}, "
                f"{run.failed} failed, {plural(run.requests, 'request')}; {run.run_id}",
                **PLAIN,
            )
        console.print(f"{plural(len(found), 'run')}, newest first, times in UTC")
