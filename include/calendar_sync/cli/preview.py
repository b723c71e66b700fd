"""`calendar-sync config preview`: the effect of changed settings, before they are stored."""

import asyncio
import os
from typing import Annotated

import typer

from calendar_sync.cli.config import SETTINGS, Folder, Json, read_settings
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import as_json, console, progress_bar, reported, table
from calendar_sync.config.differences import differences
from calendar_sync.config.settings import Settings
from calendar_sync.core.plurals import plural
from calendar_sync.operations.preview import Effect, preview
from calendar_sync.state import Store
from calendar_sync.sync.roster import Names
from calendar_sync.sync.runtime import Secrets, open_services


def show_preview(
    folder: Folder,
    user: Annotated[
        list[str] | None, typer.Option(help="Only this Welkin user id, or address.")
    ] = None,
    json: Json = False,
) -> None:
    """Preview the effect of the settings in a folder. Stores and writes nothing."""
    with reported():
        settings, _ = read_settings(folder / SETTINGS)
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            current = store.config.revision()
            changed = differences(current.settings, settings)
            users = [*map(Names(store).user, user or [])]
            effects = asyncio.run(_plan(store, secrets, settings, users, quiet=json))
        if json:
            as_json({"changed": sorted(changed), "platforms": [_row(one) for one in effects]})
            return
        said = ", ".join(sorted(changed)) or "nothing"
        console.print(f"changes to revision {current.id}: {said}", highlight=False)
        for effect in effects:
            _print(effect)


async def _plan(
    store: Store, secrets: Secrets, settings: Settings, users: list[str], *, quiet: bool
) -> list[Effect]:
    with progress_bar("users", quiet=quiet) as bar:
        async with open_services(secrets, store.database, settings.limits) as services:
            return await preview(
                services,
                settings,
                f"preview/{os.getpid()}",
                users=users,
                progress=lambda done, total, _: bar.update(
                    bar.task_ids[0], completed=done, total=total
                ),
            )


def _row(effect: Effect) -> dict[str, object]:
    return {
        "platform": effect.platform.value,
        "users": effect.users,
        "affected": effect.affected,
        "planned": {f"{step}: {reason}": n for (step, reason), n in effect.planned.items()},
        "skipped": dict(effect.skipped),
        "held": effect.held,
        "failed": effect.failed,
    }


def _print(effect: Effect) -> None:
    rows: list[tuple[object, ...]] = [
        (step, reason, count) for (step, reason), count in sorted(effect.planned.items())
    ]
    rows += [("no mirror", rule, count) for rule, count in sorted(effect.skipped.items())]
    if effect.held:
        rows.append(("waits for approval", "", effect.held))
    rows += [("cannot be read", code, account) for account, code in sorted(effect.failed.items())]
    name = effect.platform.value
    if rows:
        table(name, ("what", "reason", "count"), rows)
    console.print(f"{name}: affects {effect.affected} of {plural(effect.users, 'user')}")
