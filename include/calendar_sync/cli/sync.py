"""`calendar-sync sync`: one whole pass without a scheduler."""

import asyncio
import os
import sys
import uuid
from collections import Counter
from typing import Annotated

import typer

from calendar_sync.cli.environment import author, load_secrets, new_run_id, open_store
from calendar_sync.cli.output import USERS_FAILED, as_json, console, progress_bar, reported, table
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Action, Platform, WithDraft
from calendar_sync.core.plurals import plural
from calendar_sync.state import Store
from calendar_sync.state.audit import CycleLog, Operation
from calendar_sync.state.seals import seal
from calendar_sync.sync.roster import Names, members
from calendar_sync.sync.runner import PassResult, run_pass, store_run
from calendar_sync.sync.runtime import Secrets, open_services


def sync(
    platform: Annotated[
        Platform | None,
        typer.Option(help="Only this calendar system. Default: all that have mapped users."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="Only this Welkin user id, or address; repeatable.")
    ] = None,
    full: Annotated[
        bool, typer.Option(help="Read both sides completely, not only what changed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Show what would be done. Writes nothing.")] = False,
    show_text: Annotated[
        bool, typer.Option(help="With --dry-run, on a terminal: print the texts of the events.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Sync all users once. Exit 0: all synced; 3: some users failed; 1: nothing could be synced."""
    with reported():
        if show_text and (json or not dry_run or not sys.stdout.isatty()):
            raise ConfigurationError(
                detail="--show-text needs --dry-run and a terminal, not --json"
            )
        secrets = load_secrets()
        results: dict[Platform, PassResult] = {}
        with open_store(secrets.hmac_key) as store:
            users = [*map(Names(store, platform).user, user or [])]
            for each, named in _wanted(store, secrets, platform, users).items():
                results[each] = _run(
                    store, secrets, each, named, full, dry_run, show_text=show_text, quiet=json
                )
        if json:
            as_json(_document(results, dry_run=dry_run))
        else:
            for each, result in results.items():
                _print(each, result, dry_run=dry_run, show_text=show_text)
    if any(result.failed for result in results.values()):
        raise typer.Exit(USERS_FAILED)
    if any(result.fault for result in results.values()):
        raise typer.Exit(1)


def _wanted(
    store: Store, secrets: Secrets, only: Platform | None, users: list[str]
) -> dict[Platform, list[str]]:
    """The platforms to sync, each with the named users who are on it.

    Raises:
        ConfigurationError: a named user is on none of them, or a platform has no connection.
    """
    if only is not None:
        if only not in secrets.connected:
            raise secrets.why_not(only)
        return {only: users}
    # Users who are no longer mapped are cleaned up.
    settings = store.config.revision().settings
    now = SystemClock().now()
    everybody = [members(store, settings, platform, now) for platform in Platform]
    known = {people.platform: people.known for people in everybody}
    if unknown := set(users).difference(*known.values()):
        raise ConfigurationError(detail=f"not mapped: {', '.join(sorted(unknown))}")
    wanted = {
        platform: [user for user in users if user in ids]
        for platform, ids in known.items()
        if (ids & set(users) if users else ids)
    }
    for platform in wanted:
        if platform not in secrets.connected:
            raise secrets.why_not(platform)
    if not wanted:
        raise ConfigurationError(detail="no users are mapped: calendar-sync config apply FOLDER")
    return wanted


def _run(
    store: Store,
    secrets: Secrets,
    platform: Platform,
    users: list[str],
    full: bool,
    dry_run: bool,
    *,
    show_text: bool,
    quiet: bool,
) -> PassResult:
    clock = SystemClock()
    run_id = new_run_id()
    started_at = clock.now()

    async def work() -> tuple[PassResult, dict[str, int]]:
        revision = store.config.revision()
        with progress_bar("users", quiet=quiet) as bar:
            async with open_services(secrets, store.database, revision.settings.limits) as services:
                done = await run_pass(
                    services,
                    revision,
                    platform,
                    run_id=run_id,
                    owner=f"{run_id}/{os.getpid()}",
                    users=users,
                    full=full,
                    dry_run=dry_run,
                    progress=lambda done, total: bar.update(
                        bar.task_ids[0], completed=done, total=total
                    ),
                )
                return done, services.meter.row

    result, requests = asyncio.run(work())
    if show_text:
        _record_look(store, platform, run_id, result)
    if not dry_run:
        rows = [outcome.row for outcome in result.outcomes.values()]
        store_run(store, platform, run_id, started_at, rows, clock.now(), requests)
    return result


def _record_look(store: Store, platform: Platform, run_id: str, result: PassResult) -> None:
    """Record in the audit log that someone reads the texts of these mirrors."""
    now = SystemClock().now()
    for outcome in result.outcomes.values():
        made = outcome.result.plan
        shown = [action for action in made.actions if isinstance(action, WithDraft)] if made else []
        log = CycleLog(uuid.uuid4().hex, run_id, outcome.user_id, platform, outcome.account, 0)
        with store.database.write() as connection:
            for action in shown:
                level = action.draft.level
                look = Operation("show_text", author(), action.source.id, "", "", level, "shown", 0)
                log.seq, log.head = store.audit.append(connection, log, look, now)
    seal(store, run_id, now)


def _document(results: dict[Platform, PassResult], *, dry_run: bool) -> dict[str, object]:
    done: Counter[str] = Counter()
    for result in results.values():
        done.update({str(step): count for step, count in result.done.items()})
    return {
        "dry_run": dry_run,
        "users": [
            outcome.row
            | {
                "platform": platform.value,
                "planned": _planned(outcome.result.plan.actions) if outcome.result.plan else {},
                "skipped": dict(outcome.result.skipped),
                "conflicts": dict(outcome.result.conflicts),
                "held": outcome.result.held,
            }
            for platform, result in results.items()
            for outcome in result.outcomes.values()
        ],
        "done": dict(done),
        "failed": sorted({o.user_id for result in results.values() for o in result.failed}),
        "faults": {
            platform.value: result.fault for platform, result in results.items() if result.fault
        },
    }


def _planned(actions: tuple[Action, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for action in actions:
        key = f"{action.step.value}: {action.reason}"
        counts[key] = counts.get(key, 0) + 1
    return counts


def _print(platform: Platform, result: PassResult, *, dry_run: bool, show_text: bool) -> None:
    if dry_run:
        _print_plan(platform, result, show_text=show_text)
    else:
        rows = [
            (o.account, o.status.value, o.label.partition(": ")[2])
            for o in result.outcomes.values()
        ]
        if rows:
            table(f"Users on {platform.value}", ("account", "status", "changes"), rows)
    failed, users = len(result.failed), len(result.outcomes)
    if result.fault:
        said = f"paused: {result.fault}"
    elif dry_run:
        said = f"dry run, {plural(users, 'user')}, nothing was written"
    else:
        said = f"{plural(users, 'user')} synced, {failed} failed"
    console.print(f"{platform.value}: {said}", markup=False, highlight=False)


def _print_plan(platform: Platform, result: PassResult, *, show_text: bool) -> None:
    rows: list[tuple[object, ...]] = []
    for outcome in result.outcomes.values():
        made = outcome.result.plan
        for what, count in sorted(_planned(made.actions).items()) if made else ():
            rows.append((outcome.account, what, count))
        for reason, count in sorted(outcome.result.skipped.items()):
            rows.append((outcome.account, f"no mirror: {reason}", count))
        if outcome.failed:
            rows.append((outcome.account, f"failed: {outcome.code}", ""))
        if made and show_text:
            for action in made.actions:
                if isinstance(action, WithDraft):
                    draft = action.draft
                    text = f"{draft.title} | {draft.description} | {draft.location or ''}"
                    rows.append((outcome.account, f"{action.step.value} {action.span}", text))
    table(f"Planned on {platform.value}", ("account", "what", ""), rows)
