"""`calendar-sync config history|diff|rollback`: older revisions of the settings."""

import json as json_text
from itertools import islice, pairwise
from typing import Annotated, Any

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import author, open_store
from calendar_sync.cli.output import as_json, console, reported, table
from calendar_sync.config.differences import differences
from calendar_sync.core.clock import SystemClock


def history(
    newest: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20, json: Json = False
) -> None:
    """List the revisions of the settings and what each changed, newest first."""
    with reported(), open_store() as store:
        # One more than shown, to compare the oldest with.
        found = [*store.config.revisions(newest + 1), store.config.revision_of(0)]
        rows: list[dict[str, Any]] = [
            {
                "revision": revision.id,
                "created_at": revision.created_at,
                "author": revision.author,
                "changed": sorted(differences(before.settings, revision.settings)),
            }
            for revision, before in islice(pairwise(found), newest)
        ]
        if json:
            as_json(rows)
        elif rows:
            lines = [
                (
                    row["revision"],
                    f"{row['created_at']:%Y-%m-%d %H:%M}",
                    row["author"],
                    ", ".join(row["changed"]),
                )
                for row in rows
            ]
            table("Settings", ("revision", "when (UTC)", "author", "changed"), lines)
        else:
            console.print("no settings were applied yet: the defaults are used")


def diff(
    one: Annotated[int, typer.Argument(help="Number of a revision. 0: the defaults.")],
    other: Annotated[
        int | None, typer.Argument(help="Number of another revision. Default: the newest.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the differences between two revisions, one line for each setting."""
    with reported(), open_store() as store:
        before = store.config.revision_of(one)
        after = store.config.revision() if other is None else store.config.revision_of(other)
        found = differences(before.settings, after.settings)
        if json:
            as_json({name: {"before": old, "after": new} for name, (old, new) in found.items()})
            return
        for name, values in sorted(found.items()):
            old, new = (json_text.dumps(value, ensure_ascii=False) for value in values)
            console.print(f"{name}: {old} -> {new}", markup=False, highlight=False, soft_wrap=True)
        if not found:
            console.print(f"revisions {before.id} and {after.id} are the same")


def rollback(
    number: Annotated[int, typer.Argument(help="Number of the revision to restore.")],
    json: Json = False,
) -> None:
    """Restore the settings of an older revision, as a new revision."""
    with reported(), open_store() as store:
        wanted = store.config.revision_of(number).settings
        made, new = store.config.save_settings(wanted, author(), SystemClock().now())
        if json:
            as_json({"settings_revision": made, "settings_changed": new})
            return
        how = f"restored from revision {number}" if new else "unchanged"
        console.print(f"settings: revision {made} ({how})")
